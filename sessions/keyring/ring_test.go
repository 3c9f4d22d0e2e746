package keyring_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

// newRing has a key that signs from keyEpoch, and one from a day later.
func newRing(t *testing.T) (*keyring.Ring, []keyring.Record) {
	t.Helper()
	ring := keyring.NewRing(keyring.AccessTokenType)
	records := []keyring.Record{{From: keyEpoch, Key: generate(t, jose.ES256)}, {From: keyEpoch.Add(day), Key: generate(t, jose.ES256)}}
	must(t, ring.Set(records))
	return ring, records
}

func TestRing_SignsWithTheKeyOfTheHour(t *testing.T) {
	ring, records := newRing(t)
	tests := []struct {
		name string
		at   time.Duration
		want int
	}{
		{"long before the first: clocks differ", -day, 0},
		{"just before the first", -time.Millisecond, 0},
		{"when the first begins", 0, 0},
		{"just before the next", day - time.Millisecond, 0},
		{"when the next begins", day, 1},
		{"long after", 400 * day, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, err := ring.Signing(keyEpoch.Add(tt.at))
			if err != nil || key.ID() != records[tt.want].Key.ID() {
				t.Errorf("signs with %v, %v; want key %d", key, err, tt.want)
			}
		})
	}
}

func TestRing_WithoutKeysHasNone(t *testing.T) {
	ring := keyring.NewRing(keyring.AccessTokenType)
	_, signing := ring.Signing(keyEpoch)
	_, find := ring.Find("")
	if !errors.Is(signing, keyring.ErrNoKey) || !errors.Is(find, keyring.ErrNoKey) || len(ring.Public()) != 0 {
		t.Errorf("%v, %v, %d keys", signing, find, len(ring.Public()))
	}
}

func TestRing_FindsEachKeyByItsID(t *testing.T) {
	ring, records := newRing(t)
	for _, r := range records {
		found, err := ring.Find(r.Key.ID())
		if err != nil || found.ID() != r.Key.ID() || !found.From.Equal(r.From) {
			t.Errorf("found %v, %v", found, err)
		}
		public, err := ring.Key(t.Context(), r.Key.ID(), jose.ES256)
		if err != nil || public.ID() != r.Key.ID() {
			t.Errorf("public %v, %v", public, err)
		}
		if _, err := ring.Key(t.Context(), r.Key.ID(), jose.EdDSA); !errors.Is(err, jose.ErrAlgorithm) {
			t.Errorf("with another algorithm: %v", err)
		}
	}
	for _, id := range []string{"", "unknown", records[0].Key.ID() + "x"} {
		if _, err := ring.Find(id); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("%q: %v", id, err)
		}
		if _, err := ring.Key(t.Context(), id, jose.ES256); !errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// Whoever verifies has each key before it signs, and nothing that signs.
func TestRing_ShowsAllPublicKeys(t *testing.T) {
	ring, records := newRing(t)
	public := ring.Public()
	if len(public) != len(records) {
		t.Fatalf("%d public keys", len(public))
	}
	for i, key := range public {
		jwk, err := key.PublicJWK()
		if err != nil || key.ID() != records[i].Key.ID() || bytes.Contains(jwk, []byte(`"d"`)) {
			t.Errorf("public key %d: %s, %v", i, jwk, err)
		}
	}
}

func TestRing_VersionChangesWithTheKeys(t *testing.T) {
	ring, records := newRing(t)
	before := ring.Version()
	must(t, ring.Set(append([]keyring.Record(nil), records...)))
	if ring.Version() != before {
		t.Error("the same keys are another version")
	}
	must(t, ring.Set(records[1:]))
	if ring.Version() == before {
		t.Error("other keys are the same version")
	}
	if _, err := ring.Find(records[0].Key.ID()); !errors.Is(err, keyring.ErrNoKey) {
		t.Errorf("a key that is gone: %v", err)
	}
}

func TestRing_DescribesItsKeys(t *testing.T) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	ring := keyring.NewRing(keyring.AccessTokenType)
	if got := ring.Describe(at); len(got) != 0 {
		t.Errorf("an empty ring has %v", got)
	}
	var records []keyring.Record
	for i := range 3 {
		records = append(records, keyring.Record{From: at.Add(time.Duration(i-1) * time.Hour), Key: generate(t, "ES256")})
	}
	must(t, ring.Set(records))
	keys := ring.Describe(at.Add(time.Minute))
	for i, want := range []keyring.State{keyring.Retired, keyring.Signing, keyring.Next} {
		k := keys[i]
		if k.State != want || k.ID != records[i].Key.ID() || !k.From.Equal(records[i].From) || k.Algorithm != "ES256" || k.Public == nil {
			t.Errorf("key %d is %+v, want %s", i, k, want)
		}
		if i < 2 && !k.Until.Equal(records[i+1].From) || i == 2 && !k.Until.IsZero() {
			t.Errorf("key %d signs until %v", i, k.Until)
		}
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
			if _, err := ring.Find("other"); !errors.Is(err, keyring.ErrNoKey) || errors.Is(err, keyring.ErrIncomplete) {
				t.Errorf("a ring that never changes: %v", err)
			}
			ring.Now = func() time.Time { return c.at }
			ring.CompleteUntil(until)
			_, find := ring.Find("other")
			_, key := ring.Key(t.Context(), "other", jose.ES256)
			if !errors.Is(find, keyring.ErrNoKey) || errors.Is(find, keyring.ErrIncomplete) != c.missed {
				t.Errorf("finding: %v", find)
			}
			if errors.Is(key, jose.ErrUnknownKey) == c.missed || errors.Is(key, keyring.ErrIncomplete) != c.missed {
				t.Errorf("verifying: %v", key)
			}
			if _, err := ring.Find(records[0].Key.ID()); err != nil {
				t.Errorf("a key that is there: %v", err)
			}
		})
	}
}
