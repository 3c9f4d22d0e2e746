package pgstore

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/pgstore/pgtest"
)

// A tripCounter stands before the server and counts how often a client waits for it:
// the messages Sync and Query (PostgreSQL, "Frontend/Backend Protocol").
type tripCounter struct {
	trips    atomic.Int64
	prepared atomic.Int64 // statements that were given a name
}

func (c *tripCounter) listen(t *testing.T, port int) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				_ = client.Close()
				return
			}
			go func() {
				_, _ = io.Copy(client, server)
				_ = client.Close()
			}()
			go func() {
				c.forward(client, server)
				_ = server.Close()
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
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

// TestItem2_ATransitionIsOneRoundTrip counts them.
func TestItem2_ATransitionIsOneRoundTrip(t *testing.T) {
	var counter tripCounter
	port := counter.listen(t, server(t).Port)
	s := openStore(t, Options{DSN: pgtest.DSN(port, "postgres", "postgres", pgtest.Password)})
	row := testRow("one", s.Now())
	p := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Secret: row.Secret}
	for _, call := range []struct {
		name string
		want int64
		do   func() error
	}{
		{"Create", 1, func() error { _, _, err := s.Create(ctx(), row); return err }},
		{"Create of one that is there", 1, func() error { _, _, err := s.Create(ctx(), row); return err }},
		{"Create of one that begins", 1, func() error { _, _, err := s.Create(ctx(), testRow("begins", time.Time{})); return err }},
		{"CreateCounted of one that begins", 1, func() error { _, _, _, err := s.CreateCounted(ctx(), testRow("counted", time.Time{})); return err }},
		{"CreateCounted", 1, func() error { _, _, _, err := s.CreateCounted(ctx(), testRow("two", s.Now())); return err }},
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
		if got := counter.trips.Load() - before; got != call.want {
			t.Errorf("%s: %d round trips, not %d", call.name, got, call.want)
		}
	}
	if n := counter.prepared.Load(); n > 0 {
		t.Errorf("%d statements were prepared", n)
	}
}

// TestItem2_TheCountOfManyNodesIsNeverTooLow creates sessions of one user on four
// nodes at once: the last one counts them all.
func TestItem2_TheCountOfManyNodesIsNeverTooLow(t *testing.T) {
	schema := newSchema()
	nodes := make([]*Store, 4)
	for i := range nodes {
		nodes[i] = openStore(t, Options{Schema: schema})
	}
	for round := range 20 {
		var all sync.WaitGroup
		counts := make([]int, 16)
		for i := range counts {
			row := testRow(fmt.Sprint(round, "-", i), nodes[0].Now())
			row.UserID = fmt.Sprint("user-", round)
			all.Go(func() {
				_, created, count, err := nodes[i%4].CreateCounted(ctx(), row)
				if err != nil || !created {
					t.Error(created, err)
				}
				counts[i] = count
			})
		}
		all.Wait()
		seen := make(map[int]bool)
		for _, n := range counts {
			if n < 1 || n > len(counts) || seen[n] {
				t.Fatalf("round %d: the counts are %v", round, counts)
			}
			seen[n] = true
		}
	}
}

// TestWhoHasManyIsToldThatThereIsNoEnd of them.
func TestWhoHasManyIsToldThatThereIsNoEnd(t *testing.T) {
	s := openStore(t, Options{})
	for _, c := range []struct{ fill, want int }{{mostCounted - 1, mostCounted}, {1, math.MaxInt}} {
		fill(t, s, fmt.Sprint("many-", c.fill), c.fill, func(row *sessions.Session) { row.UserID, row.Idle = "many", 1000*3600*1e9 })
		row := testRow(fmt.Sprint("counted-", c.fill), s.Now())
		row.UserID = "many"
		if _, _, count, err := s.CreateCounted(ctx(), row); err != nil || count != c.want {
			t.Errorf("%d are counted, not %d (%v)", count, c.want, err)
		}
		if _, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); err != nil {
			t.Fatal(err)
		}
	}
}
