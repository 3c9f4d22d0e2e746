package sessions_test

import (
	"errors"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

func TestRenew_MakesAKeyWhateverTheSchedule(t *testing.T) {
	for _, c := range []struct {
		name    string
		rotate  time.Duration
		waiting time.Duration // since when a key is shown that does not sign yet; 0 for none
		want    int
	}{
		{"long before the next is due", 30 * day, 0, 2},
		{"where keys are for ever", 0, 0, 2},
		{"while one waits that somebody may know", 0, 59 * time.Minute, 3},
		{"a minute after it was asked for", 0, time.Minute, 3},
		{"just after it was asked for", 0, time.Minute - time.Millisecond, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := monthly()
			s.Rotate = c.rotate
			records := plan(t, s, nil, keyEpoch, true, 1)
			now := keyEpoch.Add(day)
			if c.waiting > 0 {
				var err error
				records, _, err = s.Renew(records, now.Add(-c.waiting))
				must(t, err)
			}
			renewed, changed, err := s.Renew(records, now)
			must(t, err)
			if len(renewed) != c.want || changed != (c.want > len(records)) || ids(renewed[:len(records)]) != ids(records) {
				t.Fatalf("%d keys, changed %t; want %d", len(renewed), changed, c.want)
			}
			last := renewed[len(renewed)-1]
			if changed && !last.From.Equal(now.Add(s.Publish)) {
				t.Errorf("the new key signs from %v, shown at %v", last.From, now)
			}
			plan(t, s, renewed, now, false, c.want) // the schedule leaves it as it is
			if _, err := sessions.EncodeKeys(renewed); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRenew_BeginsWhereNoKeyIs(t *testing.T) {
	records, changed, err := monthly().Renew(nil, keyEpoch)
	must(t, err)
	if !changed || len(records) != 1 || !records[0].From.Equal(keyEpoch) {
		t.Errorf("%d keys, changed %t", len(records), changed)
	}
}

// A clock that went back, or another algorithm, puts no key before the last.
func TestRenew_KeepsTheOrder(t *testing.T) {
	s := monthly()
	records := plan(t, s, nil, keyEpoch.Add(day), true, 1)
	s.Algorithm = jose.ES256
	renewed, changed, err := s.Renew(records, keyEpoch)
	must(t, err)
	if !changed || len(renewed) != 2 || renewed[1].From.Before(renewed[0].From) {
		t.Fatalf("%d keys, changed %t", len(renewed), changed)
	}
	data, err := sessions.EncodeKeys(renewed)
	must(t, err)
	if _, err := sessions.DecodeKeys(data); err != nil {
		t.Error(err)
	}
}

// A node that did not hear of keys for too long does not say of an unknown one that
// it is nobody's: another node's tokens would be thrown away.
func TestRing_DoesNotJudgeKeysThatItMayHaveMissed(t *testing.T) {
	until := keyEpoch.Add(time.Hour)
	for _, c := range []struct {
		name   string
		at     time.Time
		missed bool
	}{
		{"before", until.Add(-time.Millisecond), false},
		{"at that time", until, true},
		{"later", until.Add(day), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ring, records := newRing(t)
			if _, err := ring.Find("other"); !errors.Is(err, sessions.ErrNoKey) || errors.Is(err, sessions.ErrUnavailable) {
				t.Errorf("a ring that never changes: %v", err)
			}
			ring.Now = func() time.Time { return c.at }
			ring.CompleteUntil(until)
			_, find := ring.Find("other")
			_, key := ring.Key(t.Context(), "other", jose.ES256)
			if !errors.Is(find, sessions.ErrNoKey) || errors.Is(find, sessions.ErrUnavailable) != c.missed {
				t.Errorf("finding: %v", find)
			}
			if errors.Is(key, jose.ErrUnknownKey) == c.missed || errors.Is(key, sessions.ErrUnavailable) != c.missed {
				t.Errorf("verifying: %v", key)
			}
			if _, err := ring.Find(records[0].Key.ID()); err != nil {
				t.Errorf("a key that is there: %v", err)
			}
		})
	}
}

// The refresh token of a key that this node has not seen is kept by its client.
func TestRing_ATokenOfAnotherNodesKeyIsNotRefused(t *testing.T) {
	w := newWorld(t)
	g := w.create(person("alice", nil), "alice", day)
	mine := sessions.NewRing(sessions.RefreshTokenType)
	must(t, mine.Set([]sessions.KeyRecord{{From: keyEpoch, Key: generate(t, jose.EdDSA)}}))
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
