package pgstore

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
)

// A tripCounter stands before the server and counts how often a client waits for it:
// the messages Sync and Query (PostgreSQL, "Frontend/Backend Protocol").
type tripCounter struct {
	trips    atomic.Int64
	prepared atomic.Int64 // statements that were given a name
}

// forward hands on what a client says, a message without a type and then those with
// one, each after it was counted: who has an answer finds it counted.
func (c *tripCounter) forward(r io.Reader, w io.Writer) {
	for head := make([]byte, 5); ; {
		n := 5
		if head[0] == 0 {
			n = 4
		}
		if _, err := io.ReadFull(r, head[5-n:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		switch {
		case n == 4:
			head[0] = 1 // the next ones have a type
		case head[0] == 'S' || head[0] == 'Q':
			c.trips.Add(1)
		case head[0] == 'P' && body[0] != 0:
			c.prepared.Add(1)
		}
		said := head
		if n == 4 {
			said = head[1:]
		}
		if _, err := w.Write(append(slices.Clone(said), body...)); err != nil {
			return
		}
	}
}

// TestATransitionIsOneRoundTrip counts them, from the second time on: a connection learns about a
// statement once. Behind a pooler nothing is prepared.
func TestATransitionIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	for name, pooled := range map[string]bool{"prepared": false, "behind a pooler": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var counter tripCounter
			port := server(t).Port
			if pooled {
				port = server(t).Bouncer(t, "")
			}
			s := openStore(t, Options{DSN: at(sharedtest.Tap(t, port, counter.forward, sharedtest.Forward))})
			wantTrips(t, s, &counter, "learned", false)
			before := counter.prepared.Load()
			wantTrips(t, s, &counter, "known", true)
			if n := counter.prepared.Load(); n > before || pooled && n > 0 || !pooled && n == 0 {
				t.Errorf("%d statements were prepared, then %d", before, n-before)
			}
		})
	}
}

// wantTrips calls each transition, and wants it to be one round trip.
func wantTrips(t *testing.T, s *Store, counter *tripCounter, id string, known bool) {
	t.Helper()
	row := sharedtest.Row(id, s.Now())
	p := *sharedtest.Token(&row)
	for _, call := range []struct {
		name string
		want int64
		do   func() error
	}{
		{"Create", 1, func() error { _, _, _, err := s.Create(ctx(), row); return err }},
		{"Create of one that is there", 1, func() error { _, _, _, err := s.Create(ctx(), row); return err }},
		{"Create of one that begins", 1, func() error { _, _, _, err := s.Create(ctx(), sharedtest.Row(id+" begins", time.Time{})); return err }},
		{"Rotate", 1, func() error { _, _, _, err := s.Rotate(ctx(), &p, &sessions.Fresh{KeyID: "k"}); return err }},
		{"Rotate of what is not live", 1, func() error { _, _, _, err := s.Rotate(ctx(), &p, &sessions.Fresh{KeyID: "k"}); return err }},
		{"Revoke", 1, func() error { _, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); return err }},
		{"Get", 1, func() error { _, err := s.Get(ctx(), row.Key()); return err }},
		{"List", 1, func() error {
			_, err := s.List(ctx(), sessions.Query{Realm: row.Realm, User: "alice", Limit: 5})
			return err
		}},
	} {
		// A connection that was idle for a second is asked whether it lives: not these.
		if err := s.Ping(ctx()); err != nil {
			t.Fatal(err)
		}
		before := counter.trips.Load()
		if err := call.do(); err != nil {
			t.Errorf("%s: %v", call.name, err)
		}
		if got := counter.trips.Load() - before; known && got != call.want {
			t.Errorf("%s: %d round trips, not %d", call.name, got, call.want)
		}
	}
}

// Where a user has very many sessions, counting them has an end.
func TestACountIsExactUpToALimit(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	for _, c := range []struct{ fill, want int }{{maxCounted - 1, maxCounted}, {1, math.MaxInt}} {
		fill(t, s, fmt.Sprint("many-", c.fill), c.fill, func(row *sessions.Session) { row.UserID, row.Idle = "many", 1000*3600*1e9 })
		row := sharedtest.Row(fmt.Sprint("counted-", c.fill), s.Now())
		row.UserID = "many"
		if _, _, count, err := s.Create(ctx(), row); err != nil || count != c.want {
			t.Errorf("%d are counted, not %d (%v)", count, c.want, err)
		}
		if _, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); err != nil {
			t.Fatal(err)
		}
	}
}
