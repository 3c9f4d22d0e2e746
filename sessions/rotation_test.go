package sessions

import (
	"errors"
	"testing"
	"time"

	"authsidecar/sessions/event"
)

var (
	t0     = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	permit = func(*Session) error { return nil }
)

func secret(b byte) (s [SecretSize]byte) {
	for i := range s {
		s[i] = b
	}
	return s
}

// liveRow is at generation 5: secret 5 is live, 4 was before it.
func liveRow() Session {
	return Session{
		Realm: "r", ID: "id", UserID: "alice", ClientID: "app", CreatedAt: t0.Add(-time.Hour), ExpiresAt: t0.Add(24 * time.Hour),
		Idle: time.Hour, Generation: 5, Secret: secret(5), SecretPrev: secret(4), KeyID: "k5", RotatedAt: t0,
	}
}

// Covers S1, S4.
func TestRotation_EachRowOfTheTable(t *testing.T) {
	const grace = 30 * time.Second
	no := errors.New("no")
	tests := []struct {
		name    string
		change  func(*Session, *Presented, *Rotation)
		after   time.Duration
		kind    event.Kind
		want    error
		write   bool
		revoked EndReason
	}{
		{"live", nil, time.Minute, event.Refreshed, nil, true, ""},
		{"live, after the clock went back", nil, -time.Minute, event.Refreshed, nil, true, ""},
		{"live, with another secret", func(_ *Session, p *Presented, _ *Rotation) { p.Secret = secret(9) }, 0, event.StoreBehind, errStoreBehind, true, EndStoreBehind},
		{"live, with the secret before", func(_ *Session, p *Presented, _ *Rotation) { p.Secret = secret(4) }, 0, event.StoreBehind, errStoreBehind, true, EndStoreBehind},
		{"before, within grace", before, grace - 1, event.Retried, nil, false, ""},
		{"before, at the end of grace", before, grace, event.Reuse, errGraceExpired, true, EndReuse},
		{"before, long after", before, time.Minute, event.Reuse, errReuse, true, EndReuse},
		{"before, after the clock went back", before, -time.Hour, event.Retried, nil, false, ""},
		{"before, with another secret", func(_ *Session, p *Presented, _ *Rotation) { p.Generation, p.Secret = 4, secret(9) }, 0, event.Reuse, errReuse, true, EndReuse},
		{"before, without grace", func(s *Session, p *Presented, r *Rotation) { before(s, p, r); r.Grace = 0 }, 0, event.Reuse, errGraceExpired, true, EndReuse},
		{"two before", func(_ *Session, p *Presented, _ *Rotation) { p.Generation, p.Secret = 3, secret(3) }, 0, event.Reuse, errReuse, true, EndReuse},
		{"two before, with the previous secret", func(_ *Session, p *Presented, _ *Rotation) { p.Generation, p.Secret = 3, secret(4) }, 0, event.Reuse, errReuse, true, EndReuse},
		{"ahead", func(_ *Session, p *Presented, _ *Rotation) { p.Generation, p.Secret = 6, secret(6) }, 0, event.StoreBehind, errStoreBehind, true, EndStoreBehind},
		{"of another user", func(_ *Session, p *Presented, _ *Rotation) { p.UserID = "bob" }, 0, event.Denied, errForeign, false, ""},
		{"of another client", func(_ *Session, p *Presented, _ *Rotation) { p.ClientID = "other" }, 0, event.Denied, errForeign, false, ""},
		{"of a revoked session", func(s *Session, _ *Presented, _ *Rotation) { s.RevokedAt = t0 }, 0, event.Denied, errRevoked, false, ""},
		{"reuse of a revoked session", func(s *Session, p *Presented, _ *Rotation) { s.RevokedAt, p.Generation = t0, 2 }, 0, event.Denied, errRevoked, false, ""},
		{"just before the idle end", nil, time.Hour - 1, event.Refreshed, nil, true, ""},
		{"at the idle end", nil, time.Hour, event.Denied, errIdle, false, ""},
		{"just before the absolute end", late, 24*time.Hour - 1, event.Refreshed, nil, true, ""},
		{"at the absolute end", late, 24 * time.Hour, event.Denied, errExpired, false, ""},
		{"the policy changed its mind", func(_ *Session, _ *Presented, r *Rotation) { r.Permit = func(*Session) error { return no } }, 0, event.Revoked, no, true, EndPolicy},
		{"the policy changed its mind before a retry", func(s *Session, p *Presented, r *Rotation) {
			before(s, p, r)
			r.Permit = func(*Session) error { return no }
		}, 0, event.Revoked, errPolicy, true, EndPolicy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			row, rules := liveRow(), &Rotation{Grace: grace, Permit: permit}
			p := &Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Generation: 5, Secret: secret(5)}
			if tt.change != nil {
				tt.change(&row, p, rules)
			}
			now := t0.Add(tt.after)
			next, write, out := rules.Present(row, p, &Fresh{Secret: secret(6), KeyID: "k6", From: "192.0.2.1"}, now)
			if out.Kind != tt.kind || write != tt.write || !errors.Is(out.Err, tt.want) || (tt.want == nil) != (out.Err == nil) {
				t.Fatalf("got %q %v write=%v, want %q %v write=%v", out.Kind, out.Err, write, tt.kind, tt.want, tt.write)
			}
			if tt.want != nil && !errors.Is(out.Err, ErrGrant) {
				t.Errorf("%v is not ErrGrant", out.Err)
			}
			if next.EndReason != tt.revoked || (tt.revoked != "") != next.RevokedAt.Equal(now) && tt.revoked != "" {
				t.Errorf("ended %q at %v", next.EndReason, next.RevokedAt)
			}
			if out.Kind == event.Refreshed {
				checkSuccessor(t, row, next, now)
			}
		})
	}
}

func before(_ *Session, p *Presented, _ *Rotation) { p.Generation, p.Secret = 4, secret(4) }

func late(s *Session, _ *Presented, _ *Rotation) { s.Idle = 48 * time.Hour }

func checkSuccessor(t *testing.T, row, next Session, now time.Time) {
	t.Helper()
	if next.Generation != row.Generation+1 || next.Secret != secret(6) || next.SecretPrev != row.Secret || next.KeyID != "k6" {
		t.Errorf("successor %+v", next)
	}
	if next.RotatedAt.Before(row.RotatedAt) || now.After(row.RotatedAt) && !next.RotatedAt.Equal(now) {
		t.Errorf("rotated at %v", next.RotatedAt)
	}
	if !next.ExpiresAt.Equal(row.ExpiresAt) {
		t.Errorf("a refresh moved the absolute end to %v", next.ExpiresAt)
	}
}
