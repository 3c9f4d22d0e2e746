package sharedtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest/servertest"
)

// A Load creates, rotates and revokes sessions until it is stopped, and records what was
// acknowledged.
type Load struct {
	Failed atomic.Int64 // calls
	Stop   func()

	store   Store
	mu      sync.Mutex
	rows    map[sessions.Key]sessions.Session // as last acknowledged
	unclear map[sessions.Key]bool             // after a failed call
}

// StartLoad starts that many workers.
func StartLoad(t *testing.T, s Store, workers int) *Load {
	t.Helper()
	l := &Load{store: s, rows: make(map[sessions.Key]sessions.Session), unclear: make(map[sessions.Key]bool)}
	loading, cancel := context.WithCancel(ctx())
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := 0; loading.Err() == nil; i++ {
				if !l.one(t, fmt.Sprintf("%s-%d-%d", t.Name(), w, i), i) {
					// Do not ask a server that is down all the time.
					pause := time.NewTimer(5 * time.Millisecond)
					<-pause.C
				}
			}
		})
	}
	l.Stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(l.Stop)
	return l
}

// one plays a session: it is created, rotated twice, and sometimes revoked.
func (l *Load) one(t *testing.T, id string, i int) bool {
	row := Row(id, l.store.Now())
	stored, created, _, err := l.store.Create(ctx(), row)
	if err == nil && !created {
		t.Errorf("%q was there", id)
	}
	if !l.Know(t, row.Key(), stored, err) {
		return false
	}
	for n := range 2 {
		next, _, rotated, err := l.store.Rotate(ctx(), Token(&stored), &sessions.Fresh{Secret: [sessions.SecretSize]byte{3, byte(n), byte(i)}, KeyID: "k"})
		if err == nil && !rotated {
			t.Errorf("%q was not rotated", id)
			return false
		}
		if !l.Know(t, row.Key(), next, err) {
			return false
		}
		stored = next
	}
	if i%2 == 0 {
		return true
	}
	ended, _, err := l.store.Revoke(ctx(), row.Key(), sessions.EndRevoked)
	return l.Know(t, row.Key(), ended, err)
}

// Know records the result of a call, and reports whether it was acknowledged.
func (l *Load) Know(t *testing.T, key sessions.Key, row sessions.Session, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		WantUnavailable(t, "under load", err)
		l.unclear[key] = true
		l.Failed.Add(1)
		return false
	}
	l.rows[key] = row
	return true
}

func (l *Load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rows)
}

// More waits until that many more sessions are acknowledged.
func (l *Load) More(t *testing.T, n int) {
	t.Helper()
	want := l.count() + n
	servertest.Until(t, "more sessions", func() error {
		if have := l.count(); have < want {
			return fmt.Errorf("%d of %d", have, want)
		}
		return nil
	})
}

// UntilFails waits until another call fails.
func (l *Load) UntilFails(t *testing.T) {
	t.Helper()
	failed := l.Failed.Load()
	servertest.Until(t, "calls fail", func() error {
		if l.Failed.Load() == failed {
			return errors.New("all goes well")
		}
		return nil
	})
}

// WantKept ends the load, and wants each row as it was acknowledged, or, where a call failed, that
// or what came of the call; and each that is live is listed.
func (l *Load) WantKept(t *testing.T, s Store) {
	t.Helper()
	l.Stop()
	if len(l.rows) == 0 {
		t.Error("nothing was acknowledged")
	}
	listed := make(map[sessions.Key]int)
	query := sessions.Query{Realm: "https://app.example.com", User: "alice", Limit: 400}
	for {
		page, err := s.List(ctx(), query)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Sessions {
			listed[page.Sessions[i].Key()]++
		}
		if query.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	for key, want := range l.rows {
		got, err := s.Get(ctx(), key)
		switch {
		case err != nil:
			t.Errorf("%s is lost: %v", key.ID, err)
			continue
		case got.Generation < want.Generation || got.RevokedAt.IsZero() && !want.RevokedAt.IsZero():
			t.Errorf("%s is at generation %d, not %d", key.ID, got.Generation, want.Generation)
		case !l.unclear[key] && (got.Generation != want.Generation || got.Secret != want.Secret || !got.RevokedAt.Equal(want.RevokedAt)):
			t.Errorf("%s is %+v, not %+v", key.ID, got, want)
		}
		wanted := 0
		if got.RevokedAt.IsZero() {
			wanted = 1
		}
		if listed[key] != wanted {
			t.Errorf("%s is listed %d times, not %d", key.ID, listed[key], wanted)
		}
	}
	t.Logf("%d sessions, %d calls failed", len(l.rows), l.Failed.Load())
}
