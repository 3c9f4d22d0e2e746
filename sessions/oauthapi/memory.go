package oauthapi

import "sync"

// A Memory remembers which addresses failed too often, and which assertions were used. Several APIs
// of one issuer may share it, such as one that replaces another.
type Memory struct {
	limit *limiter

	mu   sync.Mutex
	seen map[string]*replays // by client
}

// NewMemory returns an empty memory.
func NewMemory() *Memory { return &Memory{limit: newLimiter(), seen: make(map[string]*replays)} }

// of returns the assertions that a client has used.
func (m *Memory) of(client string) *replays {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen[client] == nil {
		m.seen[client] = new(replays)
	}
	return m.seen[client]
}
