package sessions_test

import (
	"errors"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

const day = 24 * time.Hour

// rotated is a world whose keys come from a schedule, as in service.
func rotated(t *testing.T) (w *world, tick func(time.Duration)) {
	t.Helper()
	w = newWorld(t)
	refresh := &keyring.Schedule{Algorithm: jose.EdDSA, Rotate: 30 * day, Publish: time.Hour, Keep: 366 * day}
	access := &keyring.Schedule{Algorithm: jose.ES256, Rotate: 30 * day, Publish: time.Hour, Keep: accessTTL + time.Hour}
	var refreshKeys, accessKeys []keyring.Record
	tick = func(d time.Duration) {
		t.Helper()
		w.now = w.now.Add(d)
		var err error
		refreshKeys, _, err = refresh.Plan(refreshKeys, w.now)
		must(t, err)
		accessKeys, _, err = access.Plan(accessKeys, w.now)
		must(t, err)
		must(t, w.keys.Refresh.Set(refreshKeys))
		must(t, w.keys.Access.Set(accessKeys))
	}
	tick(0)
	return w, tick
}

// A retry is answered with the same bytes also when the key that signed them has
// retired between the transition and the retry.
func TestRotate_ARetiredKeyMintsTheSameSuccessor(t *testing.T) {
	w, tick := rotated(t)
	g := w.create(person("alice", nil), "alice", 365*day)
	for range 2 {
		tick(10 * day)
		g = w.refresh(g.RefreshToken, victim, event.Refreshed)
	}
	tick(10*day - time.Hour) // the next key is shown
	tick(time.Hour - time.Second)
	old, err := w.keys.Refresh.Signing(w.now)
	must(t, err)
	next := w.refresh(g.RefreshToken, victim, event.Refreshed)
	if parsed, err := jose.Parse(next.RefreshToken); err != nil || parsed.Header.KeyID != old.ID() {
		t.Errorf("signed by another key than that of the hour: %v", err)
	}
	tick(grace - time.Second)
	if now, err := w.keys.Refresh.Signing(w.now); err != nil || now.ID() == old.ID() {
		t.Fatal("no key retired: nothing is tested")
	}
	again := w.refresh(g.RefreshToken, victim, event.Retried)
	if again.RefreshToken != next.RefreshToken {
		t.Error("a retry after a rotation of keys got another successor")
	}
	if after := w.refresh(next.RefreshToken, victim, event.Refreshed); after.Session.KeyID == old.ID() {
		t.Error("the key that retired signs new tokens")
	}
}

// Keys come and go for a year; a session that is used each 13 days goes on until
// its end, and its access tokens verify as long as they live.
func TestRotate_NoTokenDiesOfIt(t *testing.T) {
	w, tick := rotated(t)
	g := w.create(person("alice", nil), "alice", 365*day)
	signers, accessSigners := map[string]bool{}, map[string]bool{}
	for range 27 {
		for range 13 * 12 {
			tick(2 * time.Hour)
		}
		g = w.refresh(g.RefreshToken, victim, event.Refreshed)
		signers[g.Session.KeyID] = true
		for range 3 {
			tick(accessTTL/3 - time.Second)
			verifyAccess(t, w, g, accessSigners)
		}
	}
	if len(signers) < 10 || len(accessSigners) < 10 {
		t.Errorf("%d and %d keys signed in a year: nothing is tested", len(signers), len(accessSigners))
	}
	if n := len(w.keys.Access.Public()); n > 2 {
		t.Errorf("%d access keys are kept", n)
	}
}

func verifyAccess(t *testing.T, w *world, g *sessions.Grant, signers map[string]bool) {
	t.Helper()
	parsed, err := jose.Parse(g.AccessToken)
	must(t, err)
	key, err := w.keys.Access.Key(t.Context(), parsed.Header.KeyID, jose.Algorithm(parsed.Header.Algorithm))
	must(t, err)
	if err := parsed.Verify(key, nil); err != nil {
		t.Fatal(err)
	}
	signers[key.ID()] = true
}

// A refresh token that was never used lives as long as its session, whatever
// became of the key.
func TestRotate_AnUnusedTokenLivesAsLongAsItsSession(t *testing.T) {
	w, tick := rotated(t)
	w.reload(func(m *sessions.Manager) { m.Own.Idle = 365 * day })
	g := w.create(person("alice", nil), "alice", 365*day)
	for range 364 {
		tick(day)
	}
	w.refresh(g.RefreshToken, victim, event.Refreshed)
}

// The refresh token of a key that this node has not seen is kept by its client.
func TestRing_ATokenOfAnotherNodesKeyIsNotRefused(t *testing.T) {
	w := newWorld(t)
	g := w.create(person("alice", nil), "alice", day)
	mine := keyring.NewRing(keyring.RefreshTokenType)
	must(t, mine.Set([]keyring.Record{{From: w.now, Key: generate(t, jose.EdDSA)}}))
	theirs := w.keys.Refresh
	w.keys.Refresh = mine
	refresh := func() error {
		_, err := w.manager.Refresh(t.Context(), &sessions.RefreshRequest{Token: g.RefreshToken, IP: victim})
		return err
	}
	mine.Now = func() time.Time { return w.now }
	mine.CompleteUntil(w.now)
	if err := refresh(); !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, sessions.ErrGrant) {
		t.Errorf("while it may be another node's: %v", err)
	}
	mine.CompleteUntil(w.now.Add(time.Second))
	if err := refresh(); !errors.Is(err, sessions.ErrGrant) || errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("when it is nobody's: %v", err)
	}
	w.keys.Refresh = theirs
	must(t, refresh())
}
