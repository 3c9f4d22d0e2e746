package sessions

import (
	"errors"
	"reflect"
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
		{"cookies: before, not confirmed, just after the rotation", cookies(0), grace/2 - 1, event.Retried, nil, false, ""},
		{"cookies: before, not confirmed, at half of grace", cookies(0), grace / 2, event.Retried, nil, true, ""},
		{"cookies: before, not confirmed, after grace", cookies(0), grace + time.Minute, event.Retried, nil, true, ""},
		{"cookies: before, not confirmed, just before the idle end", cookies(0), time.Hour - 1, event.Retried, nil, true, ""},
		{"cookies: before, not confirmed, at the idle end", cookies(0), time.Hour, event.Denied, errIdle, false, ""},
		{"cookies: before, not confirmed, at the absolute end", func(s *Session, p *Presented, r *Rotation) { cookies(0)(s, p, r); late(s, p, r) }, 24 * time.Hour, event.Denied, errExpired, false, ""},
		{"cookies: before, not confirmed, after the clock went back", cookies(0), -time.Hour, event.Retried, nil, false, ""},
		{"cookies: before, not confirmed, without grace", func(s *Session, p *Presented, r *Rotation) { cookies(0)(s, p, r); r.Grace = 0 }, 0, event.Retried, nil, false, ""},
		{"cookies: before, confirmed, within grace of that", cookies(10 * time.Minute), 10*time.Minute + grace - 1, event.Retried, nil, true, ""},
		{"cookies: before, confirmed, at the end of grace", cookies(10 * time.Minute), 10*time.Minute + grace, event.Reuse, errGraceExpired, true, EndReuse},
		{"cookies: before, confirmed, after the clock went back", cookies(10 * time.Minute), time.Second, event.Retried, nil, false, ""},
		{"cookies: before, confirmed, without grace", func(s *Session, p *Presented, r *Rotation) { cookies(time.Minute)(s, p, r); r.Grace = 0 }, time.Minute, event.Reuse, errGraceExpired, true, EndReuse},
		{"cookies: before, with another secret, not confirmed", func(s *Session, p *Presented, r *Rotation) { cookies(0)(s, p, r); p.Secret = secret(9) }, 0, event.Reuse, errReuse, true, EndReuse},
		{"cookies: two before, not confirmed", func(s *Session, p *Presented, r *Rotation) {
			cookies(0)(s, p, r)
			p.Generation, p.Secret = 3, secret(3)
		}, 0, event.Reuse, errReuse, true, EndReuse},
		{"cookies: live, not confirmed", func(s *Session, p *Presented, r *Rotation) { s.Cookies = true }, time.Minute, event.Refreshed, nil, true, ""},
		{"cookies: ahead, not confirmed", func(s *Session, p *Presented, _ *Rotation) { s.Cookies = true; p.Generation, p.Secret = 6, secret(6) }, 0, event.StoreBehind, errStoreBehind, true, EndStoreBehind},
		{"cookies: the policy changed its mind before a retry", func(s *Session, p *Presented, r *Rotation) {
			cookies(0)(s, p, r)
			r.Permit = func(*Session) error { return no }
		}, 0, event.Revoked, errPolicy, true, EndPolicy},
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
			if out.Kind == event.Retried {
				want := row
				if write {
					want.RotatedAt, want.KeyID = now, "k6"
				}
				if !reflect.DeepEqual(next, want) {
					t.Errorf("%+v is stored, not %+v", next, want)
				}
			}
		})
	}
}

func before(_ *Session, p *Presented, _ *Rotation) { p.Generation, p.Secret = 4, secret(4) }

// cookies is before, of a session in cookies whose live generation was confirmed so long after
// the rotation; 0 for never.
func cookies(confirmed time.Duration) func(*Session, *Presented, *Rotation) {
	return func(s *Session, p *Presented, r *Rotation) {
		before(s, p, r)
		s.Cookies, s.Confirmed, s.ConfirmedAt = true, 4, t0.Add(-10*time.Minute)
		if confirmed > 0 {
			s.Confirmed, s.ConfirmedAt = 5, t0.Add(confirmed)
		}
	}
}

func TestRotation_ConfirmsTheLiveGenerationOnce(t *testing.T) {
	for _, tt := range []struct {
		name       string
		change     func(*Session)
		generation uint64
		after      time.Duration
		want       bool
	}{
		{"the live one", nil, 5, time.Minute, true},
		{"the one before", nil, 4, time.Minute, false},
		{"the first", nil, 0, time.Minute, false},
		{"one that is ahead", nil, 6, time.Minute, false},
		{"the live one, again", func(s *Session) { s.Confirmed, s.ConfirmedAt = 5, t0 }, 5, time.Minute, false},
		{"of a session that is in no cookies", func(s *Session) { s.Cookies = false }, 5, time.Minute, false},
		{"of a revoked session", func(s *Session) { s.RevokedAt = t0 }, 5, time.Minute, false},
		{"at the idle end", nil, 5, time.Hour, false},
		{"the first, of a session that was never refreshed", func(s *Session) { s.Generation, s.Confirmed = 0, 0 }, 0, time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			row := liveRow()
			row.Cookies, row.Confirmed, row.ConfirmedAt = true, 4, t0.Add(-time.Hour)
			if tt.change != nil {
				tt.change(&row)
			}
			now := t0.Add(tt.after)
			want := row
			if tt.want {
				want.Confirmed, want.ConfirmedAt = 5, now
			}
			var rules Rotation
			if next, write := rules.Confirm(row, tt.generation, now); write != tt.want || !reflect.DeepEqual(next, want) {
				t.Errorf("write %t: %+v, not %+v", write, next, want)
			}
		})
	}
}

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
