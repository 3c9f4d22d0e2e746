package streams

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// A Registry holds what is open, by session. All users of a store share one. It is safe for
// concurrent use.
type Registry struct {
	// Watch knows what was revoked, and Store until when a session is live.
	Watch *revocation.Watcher
	Store sessions.Store

	mu     sync.Mutex
	open   map[sessions.Key]*session
	closed bool
}

// A session is a session that something is open for.
type session struct {
	ref  sessions.Ref
	due  atomic.Pointer[time.Time] // when to ask the store, by its clock
	ends map[*hold]struct{}
}

type hold struct{ end func() }

// Hold calls end, once, when the session is over, unless release was called before. until is the
// expiry of the access token of the request. end must not block; it may still be running when
// release returns.
func (r *Registry) Hold(f *sessions.Ref, until time.Time, end func()) (release func()) {
	h := &hold{end: end}
	r.mu.Lock()
	closed := r.closed
	s := r.open[f.Key]
	if s == nil {
		s = &session{ref: *f, ends: make(map[*hold]struct{}, 1)}
		s.due.Store(&until)
		if r.open == nil {
			r.open = make(map[sessions.Key]*session)
		}
		r.open[f.Key] = s
	}
	s.ends[h] = struct{}{}
	r.mu.Unlock()
	if closed || r.Watch.Deny.Revoked(f) { // revoked after the request was authorized
		r.End(f.Key)
	}
	return func() { r.release(f.Key, h) }
}

func (r *Registry) release(key sessions.Key, h *hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.open[key]
	if s == nil {
		return
	}
	if delete(s.ends, h); len(s.ends) == 0 {
		delete(r.open, key)
	}
}

// End closes what is open for the session.
func (r *Registry) End(key sessions.Key) {
	r.mu.Lock()
	s := r.open[key]
	delete(r.open, key)
	r.mu.Unlock()
	if s != nil {
		for h := range s.ends {
			h.end()
		}
	}
}

// Len returns how many streams are open.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, s := range r.open {
		n += len(s.ends)
	}
	return n
}

// sessions returns the sessions for which selected returns true. They are checked one by one, while
// others are added and removed.
func (r *Registry) sessions(selected func(*session) bool) []*session {
	r.mu.Lock()
	all := slices.AppendSeq(make([]*session, 0, len(r.open)), maps.Values(r.open))
	r.mu.Unlock()
	return slices.DeleteFunc(all, func(s *session) bool { return !selected(s) })
}

// close closes everything that is open, and whatever follows: it is no longer known what was
// revoked.
func (r *Registry) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, s := range r.sessions(func(*session) bool { return true }) {
		r.End(s.ref.Key)
	}
}
