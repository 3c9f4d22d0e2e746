package redisstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/redisstore/redistest"
)

// eventually tries until it works, for as long as a test may take.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second) //nolint:forbidigo // a bound, not a pause
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// wantUnavailable expects an error that says nothing about the session.
func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("%s: %v, not ErrUnavailable", what, err)
	}
}

// tamper opens a store through a proxy, whose answers can be lost.
func tamper(t *testing.T, srv *redistest.Server, opts Options) (*Store, *toxiproxy.Proxy) {
	t.Helper()
	p, port := proxy(t, srv)
	opts.URL = redistest.URL(port, "", redistest.Password, 0)
	return openStore(t, opts), p
}

// TestItem6_AnAnswerThatIsLostIsNoAnswer commits transitions whose answers never come.
func TestItem6_AnAnswerThatIsLostIsNoAnswer(t *testing.T) {
	direct := openStore(t, Options{})
	s, p := tamper(t, server(t), Options{Prefix: direct.opts.Prefix, Timeout: time.Second})
	row := create(t, direct, testRow("rotated", direct.Now()))
	revoked := create(t, direct, testRow("revoked", direct.Now()))
	presented := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Secret: row.Secret}
	fresh := sessions.Fresh{Secret: [16]byte{2}, KeyID: "k"}
	// The server knows the scripts: what is lost is the answer of the transition, not
	// the one that it must be told the script first.
	nobody := sessions.Presented{Session: sessions.Key{ID: "nobody"}}
	if _, _, _, err := direct.Rotate(ctx(), &nobody, &fresh); err != nil {
		t.Fatal(err)
	}
	if _, _, err := direct.Revoke(ctx(), nobody.Session, sessions.EndRevoked); !errors.Is(err, sessions.ErrNotFound) {
		t.Fatal(err)
	}
	connected := func() (err error) {
		for range 100 {
			err = errors.Join(err, s.Ping(ctx()))
		}
		return err
	}
	for _, call := range []struct {
		name string
		do   func() error
		done func() error // what it did
	}{
		{
			"Create",
			func() error { _, _, err := s.Create(ctx(), testRow("created", s.Now())); return err },
			func() error { _, err := direct.Get(ctx(), sessions.Key{Realm: row.Realm, ID: "created"}); return err },
		},
		{
			"Rotate",
			func() error { _, _, _, err := s.Rotate(ctx(), &presented, &fresh); return err },
			func() error {
				if now := get(t, direct, row.Key()); now.Generation != 1 || now.Secret != fresh.Secret {
					return fmt.Errorf("generation %d", now.Generation)
				}
				return nil
			},
		},
		{
			"Revoke",
			func() error { _, _, err := s.Revoke(ctx(), revoked.Key(), sessions.EndRevoked); return err },
			func() error {
				if get(t, direct, revoked.Key()).RevokedAt.IsZero() {
					return errors.New("not revoked")
				}
				return nil
			},
		},
	} {
		t.Run(call.name, func(t *testing.T) {
			// On a new connection nothing would be said, since what is lost is the answer
			// to its greeting.
			eventually(t, "all connections are there", connected)
			toxic(t, p, `{"name": "lost", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
			wantUnavailable(t, call.name, call.do())
			eventually(t, call.name+" was committed", call.done)
			p.Stop()
			if err := p.Toxics.RemoveToxic(ctx(), "lost"); err != nil {
				t.Fatal(err)
			}
			wantUnavailable(t, call.name+" without a server", call.do())
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the store is back", connected)
		})
	}
	// The token whose rotation nobody was told of gets the same successor.
	rules := sessions.Rotation{Grace: time.Minute, Permit: func(*sessions.Session) error { return nil }}
	var out sessions.Outcome
	again, err := s.Update(ctx(), row.Key(), func(row sessions.Session, now time.Time) (next sessions.Session, write bool) {
		next, write, out = rules.Present(row, &presented, &sessions.Fresh{}, now)
		return next, write
	})
	if err != nil || out.Kind != sessions.EventRetried || again.Secret != fresh.Secret {
		t.Errorf("presented again: %v %v, %v", out, again.Generation, err)
	}
}

// TestItem6_AFrozenServerPilesUpNothing freezes the server under more calls than there
// are places, and counts who waits.
func TestItem6_AFrozenServerPilesUpNothing(t *testing.T) {
	srv := redistest.Start(t)
	s := openStore(t, Options{URL: srv.URL(0), Timeout: 700 * time.Millisecond, Wait: 300 * time.Millisecond, MaxCalls: 8})
	row := create(t, s, testRow("one", s.Now()))
	before := runtime.NumGoroutine()
	srv.Freeze()
	const callers = 400
	var all sync.WaitGroup
	var busy atomic.Int32
	most := 0
	for range 3 {
		for range callers {
			all.Go(func() {
				_, err := s.Get(ctx(), row.Key())
				wantUnavailable(t, "a frozen server", err)
				if errors.Is(err, ErrBusy) {
					busy.Add(1)
				}
			})
		}
		most = max(most, runtime.NumGoroutine())
		all.Wait()
	}
	if left := runtime.NumGoroutine() - before; left > 100 {
		t.Errorf("%d goroutines are left after %d calls", left, 3*callers)
	}
	if n := busy.Load(); n < 3*callers-200 {
		t.Errorf("%d of %d calls were refused at the door", n, 3*callers)
	}
	srv.Thaw()
	eventually(t, "the store is back", func() error { _, err := s.Get(ctx(), row.Key()); return err })
}

// TestItem6_ACallEndsWithItsDeadline, and one that is cancelled before it begins does
// nothing.
func TestItem6_ACallEndsWithItsDeadline(t *testing.T) {
	srv := redistest.Start(t)
	s := openStore(t, Options{URL: srv.URL(0), Timeout: time.Hour})
	row := create(t, s, testRow("one", s.Now()))
	srv.Freeze()
	defer srv.Thaw()
	short, cancel := context.WithTimeout(ctx(), 200*time.Millisecond)
	defer cancel()
	_, _, err := s.Revoke(short, row.Key(), sessions.EndRevoked)
	wantUnavailable(t, "a frozen server", err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the deadline ends in %v", err)
	}
}

// TestItem6_NoAcknowledgedSessionIsLostInACrash kills a server that syncs always, again
// and again under load.
func TestItem6_NoAcknowledgedSessionIsLostInACrash(t *testing.T) {
	srv := redistest.Start(t, "appendonly yes", "appendfsync always")
	s := openStore(t, Options{URL: srv.URL(0)})
	l := startLoad(t, s, 8)
	for range 3 {
		l.more(t, 100)
		srv.Kill()
		failed := l.failed.Load()
		eventually(t, "calls fail", func() error {
			if l.failed.Load() == failed {
				return errors.New("all goes well without a server")
			}
			return nil
		})
		srv.Begin(t)
	}
	l.more(t, 100)
	l.wantKept(t, s)
}

// TestItem3_ScriptsAreLoadedAgainAfterAFlush, in the middle of everything.
func TestItem3_ScriptsAreLoadedAgainAfterAFlush(t *testing.T) {
	srv := redistest.Start(t)
	for name, opts := range map[string]Options{"a server": {URL: srv.URL(0)}, "a cluster": {URL: cluster(t).URL()}} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, opts)
			l := startLoad(t, s, 4)
			for range 10 {
				l.more(t, 20)
				nodes := []*redistest.Server{srv}
				if !s.whole() {
					nodes = cluster(t).Masters(t)
				}
				for _, node := range nodes {
					node.CLI(t, "SCRIPT", "FLUSH")
				}
			}
			l.wantKept(t, s)
			if n := l.failed.Load(); n > 0 {
				t.Errorf("%d calls failed", n)
			}
		})
	}
}

// TestItem3_ATokenAheadOfARestoredDumpEndsItsSession takes the server back to what it
// saved before a rotation.
// Covers S4.
func TestItem3_ATokenAheadOfARestoredDumpEndsItsSession(t *testing.T) {
	srv := redistest.Start(t)
	s := openStore(t, Options{URL: srv.URL(0)})
	row := create(t, s, testRow("one", s.Now()))
	srv.CLI(t, "SAVE")
	present := func(p *sessions.Presented, fresh *sessions.Fresh) (out sessions.Outcome, row sessions.Session) {
		rules := sessions.Rotation{Permit: func(*sessions.Session) error { return nil }}
		row, _, rotated, err := s.Rotate(ctx(), p, fresh)
		if err != nil {
			t.Fatal(err)
		}
		if rotated {
			return sessions.Outcome{Kind: sessions.EventRefreshed}, row
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
	p := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Secret: row.Secret}
	out, next := present(&p, &sessions.Fresh{Secret: [16]byte{7}, KeyID: "k"})
	if out.Kind != sessions.EventRefreshed {
		t.Fatal(out)
	}
	srv.Kill()
	srv.Begin(t)
	eventually(t, "the store is back", func() error { return s.Ping(ctx()) })
	p.Generation, p.Secret = next.Generation, next.Secret
	out, ended := present(&p, &sessions.Fresh{Secret: [16]byte{8}, KeyID: "k"})
	if out.Kind != sessions.EventStoreBehind || ended.EndReason != sessions.EndStoreBehind || ended.RevokedAt.IsZero() {
		t.Errorf("the token that is ahead: %v, then %+v", out, ended)
	}
}

// TestItem6_ARestartCostsNoCallAfterIt: each connection that it cut is found to be, so
// that none fails that comes when the server is back.
func TestItem6_ARestartCostsNoCallAfterIt(t *testing.T) {
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
		if _, _, err := s.Create(ctx(), testRow(fmt.Sprint(i), s.Now())); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
}
