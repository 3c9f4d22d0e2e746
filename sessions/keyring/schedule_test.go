package keyring_test

import (
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

var keyEpoch = time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)

const day = 24 * time.Hour

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func generate(t *testing.T, alg jose.Algorithm) *jose.PrivateKey {
	t.Helper()
	key, err := jose.Generate(alg)
	must(t, err)
	return key
}

// monthly changes keys each 30 days, shows them an hour before, and keeps them
// for a year.
func monthly() *keyring.Schedule {
	return &keyring.Schedule{Algorithm: jose.EdDSA, Rotate: 30 * day, Publish: time.Hour, Keep: 365 * day}
}

// plan expects a plan of so many keys.
func plan(t *testing.T, s *keyring.Schedule, records []keyring.Record, now time.Time, changed bool, want int) []keyring.Record {
	t.Helper()
	planned, did, err := s.Plan(records, now)
	must(t, err)
	if did != changed || len(planned) != want {
		t.Fatalf("at %v: changed %t, %d keys; want %t, %d", now, did, len(planned), changed, want)
	}
	return planned
}

func ids(records []keyring.Record) string {
	var list []string
	for _, r := range records {
		list = append(list, r.Key.ID())
	}
	return strings.Join(list, " ")
}

func TestSchedule_TheFirstKeySignsAtOnce(t *testing.T) {
	for name, s := range map[string]*keyring.Schedule{"rotating": monthly(), "for ever": {Algorithm: jose.EdDSA, Publish: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			records := plan(t, s, nil, keyEpoch.Add(999), true, 1)
			if !records[0].From.Equal(keyEpoch) || records[0].Key.Algorithm() != jose.EdDSA {
				t.Errorf("signs from %v with %s", records[0].From, records[0].Key.Algorithm())
			}
			if again := plan(t, s, records, keyEpoch, false, 1); ids(again) != ids(records) {
				t.Error("another key")
			}
		})
	}
}

func TestSchedule_TheNextKeyIsShownBeforeItSigns(t *testing.T) {
	s := monthly()
	first := plan(t, s, nil, keyEpoch, true, 1)
	due := keyEpoch.Add(30*day - time.Hour)
	plan(t, s, first, due.Add(-time.Millisecond), false, 1)
	for _, late := range []time.Duration{0, time.Millisecond, 90 * day} {
		both := plan(t, s, first, due.Add(late), true, 2)
		if ids(both[:1]) != ids(first) || !both[0].From.Equal(first[0].From) {
			t.Error("the first key changed")
		}
		if want := due.Add(late + time.Hour); !both[1].From.Equal(want) {
			t.Errorf("the next key signs from %v, want %v: an hour after it is shown", both[1].From, want)
		}
		plan(t, s, both, due.Add(late), false, 2)
		plan(t, s, both, due.Add(late+time.Hour), false, 2)
	}
}

func TestSchedule_KeysForEverStay(t *testing.T) {
	s := &keyring.Schedule{Algorithm: jose.EdDSA, Publish: time.Hour, Keep: day}
	plan(t, s, plan(t, s, nil, keyEpoch, true, 1), keyEpoch.Add(3650*day), false, 1)
}

func TestSchedule_AnotherAlgorithmComesSoon(t *testing.T) {
	s := monthly()
	first := plan(t, s, nil, keyEpoch, true, 1)
	s.Algorithm = jose.ES256
	now := keyEpoch.Add(day)
	both := plan(t, s, first, now, true, 2)
	if both[1].Key.Algorithm() != jose.ES256 || !both[1].From.Equal(now.Add(time.Hour)) {
		t.Errorf("%s from %v", both[1].Key.Algorithm(), both[1].From)
	}
	plan(t, s, both, now, false, 2)
	// Back again: the one that waits is not replaced before it came.
	s.Algorithm = jose.EdDSA
	plan(t, s, both, now, false, 2)
	plan(t, s, both, now.Add(time.Hour), true, 3)
}

func TestSchedule_AKeyGoesWhenItsLastTokenIsOver(t *testing.T) {
	s := monthly()
	records := plan(t, s, nil, keyEpoch, true, 1)
	retired := keyEpoch.Add(30 * day)
	records = plan(t, s, records, retired.Add(-time.Hour), true, 2)
	s.Rotate = 0
	for off, want := range map[time.Duration]int{-time.Millisecond: 2, 0: 2, time.Millisecond: 1} {
		kept := plan(t, s, records, retired.Add(s.Keep+off), want == 1, want)
		if kept[len(kept)-1].Key.ID() != records[1].Key.ID() {
			t.Error("the key that signs is gone")
		}
	}
	if len(records) != 2 || records[0].Key == nil {
		t.Error("planning changed what it was given")
	}
}

func TestSchedule_AClockThatGoesBackAddsAndRemovesNothing(t *testing.T) {
	s := monthly()
	records := plan(t, s, nil, keyEpoch, true, 1)
	plan(t, s, records, keyEpoch.Add(-90*day), false, 1)
	records = plan(t, s, records, keyEpoch.Add(30*day), true, 2)
	plan(t, s, records, keyEpoch.Add(-90*day), false, 2)
}

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
			if _, err := keyring.Encode(renewed); err != nil {
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
	data, err := keyring.Encode(renewed)
	must(t, err)
	if _, err := keyring.Decode(data); err != nil {
		t.Error(err)
	}
}
