package sessions_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"authsidecar/sessions"
)

// Covers M4.
func TestRefresh_ASessionStaysOfItsKind(t *testing.T) {
	m := newManager(t, start())
	m.Policy.AllowSelf = false
	grant := mustCreate(t, m, caller("alice", "act"), "alice") // by the rule: an impersonation
	m.Policy = &sessions.Policy{AllowSelf: true}
	if _, err := m.Refresh(context.Background(), &sessions.RefreshRequest{Token: grant.RefreshToken}); !errors.Is(err, sessions.ErrGrant) {
		t.Errorf("%v, want ErrGrant: the rule is gone", err)
	}
}

func TestCreate_ARepeatIsOfTheSameKind(t *testing.T) {
	m := newManager(t, start())
	request := &sessions.CreateRequest{Caller: caller("alice", "act"), UserID: "alice", IdempotencyKey: "k"}
	if grant, err := m.Create(context.Background(), request); err != nil || grant.Session.Impersonation {
		t.Fatalf("%+v %v", grant, err)
	}
	m.Policy.AllowSelf = false
	if _, err := m.Create(context.Background(), request); !errors.Is(err, sessions.ErrIdempotencySpent) {
		t.Errorf("%v, want ErrIdempotencySpent: it would be an impersonation now", err)
	}
}

func TestCurrent_TheTokenBeforeCountsWithinGraceAlone(t *testing.T) {
	c := start()
	m := newManager(t, c)
	first := mustCreate(t, m, caller("alice"), "alice")
	second, err := m.Refresh(context.Background(), &sessions.RefreshRequest{Token: first.RefreshToken})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		token string
		after time.Duration
		good  bool
	}{
		{first.RefreshToken, m.Grace - time.Millisecond, true},
		{second.RefreshToken, 0, true},
		{first.RefreshToken, time.Millisecond, false},
		{second.RefreshToken, 0, false}, // the session was revoked: that was a reuse
	} {
		c.forward(tt.after)
		if _, err := m.Current(context.Background(), &sessions.RefreshRequest{Token: tt.token}); (err == nil) != tt.good {
			t.Errorf("after %v: %v, want good %v", tt.after, err, tt.good)
		}
	}
}
