package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
)

// A machine has a clock that somebody sets, and a log.
type machine struct {
	passed, off time.Duration // since the test began; how far its clock is off
	said        bytes.Buffer
}

var right = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

func (m *machine) wall() time.Time        { return right.Add(m.passed + m.off) }
func (m *machine) log() *slog.Logger      { return slog.New(slog.NewTextHandler(&m.said, nil)) }
func (m *machine) logged(what string) int { return strings.Count(m.said.String(), what) }

// follow has a clock go by the machine, as time.Now does.
func (m *machine) follow(c *clock) {
	begin := m.passed
	c.elapsed = func(time.Time) time.Duration { return m.passed - begin }
}

func (m *machine) clock() *clock {
	c := newClock(m.wall, m.log())
	m.follow(c)
	return c
}

// A second of a machine whose clock is set, and what the store's clock says then, before
// or after the right time.
func TestS6_TheClockOfTheStoreNeverRunsBack(t *testing.T) {
	const ms = time.Millisecond
	for name, steps := range map[string][]struct{ pass, set, want time.Duration }{
		"that is right":         {{0, 0, 0}, {time.Second, 0, 0}, {time.Hour, 0, 0}},
		"that is corrected":     {{time.Second, 3 * ms, 3 * ms}, {time.Second, -3 * ms, 0}},
		"that is set back":      {{0, -40 * time.Second, 0}, {time.Second, 0, -500 * ms}, {39 * time.Second, 0, -20 * time.Second}, {time.Hour, 0, -40 * time.Second}},
		"that is set back far":  {{0, -time.Hour, 0}, {time.Hour, 0, -30 * time.Minute}, {time.Hour, 0, -time.Hour}, {time.Hour, 0, -time.Hour}},
		"that is ahead a while": {{0, 40 * time.Second, 0}, {10 * time.Second, 0, 10 * time.Second}, {time.Minute, 0, 40 * time.Second}, {0, -40 * time.Second, 40 * time.Second}, {20 * time.Second, 0, 30 * time.Second}, {time.Minute, 0, 0}},
		"that is set forward":   {{time.Second, time.Minute, time.Second}, {time.Minute, 0, time.Minute}},
		"that is set far":       {{time.Second, time.Minute + time.Second, time.Minute + time.Second}, {time.Second, time.Hour, time.Hour + time.Minute + time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			m := new(machine)
			c := m.clock()
			last := c.read()
			for i, step := range steps {
				m.off += step.set
				for range 100 { // however often it is read
					m.passed += step.pass / 100
					now := c.read()
					if now < last {
						t.Fatalf("step %d: the clock ran back by %d ms", i, last-now)
					}
					last = now
				}
				off := fromMillis(last).Sub(right.Add(m.passed))
				if apart := (off - step.want).Abs(); apart > 2*ms {
					t.Errorf("step %d: the clock is off by %v, not %v", i, off, step.want)
				}
			}
		})
	}
}

func TestTheLogSaysThatTheClockOfTheMachineWasSetBack(t *testing.T) {
	m := new(machine)
	c := m.clock()
	back, over := "was set back", "has reached"
	for i, step := range []struct {
		pass, set  time.Duration
		back, over int
	}{
		{time.Second, 0, 0, 0},
		{time.Second, -900 * time.Millisecond, 0, 0},
		{time.Minute, -40 * time.Second, 1, 0},
		{10 * time.Second, 0, 1, 0},
		{time.Minute, 0, 1, 1},
		{time.Second, -time.Hour, 2, 1},
		{time.Second, time.Hour, 2, 2},
	} {
		m.passed += step.pass
		m.off += step.set
		for range 10 {
			m.passed += time.Millisecond
			c.read()
		}
		if m.logged(back) != step.back || m.logged(over) != step.over {
			t.Errorf("step %d: the log says %s", i, m.said.String())
		}
	}
}

// A node is a manager of a store in a directory, and who verifies its access tokens.
type clockNode struct {
	*sessions.Manager
	t        *testing.T
	m        *machine
	dir      string
	store    *Store
	watch    *revocation.Watcher
	verifier *bearer.Verifier
}

func newClockNode(t *testing.T) *clockNode {
	t.Helper()
	n := &clockNode{t: t, m: new(machine), dir: filepath.Join(t.TempDir(), "store")}
	keys := keyring.New()
	for _, ring := range []*keyring.Ring{keys.Refresh, keys.Access} {
		plan := keyring.Schedule{Algorithm: "EdDSA"}
		records, _, err := plan.Plan(nil, right)
		n.must(err)
		n.must(ring.Set(records))
	}
	life := sessions.Lifetimes{TTL: 24 * time.Hour, MaxTTL: 24 * time.Hour, Idle: 12 * time.Hour}
	n.Manager = &sessions.Manager{
		Realm: "https://app.example.com", Policy: &sessions.Policy{AllowSelf: true}, Trusted: func(string) *sessions.Trust { return &sessions.Trust{Name: "https://idp.example.com", Users: true} },
		Minter: &sessions.Minter{
			Issuer: "https://app.example.com", RefreshAudience: "here", AccessAudience: []string{"app"}, AccessTTL: 10 * time.Minute, Keys: keys,
		},
		Own: life, Impersonation: life, Grace: 30 * time.Second,
	}
	n.open()
	var err error
	n.verifier, err = bearer.New(bearer.Config{Now: func() time.Time { return n.store.Now() }, Issuers: []bearer.Issuer{
		{Name: n.Realm, Keys: keys.Access, Audiences: []string{"app"}, Own: true},
	}})
	n.must(err)
	return n
}

func (n *clockNode) open() {
	n.t.Helper()
	n.store = openStore(n.t, Options{Dir: n.dir, Now: n.m.wall, Log: n.m.log()})
	n.m.follow(n.store.clock)
	n.watch = &revocation.Watcher{Store: n.store}
	n.Store, n.Revocations = n.store, n.watch
	n.must(n.watch.Start(ctx()))
	n.must(n.watch.LoadCutoffs(ctx(), n.Realm))
}

// restart is what an operator does, or a crash, while the clock of the machine is set.
func (n *clockNode) restart(set time.Duration) {
	n.t.Helper()
	n.must(n.store.Close())
	n.m.off += set
	n.open()
}

func (n *clockNode) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// pass lets time pass.
func (n *clockNode) pass(d time.Duration) { n.m.passed += d }

func (n *clockNode) caller(user string) *sessions.Caller {
	return &sessions.Caller{Principal: sessions.Principal{Issuer: "https://idp.example.com", Subject: user}, ClientID: "app", User: true}
}

func (n *clockNode) create(user string) *sessions.Grant {
	n.t.Helper()
	grant, err := n.Create(ctx(), &sessions.CreateRequest{Caller: n.caller(user), UserID: user})
	n.must(err)
	n.wantAccess(grant)
	return grant
}

func (n *clockNode) refresh(grant *sessions.Grant) *sessions.Grant {
	n.t.Helper()
	next, err := n.Refresh(ctx(), &sessions.RefreshRequest{Token: grant.RefreshToken})
	n.must(err)
	n.wantAccess(next)
	return next
}

// wantAccess expects that the access token is good for as long as it says.
func (n *clockNode) wantAccess(grant *sessions.Grant) {
	n.t.Helper()
	who, err := n.verifier.VerifyOwn(ctx(), grant.AccessToken)
	n.must(err)
	if ended, err := n.Revoked(ctx(), who); ended || err != nil {
		n.t.Errorf("the access token is over, %v", err)
	}
	if life := who.ExpiresAt.Sub(n.store.Now()); life < 9*time.Minute || life > 10*time.Minute {
		n.t.Errorf("the access token is good for %v", life)
	}
}

func (n *clockNode) revokeAll(user string, want int) {
	n.t.Helper()
	rights, err := n.RightsOf(n.caller(user), "192.0.2.1")
	n.must(err)
	got, err := n.RevokeAll(ctx(), rights, sessions.Filter{User: user}, "", false)
	if err != nil || got.Revoked != want {
		n.t.Errorf("revoked are %+v, %v", got, err)
	}
}

func (n *clockNode) wantOver(grant *sessions.Grant) {
	n.t.Helper()
	if _, err := n.Refresh(ctx(), &sessions.RefreshRequest{Token: grant.RefreshToken}); !errors.Is(err, sessions.ErrGrant) {
		n.t.Errorf("a session that was revoked is refreshed: %v", err)
	}
	if ended, err := n.watch.Revoked(ctx(), grant.Session.Ref()); !ended {
		n.t.Errorf("a session that was revoked lives on: %v", err)
	}
}

// The clock is 40 s ahead for a while, then right again, in a store that goes on or that
// is opened again each time.
func TestS6_TheClockIsPutBack(t *testing.T) {
	for name, set := range map[string]func(n *clockNode, by time.Duration){
		"while the store is open": func(n *clockNode, by time.Duration) { n.m.off += by },
		"while it is not":         (*clockNode).restart,
	} {
		for _, ahead := range []time.Duration{40 * time.Second, time.Hour} {
			t.Run(name+", by "+ahead.String(), func(t *testing.T) {
				n := newClockNode(t)
				before, cut := n.create("alice"), n.create("bob")
				n.pass(time.Minute)
				set(n, ahead)
				n.pass(time.Minute)
				while := n.create("alice")
				n.revokeAll("bob", 1)
				before = n.refresh(before)
				n.pass(time.Minute)
				set(n, -ahead)
				n.pass(time.Second)

				// Whose others were ended has new ones.
				n.wantOver(cut)
				again := n.create("bob")
				n.refresh(again)
				// Who was refreshed while it was ahead is refreshed, and so is who was not.
				before, while = n.refresh(before), n.refresh(while)
				n.pass(5 * time.Second)
				n.refresh(before)
				// What was made while it was ahead is ended.
				n.revokeAll("alice", 2)
				n.wantOver(before)
				n.wantOver(while)
				n.create("alice")
			})
		}
	}
}

// An answer got lost just before the clock was set: the token that comes again is no
// stolen one. Half a minute is as long as it was.
func TestS6_ARetryIsNoReuseWhileTheClockIsSet(t *testing.T) {
	for _, set := range [][]time.Duration{{40 * time.Second}, {40 * time.Second, -40 * time.Second}, {-40 * time.Second}, {-time.Hour, time.Hour}} {
		n := newClockNode(t)
		first := n.create("alice")
		n.pass(time.Minute)
		next := n.refresh(first)
		for _, by := range set {
			n.m.off += by
			n.pass(5 * time.Second)
			if retry := n.refresh(first); retry.RefreshToken != next.RefreshToken {
				t.Errorf("after %v a retry gets another successor", set)
			}
		}
		n.pass(time.Minute)
		if _, err := n.Refresh(ctx(), &sessions.RefreshRequest{Token: first.RefreshToken}); !errors.Is(err, sessions.ErrGrant) {
			t.Errorf("after %v a token that was stolen is good for more than a minute: %v", set, err)
		}
		n.wantOver(next)
	}
}

// TestTheClockGoesOnWhereItWasStored has a machine whose clock is set back meanwhile.
func TestTheClockGoesOnWhereItWasStored(t *testing.T) {
	n := newClockNode(t)
	n.pass(time.Hour)
	n.create("alice")
	stored := n.store.Now()
	copied := filepath.Join(t.TempDir(), "copy")
	n.must(n.store.Checkpoint(ctx(), copied)) // as after a crash: nobody closed it
	for name, dir := range map[string]string{"that was closed": n.dir, "that was not": copied} {
		n.m.off = -3 * time.Hour
		if dir == n.dir {
			n.must(n.store.Close())
		}
		n.m.said.Reset()
		s := openStore(t, Options{Dir: dir, Now: n.m.wall, Log: n.m.log()})
		if now := s.Now(); now.Before(stored) {
			t.Errorf("%s: it is %v earlier than it was", name, stored.Sub(now))
		}
		if n.m.logged("was set back") != 1 || n.m.logged("behind=3h") != 1 {
			t.Errorf("%s: the log says %q", name, n.m.said.String())
		}
	}
}

// TestAStoreWithoutAClock is of an earlier release.
func TestAStoreWithoutAClock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for _, c := range []struct {
		value []byte
		want  error
	}{{nil, nil}, {[]byte("short"), ErrCorrupt}} {
		s := openStore(t, Options{Dir: dir})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := pebble.Open(dir, &pebble.Options{Comparer: comparer, FormatMajorVersion: formatVersion})
		if err != nil {
			t.Fatal(err)
		}
		if c.value == nil {
			err = db.Delete([]byte{kindClock}, pebble.Sync)
		} else {
			err = db.Set([]byte{kindClock}, c.value, pebble.Sync)
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		again, err := Open(Options{Dir: dir})
		if !errors.Is(err, c.want) {
			t.Errorf("a clock %q: %v, not %v", c.value, err, c.want)
		}
		if err == nil {
			if _, created, _, err := again.Create(context.Background(), sessions.Session{Realm: "r", ID: "i", UserID: "u", Idle: time.Hour}); !created || err != nil {
				t.Error(created, err)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
