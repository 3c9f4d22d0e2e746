package logout

import (
	"sync"

	"authsidecar/sessions"
)

// Seen counts which claims the callers' tokens of an issuer had, in the sessions that this node
// created since it started. It helps to explain a notice that matches nothing.
type Seen struct {
	Rows    int
	SID     int // tokens with a "sid"
	Subject int // tokens whose "sub" does not identify the caller
}

// seen are the counts by the issuer's name in rules.
type seen struct {
	mu sync.Mutex
	by map[string]Seen
}

// Created counts a new row, under the name of its caller's issuer in rules.
func (l *Logouts) Created(trust string, s *sessions.Session) {
	l.seen.mu.Lock()
	defer l.seen.mu.Unlock()
	if l.seen.by == nil {
		l.seen.by = make(map[string]Seen)
	}
	of := l.seen.by[trust]
	of.Rows++
	if s.ActorSID != "" {
		of.SID++
	}
	if s.ActorSub != "" {
		of.Subject++
	}
	l.seen.by[trust] = of
}

// Seen returns the counts of an issuer.
func (l *Logouts) Seen(trust string) Seen {
	l.seen.mu.Lock()
	defer l.seen.mu.Unlock()
	return l.seen.by[trust]
}
