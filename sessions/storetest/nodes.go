package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
)

// FarAway is the latency in each direction of a node that is far from the store.
const FarAway = 20 * time.Millisecond

// RunNodes tests that a revocation revokes every session whose creation was acknowledged before the
// revocation was requested, and none that was requested after it was acknowledged, whichever of two
// nodes did what. open opens the same empty store twice, with a running clock: near, and with
// FarAway. If a process owns the store, use Far for the second.
func RunNodes(t *testing.T, open func(t *testing.T) (near, far sessions.Store)) {
	for _, check := range []struct {
		name string
		run  func(t *testing.T, near, far *node)
	}{
		{"what a node created another one revokes", createdElsewhere},
		{"what is created after a revocation lives", createdAfter},
		{"in one millisecond a node creates, revokes and creates", createdAtOnce},
	} {
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			near, far := open(t)
			nodes := newNodes(t, near, far)
			check.run(t, nodes[0], nodes[1])
		})
	}
}

// RunClocks tests that nodes agree on which tokens are valid, whatever their own clocks say. open
// opens the same store each time, with the clock of a node, which runs like time.Now but may be
// wrong.
func RunClocks(t *testing.T, open func(t *testing.T, clock func() time.Time) sessions.Store) {
	offs := []time.Duration{0, -2500 * time.Millisecond, 2500 * time.Millisecond, -time.Hour, time.Hour}
	stores := make([]sessions.Store, len(offs))
	for i, off := range offs {
		stores[i] = open(t, func() time.Time { return time.Now().Add(off) }) //nolint:forbidigo // a machine with a wrong clock
	}
	nodes := newNodes(t, stores...)
	for i, one := range nodes {
		user := fmt.Sprint("user ", i)
		before := one.create(user)
		last := wantLive(before, nodes...)
		nodes[len(nodes)-1-i].revokeAll(user, 1)
		nodes[len(nodes)-1-i].wantOver(last, nodes...)
		wantLive(one.create(user), nodes...)
	}
}

// rounds is how often each node does each thing.
const rounds = 30

// A node is a manager of the store, with its watcher.
type node struct {
	*sessions.Manager
	t        *testing.T
	watch    *revocation.Watcher
	verifier *bearer.Verifier
}

// newNodes creates a node for each of the stores. They have the same keys.
func newNodes(t *testing.T, stores ...sessions.Store) []*node {
	t.Helper()
	keys := keyring.New()
	for _, ring := range []*keyring.Ring{keys.Refresh, keys.Access} {
		plan := keyring.Schedule{Algorithm: "EdDSA"}
		records, _, err := plan.Plan(nil, stores[0].Now())
		if err == nil {
			err = ring.Set(records)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	life := sessions.Lifetimes{TTL: time.Hour, MaxTTL: time.Hour, Idle: time.Hour}
	var watch *revocation.Watcher
	nodes := make([]*node, len(stores))
	for i, store := range stores {
		if _, shared := sessions.As[revocation.Feed](store); shared || watch == nil {
			watch = watchStore(t, store)
		}
		nodes[i] = &node{t: t, watch: watch, Manager: &sessions.Manager{
			Realm: realm, Store: store, Revocations: watch, Policy: &sessions.Policy{AllowSelf: true}, Trusted: func(string) *sessions.Trust { return &sessions.Trust{Name: provider, Users: true} },
			Minter: &sessions.Minter{Issuer: realm, RefreshAudience: realm, AccessAudience: []string{realm}, AccessTTL: time.Minute, Keys: keys},
			Own:    life, Impersonation: life, MaxPerUser: 100,
		}}
		err := watch.LoadCutoffs(t.Context(), realm)
		if err == nil {
			nodes[i].verifier, err = bearer.New(bearer.Config{Issuers: []bearer.Issuer{
				{Name: realm, Keys: keys.Access, Audiences: []string{realm}, Own: true, Leeway: leeway, Now: store.Now},
			}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return nodes
}

const (
	provider = "https://idp.example.com"
	leeway   = 2 * time.Second // between two nodes' estimates of the store's clock
)

// watchStore follows the revocations of a store until the test ends.
func watchStore(t *testing.T, store sessions.Store) *revocation.Watcher {
	t.Helper()
	watch := &revocation.Watcher{Store: store}
	if err := watch.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	over := make(chan struct{})
	go func() {
		defer close(over)
		watch.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return watch
}

func caller(user string) *sessions.Caller {
	return &sessions.Caller{Principal: sessions.Principal{Issuer: provider, Subject: user}, ClientID: "app", User: true}
}

func (n *node) create(user string) *sessions.Grant {
	n.t.Helper()
	grant, err := n.Create(n.t.Context(), &sessions.CreateRequest{Caller: caller(user), UserID: user})
	if err != nil {
		n.t.Fatal(err)
	}
	return grant
}

// revokeAll revokes all sessions of the user, and expects that many.
func (n *node) revokeAll(user string, want int) {
	n.t.Helper()
	rights, err := n.RightsOf(caller(user), "192.0.2.1")
	if err != nil {
		n.t.Fatal(err)
	}
	got, err := n.RevokeAll(n.t.Context(), rights, sessions.Filter{User: user}, "", false)
	if err != nil || got != (sessions.Revocation{Revoked: want}) {
		n.t.Errorf("revoked are %+v, not %d: %v", got, want, err)
	}
}

// wantOver expects that the session is over here at once, and on the others as soon as they hear of
// it.
func (n *node) wantOver(grant *sessions.Grant, others ...*node) {
	n.t.Helper()
	ref := grant.Session.Ref()
	if ended, err := n.watch.Revoked(n.t.Context(), ref); !ended {
		n.t.Errorf("a session that was revoked lives on: %v", err)
	}
	for _, node := range append(others, n) {
		if _, err := node.Refresh(n.t.Context(), &sessions.RefreshRequest{Token: grant.RefreshToken}); !errors.Is(err, sessions.ErrGrant) {
			n.t.Errorf("a session that was revoked is refreshed: %v", err)
		}
		node.hears(&ref)
	}
}

// hears waits until the node knows that the session was revoked.
func (n *node) hears(ref *sessions.Ref) {
	n.t.Helper()
	changes, stop := n.watch.Deny.Changes()
	defer stop()
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	for {
		if n.watch.Deny.Revoked(ref) {
			return
		}
		select {
		case <-changes:
		case <-ctx.Done():
			n.t.Fatal("a node hears nothing of a revocation")
		}
	}
}

// wantLive expects that the session is live on all nodes, whatever they have heard, and returns the
// result of the last refresh.
func wantLive(grant *sessions.Grant, nodes ...*node) *sessions.Grant {
	for _, n := range nodes {
		n.t.Helper()
		for _, node := range nodes {
			node.takes(grant)
		}
		next, err := n.Refresh(n.t.Context(), &sessions.RefreshRequest{Token: grant.RefreshToken})
		if err != nil {
			n.t.Errorf("a session that nobody revoked is not refreshed: %v", err)
			return grant
		}
		grant = next
	}
	return grant
}

// takes expects that the node accepts the access token.
func (n *node) takes(grant *sessions.Grant) {
	n.t.Helper()
	who, err := n.verifier.VerifyOwn(n.t.Context(), grant.AccessToken)
	if err != nil {
		n.t.Errorf("a fresh access token is refused: %v", err)
		return
	}
	if ended, err := n.Revoked(n.t.Context(), who); ended || err != nil {
		n.t.Errorf("a session that nobody revoked is over: %v", err)
	}
}

// users calls play for rounds users with that name, a few concurrently.
func users(name string, play func(user string)) {
	const atOnce = 6
	Together(atOnce, func(i int) {
		for round := i; round < rounds; round += atOnce {
			play(fmt.Sprint(name, " ", round))
		}
	})
}

func createdElsewhere(_ *testing.T, near, far *node) {
	for _, way := range [][2]*node{{near, far}, {far, near}} {
		creates, revokes := way[0], way[1]
		users(fmt.Sprint("near ", creates == near), func(user string) {
			grants := []*sessions.Grant{creates.create(user), creates.create(user)}
			revokes.revokeAll(user, 2)
			for _, grant := range grants {
				revokes.wantOver(grant, creates)
			}
		})
	}
}

func createdAfter(t *testing.T, near, far *node) {
	for _, way := range [][2]*node{{near, far}, {far, near}} {
		revokes, creates := way[0], way[1]
		users(fmt.Sprint("near ", creates == near), func(user string) {
			before := revokes.create(user)
			revokes.revokeAll(user, 1)
			after := creates.create(user)
			wantLive(after, creates, revokes)
			revokes.wantOver(before, creates)
			wantLive(creates.create(user), revokes, creates)
			ref := after.Session.Ref()
			for _, n := range way {
				if n.watch.Deny.Revoked(&ref) {
					t.Error("a session that nobody revoked is over once the revocation before it is heard of")
				}
			}
		})
		for _, n := range way { // without sessions
			n.revokeAll("nobody "+fmt.Sprint(n == near), 0)
		}
	}
	if all, err := near.Store.(revocation.Store).Cutoffs(t.Context(), realm); err != nil || len(all) < rounds+2 {
		t.Errorf("%d cutoffs are kept, of %d at least: %v", len(all), rounds+2, err)
	}
}

func createdAtOnce(_ *testing.T, near, _ *node) {
	users("user", func(user string) {
		last := near.create(user)
		for range 10 {
			near.revokeAll(user, 1)
			next := near.create(user)
			near.wantOver(last)
			last = next
		}
		wantLive(last, near)
	})
}
