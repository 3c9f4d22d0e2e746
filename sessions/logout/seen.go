package logout

import (
	"sync"

	"authsidecar/sessions"
)

// Seen is what the rows have of callers' tokens of an issuer, of those that this node created
// since it started: by it a notice that matches nothing is understood.
type Seen struct {
	Rows    int
	SID     int // of a token that had a "sid"
	Subject int // of one whose "sub" was not what names the caller
}

// seen counts by what rules call the issuer.
type seen struct {
	mu sync.Mutex
	by map[string]*Seen
}

// Created counts a row that was created, by what rules call the issuer of its caller.
func (l *Logouts) Created(trust string, s *sessions.Session) {
	l.seen.mu.Lock()
	defer l.seen.mu.Unlock()
	if l.seen.by == nil {
		l.seen.by = make(map[string]*Seen)
	}
	of := l.seen.by[trust]
	if of == nil {
		of = new(Seen)
		l.seen.by[trust] = of
	}
	of.Rows++
	if s.ActorSID != "" {
		of.SID++
	}
	if s.ActorSub != "" {
		of.Subject++
	}
}

// Seen returns what rows have of callers' tokens of an issuer.
func (l *Logouts) Seen(trust string) Seen {
	l.seen.mu.Lock()
	defer l.seen.mu.Unlock()
	if of := l.seen.by[trust]; of != nil {
		return *of
	}
	return Seen{}
}
