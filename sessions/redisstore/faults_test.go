package redisstore

import (
	"fmt"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/redisstore/redistest"
	"authsidecar/sessions/storetest/servertest"
)

// TestNoAcknowledgedSessionIsLostInACrash kills a server that syncs always, again
// and again under load.
func TestNoAcknowledgedSessionIsLostInACrash(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "appendonly yes", "appendfsync always")
	s := openStore(t, Options{URL: srv.URL(0)})
	l := sharedtest.StartLoad(t, s, 8)
	for range 3 {
		l.More(t, 100)
		srv.Kill()
		l.UntilFails(t)
		srv.Begin(t)
	}
	l.More(t, 100)
	l.WantKept(t, s)
}

// TestScriptsAreLoadedAgainAfterAFlush, in the middle of everything.
func TestScriptsAreLoadedAgainAfterAFlush(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	for name, opts := range map[string]Options{"a server": {URL: srv.URL(0)}, "a cluster": {URL: cluster(t).URL()}} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, opts)
			l := sharedtest.StartLoad(t, s, 4)
			for range 10 {
				l.More(t, 20)
				nodes := []*redistest.Server{srv}
				if !s.onOneServer() {
					nodes = cluster(t).Masters(t)
				}
				for _, node := range nodes {
					node.Do(t, "SCRIPT", "FLUSH")
				}
			}
			l.WantKept(t, s)
			if n := l.Failed.Load(); n > 0 {
				t.Errorf("%d calls failed", n)
			}
		})
	}
}

// TestATokenAheadOfARestoredDumpEndsItsSession takes the server back to what it
// saved before a rotation.
// Covers S4.
func TestATokenAheadOfARestoredDumpEndsItsSession(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openStore(t, Options{URL: srv.URL(0)})
	row := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	srv.Do(t, "SAVE")
	present := func(p *sessions.Presented, fresh *sessions.Fresh) (out sessions.Outcome, row sessions.Session) {
		rules := sessions.Rotation{Permit: func(*sessions.Session) error { return nil }}
		row, _, rotated, err := s.Rotate(ctx(), p, fresh)
		if err != nil {
			t.Fatal(err)
		}
		if rotated {
			return sessions.Outcome{Kind: event.Refreshed}, row
		}
		row, err = s.Update(ctx(), p.Session, func(row sessions.Session, now time.Time) (next sessions.Session, write bool) {
			next, write, out = rules.Present(row, p, fresh, now)
			return next, write
		})
		if err != nil {
			t.Fatal(err)
		}
		return out, row
	}
	p := *sharedtest.Token(&row)
	out, next := present(&p, &sessions.Fresh{Secret: [16]byte{7}, KeyID: "k"})
	if out.Kind != event.Refreshed {
		t.Fatal(out)
	}
	srv.Kill()
	srv.Begin(t)
	servertest.Until(t, "the store is back", func() error { return s.Ping(ctx()) })
	p.Generation, p.Secret = next.Generation, next.Secret
	out, ended := present(&p, &sessions.Fresh{Secret: [16]byte{8}, KeyID: "k"})
	if out.Kind != event.StoreBehind || ended.EndReason != sessions.EndStoreBehind || ended.RevokedAt.IsZero() {
		t.Errorf("the token that is ahead: %v, then %+v", out, ended)
	}
}

// TestARestartCostsNoCallAfterIt: each connection that it cut is found to be, so
// that none fails that comes when the server is back.
func TestARestartCostsNoCallAfterIt(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "appendonly yes")
	s := openStore(t, Options{URL: srv.URL(0)})
	for range 100 {
		if err := s.Ping(ctx()); err != nil {
			t.Fatal(err)
		}
	}
	srv.Stop()
	srv.Begin(t)
	for i := range 100 {
		if _, _, _, err := s.Create(ctx(), sharedtest.Row(fmt.Sprint(i), s.Now())); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
}
