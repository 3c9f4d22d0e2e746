package sharedtest

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/storetest"
)

// run proves what holds where all nodes reach the server.
func run(t *testing.T, kind *storeKind) {
	for _, check := range []struct {
		name string
		run  func(t *testing.T, kind *storeKind)
	}{
		{"a rotation in one step is that of the pure function", rotationInOneStep},
		{"of many rotations of a token one succeeds", rotateAtOnce},
		{"of many who open a pending session over two nodes one does", openAtOnce},
		{"a session that many revoke at once is revoked once", revokeAtOnce},
		{"no update is lost to another node", updateAtOnce},
		{"a row that was replaced is not updated", updateOfReplaced},
		{"the server's clock decides", serversClock},
		{"the count of many nodes is never too low", countAtOnce},
		{"a node hears what another one ends", hearsOthers},
	} {
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			check.run(t, kind)
		})
	}
}

// A deviation is one thing that a token, its row or the time has that is not usual.
type deviation struct {
	name   string
	change func(row *sessions.Session, p *sessions.Presented, passed *time.Duration)
}

var deviations = []deviation{
	{"nothing", func(*sessions.Session, *sessions.Presented, *time.Duration) {}},
	{"first generation", func(row *sessions.Session, p *sessions.Presented, _ *time.Duration) {
		row.Generation, p.Generation = 0, 0
	}},
	{"generation beyond 63 bits", func(row *sessions.Session, p *sessions.Presented, _ *time.Duration) {
		row.Generation, p.Generation = 1<<63, 1<<63
	}},
	{"last generation before 63 bits", func(row *sessions.Session, p *sessions.Presented, _ *time.Duration) {
		row.Generation, p.Generation = 1<<63-1, 1<<63-1
	}},
	{"generation before", func(_ *sessions.Session, p *sessions.Presented, _ *time.Duration) { p.Generation-- }},
	{"generation after", func(_ *sessions.Session, p *sessions.Presented, _ *time.Duration) { p.Generation++ }},
	{"revoked", func(row *sessions.Session, _ *sessions.Presented, _ *time.Duration) {
		row.RevokedAt, row.EndReason = row.CreatedAt, sessions.EndRevoked
	}},
	{"pending", func(row *sessions.Session, _ *sessions.Presented, _ *time.Duration) {
		row.Pending = &sessions.Pending{Life: time.Hour}
	}},
	{"secret before", func(row *sessions.Session, p *sessions.Presented, _ *time.Duration) { p.Secret = row.SecretPrev }},
	{"another user", func(_ *sessions.Session, p *sessions.Presented, _ *time.Duration) { p.UserID = "bob" }},
	{"another client", func(_ *sessions.Session, p *sessions.Presented, _ *time.Duration) { p.ClientID = "other" }},
	{"user and client in one", func(_ *sessions.Session, p *sessions.Presented, _ *time.Duration) {
		p.UserID, p.ClientID = p.UserID+p.ClientID, ""
	}},
	{"another session", func(_ *sessions.Session, p *sessions.Presented, _ *time.Duration) { p.Session.ID = "nobody" }},
	{"another realm", func(_ *sessions.Session, p *sessions.Presented, _ *time.Duration) { p.Session.Realm = "other" }},
	{"a minute later", func(_ *sessions.Session, _ *sessions.Presented, passed *time.Duration) { *passed += time.Minute }},
	{"before it is idle too long", func(row *sessions.Session, _ *sessions.Presented, passed *time.Duration) {
		*passed += row.Idle - time.Millisecond
	}},
	{"idle too long", func(row *sessions.Session, _ *sessions.Presented, passed *time.Duration) { *passed += row.Idle }},
	{"before its end", func(row *sessions.Session, _ *sessions.Presented, passed *time.Duration) {
		row.Idle = 48 * time.Hour
		*passed += 24*time.Hour - time.Millisecond
	}},
	{"at its end", func(row *sessions.Session, _ *sessions.Presented, passed *time.Duration) {
		row.Idle = 48 * time.Hour
		*passed += 24 * time.Hour
	}},
	{"in cookies", func(row *sessions.Session, _ *sessions.Presented, _ *time.Duration) { row.Cookies = true }},
	{"in cookies, with the live generation confirmed", func(row *sessions.Session, _ *sessions.Presented, _ *time.Duration) {
		row.Cookies, row.Confirmed, row.ConfirmedAt = true, row.Generation, row.CreatedAt
	}},
	{"a clock that was set back", func(_ *sessions.Session, _ *sessions.Presented, passed *time.Duration) { *passed -= time.Minute }},
}

// rotationInOneStep plays each deviation, alone and with each other one: where Rotate writes,
// Present would have written the same, and where it does not, nothing changed.
func rotationInOneStep(t *testing.T, kind *storeKind) {
	clock := storetest.NewClock()
	s := kind.Open(t, options{Now: clock.Now})
	rotations, refusals := 0, 0
	for i, a := range deviations {
		for _, b := range deviations[i:] {
			name := a.name + ", " + b.name
			clock.Advance(time.Hour)
			row := Row(name, s.Now())
			row.Generation, row.SecretPrev, row.ActorClaims = 5, [sessions.SecretSize]byte{9}, sessions.Claims{"scope": "ü"}
			p, passed := Token(&row), time.Duration(0)
			a.change(&row, p, &passed)
			b.change(&row, p, &passed)
			Create(t, s, row)
			clock.Advance(passed)
			if wantSameRotation(t, s, row.Key(), p) {
				rotations++
			} else {
				refusals++
			}
		}
	}
	if rotations < 20 || refusals < 100 {
		t.Errorf("%d rotations and %d refusals are too few", rotations, refusals)
	}
}

func wantSameRotation(t *testing.T, s Store, key sessions.Key, p *sessions.Presented) (rotated bool) {
	t.Helper()
	rules := sessions.Rotation{Permit: func(*sessions.Session) error { return nil }}
	fresh := sessions.Fresh{Secret: [sessions.SecretSize]byte{2}, KeyID: "key2", From: "192.0.2.1"}
	stored := Get(t, s, key)
	want, write, out := rules.Present(stored, p, &fresh, s.Now())
	rotate := p.Session == key && write && out.Kind == event.Refreshed
	got, at, rotated, err := s.Rotate(ctx(), p, &fresh)
	switch {
	case err != nil || rotated != rotate:
		t.Fatalf("%s: rotated %t, not %t (%v): %+v by %+v", key.ID, rotated, rotate, err, stored, p)
	case !rotated:
		want = stored
	case !at.Equal(s.Now()) || !reflect.DeepEqual(got, want):
		t.Fatalf("%s is answered as %+v at %v, not %+v", key.ID, got, at, want)
	}
	if now := Get(t, s, key); !reflect.DeepEqual(now, want) {
		t.Fatalf("%s is stored as %+v, not %+v", key.ID, now, want)
	}
	return rotated
}

func openAtOnce(t *testing.T, kind *storeKind) {
	nodes := kind.nodes(t, 2, options{})
	row := Row("linked", nodes[0].Now())
	row.Pending = &sessions.Pending{Life: time.Hour}
	Create(t, nodes[0], row)
	var won atomic.Int32
	storetest.Together(32, func(i int) {
		opened := false
		_, err := nodes[i%2].Update(ctx(), row.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
			opened = row.Pending != nil
			row.Pending, row.Secret = nil, [sessions.SecretSize]byte{byte(i), 7}
			return row, opened
		})
		if err != nil {
			t.Error(err)
		}
		if opened {
			won.Add(1)
		}
	})
	if n := won.Load(); n != 1 {
		t.Errorf("%d of 32 opened the session", n)
	}
	stored := Get(t, nodes[1], row.Key())
	if _, _, rotated, err := nodes[0].Rotate(ctx(), Token(&stored), &sessions.Fresh{Secret: [sessions.SecretSize]byte{8}, KeyID: "key"}); err != nil || !rotated {
		t.Errorf("what was opened does not rotate: %t, %v", rotated, err)
	}
}

func rotateAtOnce(t *testing.T, kind *storeKind) {
	nodes := kind.nodes(t, 2, options{})
	row := Create(t, nodes[0], Row("contended", nodes[0].Now()))
	var won atomic.Int32
	storetest.Together(32, func(i int) {
		_, _, rotated, err := nodes[i%2].Rotate(ctx(), Token(&row), &sessions.Fresh{Secret: [sessions.SecretSize]byte{byte(i), 7}, KeyID: "key"})
		if err != nil {
			t.Error(err)
		}
		if rotated {
			won.Add(1)
		}
	})
	if n := won.Load(); n != 1 {
		t.Errorf("%d of 32 rotated the same token", n)
	}
	if now := Get(t, nodes[1], row.Key()); now.Generation != 1 {
		t.Errorf("the session is at generation %d", now.Generation)
	}
}

func revokeAtOnce(t *testing.T, kind *storeKind) {
	nodes := kind.nodes(t, 2, options{})
	for round := range 5 {
		row := Create(t, nodes[0], Row(fmt.Sprint("revoked-", round), nodes[0].Now()))
		var ended atomic.Int32
		rows := make([]sessions.Session, 16)
		storetest.Together(len(rows), func(i int) {
			got, mine, err := nodes[i%2].Revoke(ctx(), row.Key(), sessions.EndRevoked)
			if err != nil {
				t.Error(err)
			}
			if rows[i] = got; mine {
				ended.Add(1)
			}
		})
		want := Get(t, nodes[0], row.Key())
		if n := ended.Load(); n != 1 || want.RevokedAt.IsZero() || want.EndReason != sessions.EndRevoked {
			t.Errorf("%d of 16 ended the session, which was revoked at %v", n, want.RevokedAt)
		}
		for i := range rows {
			if !reflect.DeepEqual(rows[i], want) {
				t.Errorf("call %d saw %+v, not %+v", i, rows[i], want)
			}
		}
	}
	if _, _, err := nodes[0].Revoke(ctx(), sessions.Key{Realm: "r", ID: "nobody"}, sessions.EndRevoked); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("revoking nobody: %v", err)
	}
}

// updateAtOnce has two nodes that meet on the server only.
func updateAtOnce(t *testing.T, kind *storeKind) {
	nodes := kind.nodes(t, 2, options{})
	row := Create(t, nodes[0], Row("counter", nodes[0].Now()))
	storetest.Together(8, func(i int) {
		for range 25 {
			_, err := nodes[i%2].Update(ctx(), row.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
				row.Generation++
				return row, true
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	if n := Get(t, nodes[0], row.Key()).Generation; n != 200 {
		t.Errorf("%d of 200 updates are there", n)
	}
}

// updateOfReplaced has a row swept and created again while a transition thinks about the old
// one.
func updateOfReplaced(t *testing.T, kind *storeKind) {
	clock := storetest.NewClock()
	nodes := kind.nodes(t, 2, options{Now: clock.Now})
	s, other := nodes[0], nodes[1]
	row := Create(t, s, Row("again", s.Now()))
	calls := 0
	_, err := s.Update(ctx(), row.Key(), func(got sessions.Session, _ time.Time) (sessions.Session, bool) {
		if calls++; calls == 1 {
			clock.Advance(2 * time.Hour)
			if n, err := other.Sweep(ctx(), 10, nil); n != 1 || err != nil {
				t.Errorf("swept %d, %v", n, err)
			}
			again := Row("again", other.Now())
			again.UserID = "bob"
			Create(t, other, again)
		}
		got.Generation++
		return got, true
	})
	if err != nil {
		t.Fatal(err)
	}
	if now := Get(t, s, row.Key()); now.UserID != "bob" || now.Generation != 1 || calls != 2 {
		t.Errorf("after %d calls the row is %q's at generation %d", calls, now.UserID, now.Generation)
	}
}

// serversClock has a node whose own clock is five hours off. The server is on this machine.
func serversClock(t *testing.T, kind *storeKind) {
	for _, off := range []time.Duration{-5 * time.Hour, 5 * time.Hour} {
		s := kind.Open(t, options{Clock: func() time.Time { return time.Now().Add(off) }})
		near := func(what string, at time.Time) {
			t.Helper()
			if apart := time.Since(at).Abs(); apart > time.Minute {
				t.Errorf("%s is %v from the server's clock", what, apart)
			}
		}
		near("Now", s.Now())
		row := Create(t, s, Row("one", s.Now()))
		next, at, rotated, err := s.Rotate(ctx(), Token(&row), &sessions.Fresh{KeyID: "k"})
		if err != nil || !rotated {
			t.Fatal(rotated, err)
		}
		near("the time of the rotation", at)
		near("RotatedAt", next.RotatedAt)
		Revoke(t, s, row.Key())
		near("RevokedAt", Get(t, s, row.Key()).RevokedAt)
	}
}

// countAtOnce creates sessions of one user on four nodes at once: the last one counts them all.
func countAtOnce(t *testing.T, kind *storeKind) {
	nodes := kind.nodes(t, 4, options{})
	for round := range 10 {
		counts := make([]int, 16)
		storetest.Together(len(counts), func(i int) {
			row := Row(fmt.Sprint(round, "-", i), nodes[0].Now())
			row.UserID = fmt.Sprint("user-", round)
			_, created, count, err := nodes[i%4].Create(ctx(), row)
			if err != nil || !created {
				t.Error(created, err)
			}
			counts[i] = count
		})
		seen := make(map[int]bool)
		for _, n := range counts {
			if n < 1 || n > len(counts) || seen[n] {
				t.Fatalf("round %d: the counts are %v", round, counts)
			}
			seen[n] = true
		}
	}
}

func hearsOthers(t *testing.T, kind *storeKind) {
	nodes := kind.nodes(t, 2, options{})
	sink, _ := Follow(t, nodes[1])
	WantHeard(t, nodes[0], sink)
	sink.Read(func(got *Heard) {
		if got.Ready != 1 {
			t.Errorf("ready %d times", got.Ready)
		}
	})
}
