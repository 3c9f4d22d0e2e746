package redisstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

// testClock stands still until it is set.
type testClock struct{ at atomic.Int64 }

func (c *testClock) now() time.Time          { return time.UnixMilli(c.at.Load()) }
func (c *testClock) set(at time.Time)        { c.at.Store(at.UnixMilli()) }
func (c *testClock) advance(d time.Duration) { c.at.Add(d.Milliseconds()) }

// testRow is a session that lives a day and idles an hour.
func testRow(id string, now time.Time) sessions.Session {
	return sessions.Session{
		Realm: "https://app.example.com", ID: id, UserID: "alice", ClientID: "app", KeyID: "key",
		Actor:     sessions.Principal{Issuer: "https://idp.example.com", Subject: "alice"},
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: time.Hour, Secret: [16]byte{1},
	}
}

func create(t testing.TB, s *Store, row sessions.Session) sessions.Session {
	t.Helper()
	stored, created, err := s.Create(ctx(), row)
	if err != nil || !created {
		t.Fatalf("creating %q: %t, %v", row.ID, created, err)
	}
	return stored
}

func get(t testing.TB, s *Store, key sessions.Key) sessions.Session {
	t.Helper()
	row, err := s.Get(ctx(), key)
	if err != nil {
		t.Fatalf("getting %q: %v", key.ID, err)
	}
	return row
}

// TestItem2_ARotationInOneScriptIsTheOneOfThePureFunction plays random rows and tokens:
// where the script writes, Present would have written the same, and where it does
// not, nothing changed.
func TestItem2_ARotationInOneScriptIsTheOneOfThePureFunction(t *testing.T) {
	var clock testClock
	clock.set(epoch)
	s := openStore(t, Options{Now: clock.now})
	rules := sessions.Rotation{Permit: func(*sessions.Session) error { return nil }}
	random := rand.New(rand.NewPCG(1, 2))
	one := func(n int) bool { return random.IntN(n) == 0 }
	rotations, refusals := 0, 0
	for i := range 1500 {
		now := epoch.Add(time.Duration(random.IntN(100)) * time.Hour)
		row := testRow(fmt.Sprint(i), now)
		row.Generation, row.SecretPrev = uint64(random.IntN(3)), [16]byte{9}
		if one(20) {
			row.Generation = 1<<63 + uint64(random.IntN(3)) - 1
		}
		if one(8) {
			row.RevokedAt, row.EndReason = now, sessions.EndRevoked
		}
		row.ActorClaims = sessions.Claims{"scope": "ü"}
		create(t, s, row)
		p := sessions.Presented{Session: row.Key(), UserID: row.UserID, ClientID: row.ClientID, Generation: row.Generation, Secret: row.Secret}
		if one(5) {
			p.Generation += uint64(random.IntN(3)) - 1
		}
		for _, change := range []func(){
			func() { p.Secret = row.SecretPrev }, func() { p.UserID = "bob" }, func() { p.ClientID = "other" },
			func() { p.UserID, p.ClientID = p.UserID+p.ClientID, "" }, func() { p.Session.ID = "nobody" }, func() { p.Session.Realm = "other" },
		} {
			if one(20) {
				change()
			}
		}
		// The edges of idle and absolute end, and a clock that went back.
		clock.set(now.Add([]time.Duration{0, time.Minute, time.Hour - 1e6, time.Hour, -time.Minute, 24 * time.Hour}[random.IntN(6)]))
		fresh := sessions.Fresh{Secret: [16]byte{2, byte(i)}, KeyID: "key2", From: "192.0.2.1"}

		stored := get(t, s, row.Key())
		want, write, out := rules.Present(stored, &p, &fresh, s.Now())
		rotate := p.Session == row.Key() && write && out.Kind == sessions.EventRefreshed
		got, at, rotated, err := s.Rotate(ctx(), &p, &fresh)
		switch {
		case err != nil || rotated != rotate:
			t.Fatalf("row %d: rotated %t, not %t (%v): %+v by %+v", i, rotated, rotate, err, row, p)
		case !rotated:
			refusals++
			want = stored
		case !at.Equal(s.Now()) || !reflect.DeepEqual(got, want):
			t.Fatalf("row %d is answered as %+v at %v, not %+v", i, got, at, want)
		default:
			rotations++
		}
		if now := get(t, s, row.Key()); !reflect.DeepEqual(now, want) {
			t.Fatalf("row %d is stored as %+v, not %+v", i, now, want)
		}
	}
	if rotations < 200 || refusals < 200 {
		t.Errorf("%d rotations and %d refusals are too few to tell", rotations, refusals)
	}
}

// TestOfManyRotationsOfATokenOneWins rotates one token in many goroutines of two nodes.
func TestOfManyRotationsOfATokenOneWins(t *testing.T) {
	prefix := newPrefix()
	nodes := []*Store{openStore(t, Options{Prefix: prefix}), openStore(t, Options{Prefix: prefix})}
	row := create(t, nodes[0], testRow("contended", nodes[0].Now()))
	p := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Secret: row.Secret}
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			_, _, rotated, err := nodes[i%2].Rotate(ctx(), &p, &sessions.Fresh{Secret: [16]byte{byte(i), 7}, KeyID: "key"})
			if err != nil {
				t.Error(err)
			}
			if rotated {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d of 32 rotated the same token", n)
	}
	if now := get(t, nodes[1], row.Key()); now.Generation != 1 {
		t.Errorf("the session is at generation %d", now.Generation)
	}
}

// TestRevokingAtOnceEndsOnce revokes one session in many goroutines of two nodes.
func TestRevokingAtOnceEndsOnce(t *testing.T) {
	prefix := newPrefix()
	nodes := []*Store{openStore(t, Options{Prefix: prefix}), openStore(t, Options{Prefix: prefix})}
	for round := range 5 {
		row := create(t, nodes[0], testRow(fmt.Sprint("revoked-", round), nodes[0].Now()))
		var ended atomic.Int32
		var all sync.WaitGroup
		rows := make([]sessions.Session, 16)
		for i := range rows {
			all.Go(func() {
				got, mine, err := nodes[i%2].Revoke(ctx(), row.Key(), sessions.EndRevoked)
				if err != nil {
					t.Error(err)
				}
				if rows[i] = got; mine {
					ended.Add(1)
				}
			})
		}
		all.Wait()
		want := get(t, nodes[0], row.Key())
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

// TestAnUpdateLosesToNobody updates one session on two nodes, whose only meeting place
// is the server.
func TestAnUpdateLosesToNobody(t *testing.T) {
	prefix := newPrefix()
	nodes := []*Store{openStore(t, Options{Prefix: prefix}), openStore(t, Options{Prefix: prefix})}
	row := create(t, nodes[0], testRow("counter", nodes[0].Now()))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
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
	}
	all.Wait()
	if n := get(t, nodes[0], row.Key()).Generation; n != 200 {
		t.Errorf("%d of 200 updates are there", n)
	}
}

// TestARowThatWasReplacedIsNotUpdated has a row swept and created again while a
// transition thinks about the old one.
func TestARowThatWasReplacedIsNotUpdated(t *testing.T) {
	var clock testClock
	clock.set(epoch)
	s := openStore(t, Options{Now: clock.now})
	row := create(t, s, testRow("again", s.Now()))
	other := openStore(t, Options{Now: clock.now, Prefix: s.opts.Prefix})
	calls := 0
	_, err := s.Update(ctx(), row.Key(), func(got sessions.Session, _ time.Time) (sessions.Session, bool) {
		if calls++; calls == 1 {
			clock.advance(2 * time.Hour)
			if n, err := other.Sweep(ctx(), 10, nil); n != 1 || err != nil {
				t.Errorf("swept %d, %v", n, err)
			}
			again := testRow("again", other.Now())
			again.UserID = "bob"
			create(t, other, again)
		}
		got.Generation++
		return got, true
	})
	if err != nil {
		t.Fatal(err)
	}
	if now := get(t, s, row.Key()); now.UserID != "bob" || now.Generation != 1 || calls != 2 {
		t.Errorf("after %d calls the row is %q's at generation %d", calls, now.UserID, now.Generation)
	}
}
