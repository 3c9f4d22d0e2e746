package sessions_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/storetest"
)

// A rotating store does the common transitions in one step, as stores of many nodes do.
type rotating struct {
	*storetest.Memory
	err       error
	rotations int
	revoked   []sessions.EndReason
}

func (s *rotating) Rotate(ctx context.Context, p *sessions.Presented, fresh *sessions.Fresh) (row sessions.Session, at time.Time, rotated bool, err error) {
	if s.err != nil {
		return row, at, false, s.err
	}
	rules := sessions.Rotation{Permit: func(*sessions.Session) error { return nil }}
	row, err = s.Update(ctx, p.Session, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
		next, write, out := rules.Present(row, p, fresh, now)
		at, rotated = now, write && out.Err == nil
		return next, rotated
	})
	if errors.Is(err, sessions.ErrNotFound) {
		err = nil
	}
	if rotated {
		s.rotations++
	}
	return row, at, rotated, err
}

func (s *rotating) Revoke(ctx context.Context, key sessions.Key, reason sessions.EndReason) (row sessions.Session, ended bool, err error) {
	row, err = s.Update(ctx, key, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
		ended = row.RevokedAt.IsZero()
		if ended {
			row.RevokedAt, row.EndReason = now, reason
		}
		return row, ended
	})
	if ended {
		s.revoked = append(s.revoked, reason)
	}
	return row, ended, err
}

func newRotating(t *testing.T) (*world, *rotating) {
	t.Helper()
	w := newWorld(t)
	s := &rotating{Memory: w.store.(*storetest.Memory)}
	w.store = s
	w.use(s)
	return w, s
}

func TestRotator_RotatesTheLiveTokenAndLeavesOthersToTheTransition(t *testing.T) {
	w, s := newRotating(t)
	first := w.create(person("alice", nil), "alice")
	w.now = w.now.Add(time.Minute)
	second := w.refresh(first.RefreshToken, victim, event.Refreshed)
	if s.rotations != 1 || second.Session.Generation != 1 || !second.Now.Equal(w.now) || second.Session.RotatedFrom != victim {
		t.Errorf("%d rotations, generation %d from %s at %s", s.rotations, second.Session.Generation, second.Session.RotatedFrom, second.Now)
	}
	if again := w.refresh(first.RefreshToken, victim, event.Retried); again.RefreshToken != second.RefreshToken {
		t.Error("a retry gets another successor")
	}
	w.now = w.now.Add(grace)
	w.refused(first.RefreshToken, thief, event.Reuse, "used before")
	w.refused(second.RefreshToken, victim, event.Denied, "revoked")
	if s.rotations != 1 {
		t.Errorf("%d rotations", s.rotations)
	}
}

func TestRotator_ThePolicyIsAskedAfterwardsAndItsNoRevokes(t *testing.T) {
	w, s := newRotating(t)
	grant := w.create(person("alice", nil), "alice")
	w.manager.Policy = new(sessions.Policy)
	w.refused(grant.RefreshToken, victim, event.Revoked, "policy")
	if len(s.revoked) != 1 || s.revoked[0] != sessions.EndPolicy {
		t.Errorf("revoked for %v", s.revoked)
	}
	row, err := s.Get(t.Context(), grant.Session.Key())
	if err != nil || row.EndReason != sessions.EndPolicy {
		t.Errorf("the row ends for %q, %v", row.EndReason, err)
	}
}

func TestRotator_ACutoffHoldsForARotatedRow(t *testing.T) {
	w, s := newRotating(t)
	grant := w.create(person("alice", nil), "alice")
	must(t, w.watch().AddCutoff(t.Context(), issuer, sessions.Filter{User: "alice"}, sessions.Principal{Issuer: provider, Subject: "alice"}))
	w.refused(grant.RefreshToken, victim, event.Denied, "revoked")
	if len(s.revoked) != 0 {
		t.Errorf("revoked for %v", s.revoked)
	}
}

func TestRotator_AFaultIsNoVerdict(t *testing.T) {
	w, s := newRotating(t)
	grant := w.create(person("alice", nil), "alice")
	s.err = sessions.ErrUnavailable
	if got, err := w.try(grant.RefreshToken, victim); got != nil || !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, sessions.ErrGrant) {
		t.Errorf("got %v, %v", got, err)
	}
	s.err = nil
	w.refresh(grant.RefreshToken, victim, event.Refreshed)
}

func TestRotator_RevokesOnce(t *testing.T) {
	w, s := newRotating(t)
	grant := w.create(person("alice", nil), "alice")
	for range 2 {
		if n, err := w.manager.RevokeRows(t.Context(), []sessions.Key{grant.Session.Key()}, 1, sessions.Principal{}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(s.revoked) != 1 || s.revoked[0] != sessions.EndRevoked || w.last().Kind != event.Revoked || len(w.events) != 2 {
		t.Errorf("revoked for %v, %d events", s.revoked, len(w.events))
	}
}
