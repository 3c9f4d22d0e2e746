package redisstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
)

// A load creates, rotates and revokes sessions until the test ends, and remembers what
// was acknowledged.
type load struct {
	mu      sync.Mutex
	rows    map[sessions.Key]sessions.Session // as they were acknowledged last
	unclear map[sessions.Key]bool             // those of calls that failed

	failed atomic.Int64
	stop   func()
}

func startLoad(t *testing.T, s *Store, workers int) *load {
	t.Helper()
	l := &load{rows: make(map[sessions.Key]sessions.Session), unclear: make(map[sessions.Key]bool)}
	loading, cancel := context.WithCancel(ctx())
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := 0; loading.Err() == nil; i++ {
				if !l.one(t, s, fmt.Sprintf("%s-%d-%d", t.Name(), w, i), i) {
					// A server that is down is not asked by everybody all the time.
					pause := time.NewTimer(5 * time.Millisecond)
					<-pause.C
				}
			}
		})
	}
	l.stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(l.stop)
	return l
}

// one plays a session: it is created, then rotated twice, then perhaps revoked.
func (l *load) one(t *testing.T, s *Store, id string, i int) bool {
	row := testRow(id, s.Now())
	stored, created, err := s.Create(ctx(), row)
	if err == nil && !created {
		t.Errorf("%q was there", id)
	}
	if !l.know(t, row.Key(), stored, err) {
		return false
	}
	for n := range 2 {
		p := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Generation: stored.Generation, Secret: stored.Secret}
		next, _, rotated, err := s.Rotate(ctx(), &p, &sessions.Fresh{Secret: [16]byte{3, byte(n), byte(i)}, KeyID: "k"})
		if err == nil && !rotated {
			t.Errorf("%q was not rotated", id)
			return false
		}
		if !l.know(t, row.Key(), next, err) {
			return false
		}
		stored = next
	}
	if i%2 == 0 {
		return true
	}
	ended, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked)
	return l.know(t, row.Key(), ended, err)
}

func (l *load) know(t *testing.T, key sessions.Key, row sessions.Session, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		wantUnavailable(t, "under load", err)
		l.unclear[key] = true
		l.failed.Add(1)
		return false
	}
	l.rows[key] = row
	return true
}

// more waits until so many more are acknowledged.
func (l *load) more(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.rows)
	}
	want := count() + n
	eventually(t, "more sessions", func() error {
		if have := count(); have < want {
			return fmt.Errorf("%d of %d", have, want)
		}
		return nil
	})
}

// wantKept ends the load, and wants each row as it was acknowledged, or, where a call
// failed, that or what came of the call; and each that is live is listed.
func (l *load) wantKept(t *testing.T, s *Store) {
	t.Helper()
	l.stop()
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
	lost := 0
	for key, want := range l.rows {
		got, err := s.Get(ctx(), key)
		switch {
		case err != nil:
			t.Errorf("%s: %v", key.ID, err)
			lost++
		case got.Generation < want.Generation || got.RevokedAt.IsZero() && !want.RevokedAt.IsZero():
			t.Errorf("%s is at generation %d, not %d", key.ID, got.Generation, want.Generation)
			lost++
		case !l.unclear[key] && (got.Generation != want.Generation || got.Secret != want.Secret || !got.RevokedAt.Equal(want.RevokedAt)):
			t.Errorf("%s is %+v, not %+v", key.ID, got, want)
		}
		wanted := 0
		if got.RevokedAt.IsZero() {
			wanted = 1
		}
		if err == nil && listed[key] != wanted {
			t.Errorf("%s is listed %d times, not %d", key.ID, listed[key], wanted)
		}
	}
	t.Logf("%d sessions, of which %d were lost; %d calls failed", len(l.rows), lost, l.failed.Load())
}
