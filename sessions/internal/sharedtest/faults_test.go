package sharedtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/storetest/servertest"
)

// faultsOfAll proves what holds where the server fails. Each is alone: all feeds of the server end,
// and all goroutines are counted.
func faultsOfAll(t *testing.T, kind *storeKind) {
	t.Run("a feed that the server ends says so", func(t *testing.T) {
		feedEnds(t, kind, func(*toxiproxy.Proxy) { kind.CutFeeds(t) })
	})
	t.Run("a server that hangs keeps few waiting", func(t *testing.T) { frozen(t, kind) })
}

// faults proves what holds where the way to the server fails, or one that hangs.
func faults(t *testing.T, kind *storeKind) {
	for _, check := range []struct {
		name string
		run  func(t *testing.T, kind *storeKind)
	}{
		{"a feed whose answers are lost says so", func(t *testing.T, kind *storeKind) {
			feedEnds(t, kind, func(p *toxiproxy.Proxy) { Toxic(t, p, lost) })
		}},
		{"a feed whose connection ends says so", func(t *testing.T, kind *storeKind) {
			feedEnds(t, kind, func(p *toxiproxy.Proxy) { p.Stop() })
		}},
		{"a feed that lags is no feed", feedLags},
		{"a transition whose answer is lost has an unknown outcome", lostAnswers},
		{"a call ends with its deadline", deadline},
	} {
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			check.run(t, kind)
		})
	}
}

// feedEnds cuts what is listened to, and follows again when the way is clear.
func feedEnds(t *testing.T, kind *storeKind, cut func(p *toxiproxy.Proxy)) {
	p, port := Proxy(t, kind.Port(t))
	s := kind.Open(t, options{Feed: port})
	sink, ended := Follow(t, s)
	cut(p)
	if err := <-ended; !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("it ended with %v", err)
	}
	sink.Read(func(h *Heard) {
		if h.Alive == 0 {
			t.Error("it never lived")
		}
	})
	_ = p.Toxics.RemoveToxic(ctx(), "lost")
	p.Stop()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	servertest.Until(t, "the store is back", func() error { return s.Ping(ctx()) })
	again, _ := Follow(t, s)
	row := Create(t, s, Row("again", s.Now()))
	Revoke(t, s, row.Key())
	again.WaitRevoked(t, row.Key())
}

// feedLags delays what is heard: heartbeats come, but as late as revocations would.
func feedLags(t *testing.T, kind *storeKind) {
	p, port := Proxy(t, kind.Port(t))
	sink, ended := Follow(t, kind.Open(t, options{Feed: port}))
	Toxic(t, p, `{"type": "latency", "stream": "downstream", "attributes": {"latency": 1500}}`)
	if err := <-ended; !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("it ended with %v", err)
	}
	sink.Read(func(h *Heard) {
		if h.Ready != 1 {
			t.Errorf("ready %d times", h.Ready)
		}
	})
	p.Stop() // so that closing the store does not wait for the slow way
}

// lostAnswers commits transitions whose answers never come.
func lostAnswers(t *testing.T, kind *storeKind) {
	name := NewName()
	p, port := Proxy(t, kind.Port(t))
	direct := kind.Open(t, options{Name: name})
	s := kind.Open(t, options{Name: name, Port: port, Limit: time.Second})
	row := Create(t, direct, Row("rotated", direct.Now()))
	revoked := Create(t, direct, Row("revoked", direct.Now()))
	presented, fresh := Token(&row), sessions.Fresh{Secret: [sessions.SecretSize]byte{2}, KeyID: "k"}
	nobody := sessions.Presented{Session: sessions.Key{ID: "nobody"}}
	warmed := 0
	// What a server learns with the first call of each kind, as a script or what a connection
	// prepares, it knows by then: what is lost is the answer of the transition. On a new connection
	// nothing would be said, since what is lost is the answer to its greeting.
	connected := func() error {
		for range 100 {
			if err := s.Ping(ctx()); err != nil {
				return err
			}
		}
		warmed++
		_, _, _, err := s.Create(ctx(), Row(fmt.Sprint("warm", warmed), s.Now()))
		if err != nil {
			return err
		}
		if _, _, _, err := s.Rotate(ctx(), &nobody, &fresh); err != nil {
			return err
		}
		if _, _, err := s.Revoke(ctx(), nobody.Session, sessions.EndRevoked); !errors.Is(err, sessions.ErrNotFound) {
			return fmt.Errorf("revoking nobody: %w", err)
		}
		return nil
	}
	for _, call := range []struct {
		name string
		do   func() error
		done func() error // what it did
	}{
		{
			"Create",
			func() error { _, _, _, err := s.Create(ctx(), Row("created", s.Now())); return err },
			func() error { _, err := direct.Get(ctx(), sessions.Key{Realm: row.Realm, ID: "created"}); return err },
		},
		{
			"Rotate",
			func() error { _, _, _, err := s.Rotate(ctx(), presented, &fresh); return err },
			func() error {
				if now := Get(t, direct, row.Key()); now.Generation != 1 || now.Secret != fresh.Secret {
					return fmt.Errorf("generation %d", now.Generation)
				}
				return nil
			},
		},
		{
			"Revoke",
			func() error { _, _, err := s.Revoke(ctx(), revoked.Key(), sessions.EndRevoked); return err },
			func() error {
				if Get(t, direct, revoked.Key()).RevokedAt.IsZero() {
					return errors.New("not revoked")
				}
				return nil
			},
		},
	} {
		servertest.Until(t, "all connections are there", connected)
		Toxic(t, p, lost)
		WantUnavailable(t, call.name, call.do())
		servertest.Until(t, call.name+" is committed", call.done)
		p.Stop()
		if err := p.Toxics.RemoveToxic(ctx(), "lost"); err != nil {
			t.Fatal(err)
		}
		WantUnavailable(t, call.name+" without a server", call.do())
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Until(t, "the store is back", connected)
	wantRetried(t, s, presented, fresh.Secret)
	if _, ended, err := s.Revoke(ctx(), revoked.Key(), sessions.EndReuse); ended || err != nil {
		t.Errorf("ended twice: %v", err)
	}
}

// wantRetried expects that a token whose rotation nobody heard of gets the same successor.
func wantRetried(t *testing.T, s Store, p *sessions.Presented, successor [sessions.SecretSize]byte) {
	t.Helper()
	if _, _, rotated, err := s.Rotate(ctx(), p, &sessions.Fresh{KeyID: "k"}); rotated || err != nil {
		t.Errorf("rotated twice: %v", err)
	}
	rules := sessions.Rotation{Grace: time.Minute, Permit: func(*sessions.Session) error { return nil }}
	var out sessions.Outcome
	now, err := s.Update(ctx(), p.Session, func(row sessions.Session, at time.Time) (next sessions.Session, write bool) {
		next, write, out = rules.Present(row, p, &sessions.Fresh{}, at)
		return next, write
	})
	if err != nil || out.Kind != event.Retried || now.Secret != successor {
		t.Errorf("presented again: %v of generation %d, %v", out, now.Generation, err)
	}
}

// frozen has more calls than there are places, and counts who waits.
func frozen(t *testing.T, kind *storeKind) {
	srv, port := kind.Hanging(t)
	s := kind.Open(t, options{Port: port, Calls: 4, Limit: 700 * time.Millisecond, Wait: 300 * time.Millisecond})
	row := Create(t, s, Row("one", s.Now()))
	srv.Freeze()
	defer srv.Thaw()
	before := runtime.NumGoroutine()
	const callers = 1200
	var busy atomic.Int64
	storetest.Together(callers, func(int) {
		_, err := s.Get(ctx(), row.Key())
		if errors.Is(err, kind.Busy) {
			busy.Add(1)
		}
		WantUnavailable(t, "a frozen server", err)
	})
	if n := busy.Load(); n < callers-100 {
		t.Errorf("%d of %d found too many before them", n, callers)
	}
	// What is left are connections that are being closed.
	if left := runtime.NumGoroutine() - before; left > 64 {
		t.Errorf("%d goroutines are left of %d", left, callers)
	}
	srv.Thaw()
	servertest.Until(t, "the store is back", func() error { _, err := s.Get(ctx(), row.Key()); return err })
}

// deadline has a server that hangs, and a limit that is never reached.
func deadline(t *testing.T, kind *storeKind) {
	srv, port := kind.Hanging(t)
	s := kind.Open(t, options{Port: port, Limit: time.Hour})
	row := Create(t, s, Row("one", s.Now()))
	srv.Freeze()
	defer srv.Thaw()
	short, cancel := context.WithTimeout(ctx(), 200*time.Millisecond)
	defer cancel()
	_, _, err := s.Revoke(short, row.Key(), sessions.EndRevoked)
	WantUnavailable(t, "a frozen server", err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the deadline ends in %v", err)
	}
}
