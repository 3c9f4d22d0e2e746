package sessions_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

var keyEpoch = time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)

const day = 24 * time.Hour

// monthly changes keys each 30 days, shows them an hour before, and keeps them
// for a year.
func monthly() *sessions.Schedule {
	return &sessions.Schedule{Algorithm: jose.EdDSA, Rotate: 30 * day, Publish: time.Hour, Keep: 365 * day}
}

// plan expects a plan of so many keys.
func plan(t *testing.T, s *sessions.Schedule, records []sessions.KeyRecord, now time.Time, changed bool, want int) []sessions.KeyRecord {
	t.Helper()
	planned, did, err := s.Plan(records, now)
	must(t, err)
	if did != changed || len(planned) != want {
		t.Fatalf("at %v: changed %t, %d keys; want %t, %d", now, did, len(planned), changed, want)
	}
	return planned
}

func ids(records []sessions.KeyRecord) string {
	var list []string
	for _, r := range records {
		list = append(list, r.Key.ID())
	}
	return strings.Join(list, " ")
}

func TestSchedule_TheFirstKeySignsAtOnce(t *testing.T) {
	for name, s := range map[string]*sessions.Schedule{"rotating": monthly(), "for ever": {Algorithm: jose.EdDSA, Publish: time.Hour}} {
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
	s := &sessions.Schedule{Algorithm: jose.EdDSA, Publish: time.Hour, Keep: day}
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

// newRing has a key that signs from keyEpoch, and one from a day later.
func newRing(t *testing.T) (*sessions.Ring, []sessions.KeyRecord) {
	t.Helper()
	ring := sessions.NewRing(sessions.AccessTokenType)
	records := []sessions.KeyRecord{{From: keyEpoch, Key: generate(t, jose.ES256)}, {From: keyEpoch.Add(day), Key: generate(t, jose.ES256)}}
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
	ring := sessions.NewRing(sessions.AccessTokenType)
	_, signing := ring.Signing(keyEpoch)
	_, find := ring.Find("")
	if !errors.Is(signing, sessions.ErrNoKey) || !errors.Is(find, sessions.ErrNoKey) || len(ring.Public()) != 0 {
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
		if _, err := ring.Find(id); !errors.Is(err, sessions.ErrNoKey) {
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
	must(t, ring.Set(append([]sessions.KeyRecord(nil), records...)))
	if ring.Version() != before {
		t.Error("the same keys are another version")
	}
	must(t, ring.Set(records[1:]))
	if ring.Version() == before {
		t.Error("other keys are the same version")
	}
	if _, err := ring.Find(records[0].Key.ID()); !errors.Is(err, sessions.ErrNoKey) {
		t.Errorf("a key that is gone: %v", err)
	}
}

func TestKeys_SurviveARoundTrip(t *testing.T) {
	var records []sessions.KeyRecord
	for i, alg := range []jose.Algorithm{jose.EdDSA, jose.ES256, jose.ES384, jose.ES512, jose.RS256, jose.PS256} {
		records = append(records, sessions.KeyRecord{From: keyEpoch.Add(time.Duration(i/2) * day), Key: generate(t, alg)})
	}
	data, err := sessions.EncodeKeys(records)
	must(t, err)
	read, err := sessions.DecodeKeys(data)
	must(t, err)
	if ids(read) != ids(records) {
		t.Fatalf("read %s, want %s", ids(read), ids(records))
	}
	for i := range read {
		if !read[i].From.Equal(records[i].From) || read[i].Key.Algorithm() != records[i].Key.Algorithm() {
			t.Errorf("key %d: from %v, %s", i, read[i].From, read[i].Key.Algorithm())
		}
		token, err := read[i].Key.Sign([]byte(`{"alg":"`+string(read[i].Key.Algorithm())+`"}`), []byte(`{}`))
		must(t, err)
		parsed, err := jose.Parse(token)
		must(t, err)
		if _, err := parsed.Verify(records[i].Key.Public()); err != nil {
			t.Errorf("key %d signs what the first does not verify: %v", i, err)
		}
	}
	again, err := sessions.EncodeKeys(read)
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("written again it is another: %v", err)
	}
}

// What is damaged is refused, whole, by an error that holds nothing of a key.
func TestKeys_DamageIsRefused(t *testing.T) {
	records := []sessions.KeyRecord{{From: keyEpoch, Key: generate(t, jose.ES256)}, {From: keyEpoch.Add(day), Key: generate(t, jose.EdDSA)}}
	data, err := sessions.EncodeKeys(records)
	must(t, err)
	good := string(data)
	_, rest, _ := strings.Cut(good, `"d":"`)
	d, _, _ := strings.Cut(rest, `"`)
	if len(d) != 43 {
		t.Fatalf("no private part in what is stored: %d characters", len(d))
	}
	swapped, err := sessions.EncodeKeys([]sessions.KeyRecord{records[1], records[0]})
	must(t, err)
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to damage: %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, damaged := range map[string]string{
		"nothing":                   "",
		"null":                      "null",
		"an empty object":           "{}",
		"a list":                    "[]",
		"another format":            replace(`"v":1`, `"v":2`),
		"no format":                 replace(`"v":1`, `"w":1`),
		"no keys":                   `{"v":1}`,
		"an empty list of keys":     `{"v":1,"keys":[]}`,
		"no list of keys":           `{"v":1,"keys":null}`,
		"a key that is null":        `{"v":1,"keys":[null]}`,
		"a key without a key":       `{"v":1,"keys":[{"from":1}]}`,
		"half of it":                good[:len(good)/2],
		"all but the end":           good[:len(good)-1],
		"something after it":        good + "x",
		"it twice":                  good + good,
		"zeros at the end":          good + "\x00\x00",
		"all zeros":                 strings.Repeat("\x00", len(good)),
		"no private part":           replace(`"d":"`+d, `"e":"`+d),
		"half a private part":       replace(d, d[:20]),
		"another private part":      replace(d, strings.Repeat("A", 42)+"E"),
		"a private part with blank": replace(d, d[:20]+" "+d[21:]),
		"a symmetric key":           `{"v":1,"keys":[{"from":1,"jwk":{"kty":"oct","k":"` + d + `"}}]}`,
		"keys out of order":         string(swapped),
		"a time that is text":       replace(`"from":`, `"from":"1","x":`),
	} {
		t.Run(name, func(t *testing.T) {
			read, err := sessions.DecodeKeys([]byte(damaged))
			if err == nil {
				t.Fatalf("read %d keys", len(read))
			}
			for i := 0; i+12 <= len(d); i++ {
				if strings.Contains(err.Error(), d[i:i+12]) {
					t.Fatal("the error holds a part of the key")
				}
			}
		})
	}
}

// rotated is a world whose keys come from a schedule, as in service.
func rotated(t *testing.T) (w *world, tick func(time.Duration)) {
	t.Helper()
	w = newWorld(t)
	refresh := &sessions.Schedule{Algorithm: jose.EdDSA, Rotate: 30 * day, Publish: time.Hour, Keep: 366 * day}
	access := &sessions.Schedule{Algorithm: jose.ES256, Rotate: 30 * day, Publish: time.Hour, Keep: accessTTL + time.Hour}
	var refreshKeys, accessKeys []sessions.KeyRecord
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
		g = w.refresh(g.RefreshToken, victim, sessions.EventRefreshed)
	}
	tick(10*day - time.Hour) // the next key is shown
	tick(time.Hour - time.Second)
	old, err := w.keys.Refresh.Signing(w.now)
	must(t, err)
	next := w.refresh(g.RefreshToken, victim, sessions.EventRefreshed)
	if parsed, err := jose.Parse(next.RefreshToken); err != nil || parsed.Header.KeyID != old.ID() {
		t.Errorf("signed by another key than that of the hour: %v", err)
	}
	tick(grace - time.Second)
	if now, err := w.keys.Refresh.Signing(w.now); err != nil || now.ID() == old.ID() {
		t.Fatal("no key retired: nothing is tested")
	}
	again := w.refresh(g.RefreshToken, victim, sessions.EventRetried)
	if again.RefreshToken != next.RefreshToken {
		t.Error("a retry after a rotation of keys got another successor")
	}
	if after := w.refresh(next.RefreshToken, victim, sessions.EventRefreshed); after.Session.KeyID == old.ID() {
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
		g = w.refresh(g.RefreshToken, victim, sessions.EventRefreshed)
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
	if _, err := parsed.Verify(key); err != nil {
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
	w.refresh(g.RefreshToken, victim, sessions.EventRefreshed)
}
