package pebblestore

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

const cutoffRealm = "https://app.example.com"

func aCutoff() revocation.Cutoff {
	return revocation.Cutoff{
		ID: "one", Realm: cutoffRealm, At: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
		Filter: sessions.Filter{
			User: "alice", Actor: &sessions.Principal{Issuer: "https://idp.example.com", Subject: "support"}, Impersonations: true,
		},
	}
}

func wantCutoffs(t *testing.T, s *Store, want ...revocation.Cutoff) {
	t.Helper()
	got, err := s.Cutoffs(ctx(), cutoffRealm)
	if err != nil {
		t.Fatal(err)
	}
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("kept are %+v, not %+v", got, want)
	}
}

func TestCutoffsAreThereWhenTheStoreIsOpenedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	first, second := aCutoff(), aCutoff()
	second.ID, second.At = "two", second.At.Add(time.Millisecond)
	again := func(do func(*Store) error, want ...revocation.Cutoff) {
		t.Helper()
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(do(s), s.Close()); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(Options{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		wantCutoffs(t, s, want...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	again(func(s *Store) error { return add(s, second) }, second)
	again(func(s *Store) error { return add(s, first) }, first, second)
	again(func(s *Store) error { return s.RemoveCutoff(ctx(), first) }, second)
}

func add(s *Store, c revocation.Cutoff) error {
	_, err := s.AddCutoff(ctx(), c)
	return err
}

func TestACutoffOnAFullDiskIsUnavailable(t *testing.T) {
	fs := faulty()
	s, err := open(Options{Dir: filepath.Join(t.TempDir(), "store")}, fs)
	if err != nil {
		t.Fatal(err)
	}
	if err := add(s, aCutoff()); err != nil {
		t.Fatal(err)
	}
	fs.fail(full)
	second := aCutoff()
	second.ID = "two"
	for name, err := range map[string]error{"AddCutoff": add(s, second), "RemoveCutoff": s.RemoveCutoff(ctx(), aCutoff())} {
		if !errors.Is(err, sessions.ErrUnavailable) {
			t.Errorf("%s: %v, not ErrUnavailable", name, err)
		}
	}
	fs.mend()
	if err := s.Close(); err != nil {
		t.Log(err) // what Pebble parked is not what this is about
	}
}

// Nobody may go on without a cutoff that cannot be read.
func TestACutoffThatCannotBeReadFailsThemAll(t *testing.T) {
	for _, c := range []struct {
		name, key, value string
		want             error
		newer            bool
	}{
		{"of a newer format", "\x80\x00\x00\x00\x00\x00\x00\x01id", `{"v":2,"users":["YQ=="]}`, rowcodec.ErrNewer, true},
		{"of a newer format that changed a member", "\x80\x00\x00\x00\x00\x00\x00\x01id", `{"v":2,"user":["YQ=="]}`, rowcodec.ErrNewer, true},
		{"of no format", "\x80\x00\x00\x00\x00\x00\x00\x01id", `{"user":"YQ=="}`, sessions.ErrUnavailable, false},
		{"that names nothing", "\x80\x00\x00\x00\x00\x00\x00\x01id", `{"v":1}`, sessions.ErrUnavailable, false},
		{"that is no JSON", "\x80\x00\x00\x00\x00\x00\x00\x01id", `{"v":1,"user":"YQ=="`, sessions.ErrUnavailable, false},
		{"with a key that is too short", "\x80\x00", `{"v":1,"user":"YQ=="}`, ErrCorrupt, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openStore(t, Options{})
			if err := add(s, aCutoff()); err != nil {
				t.Fatal(err)
			}
			key := append(appendPrefix(nil, kindCutoff, hashString(cutoffRealm)), c.key...)
			if err := s.engine.Load().db.Set(key, []byte(c.value), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			all, err := s.Cutoffs(ctx(), cutoffRealm)
			if !errors.Is(err, c.want) || !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, rowcodec.ErrNewer) != c.newer || len(all) > 0 {
				t.Errorf("%d cutoffs, %v, not %v", len(all), err, c.want)
			}
			if _, err := s.Cutoffs(ctx(), "another realm"); err != nil {
				t.Errorf("in another realm: %v", err)
			}
		})
	}
}
