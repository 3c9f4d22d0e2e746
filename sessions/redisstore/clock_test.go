package redisstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
)

// TestS6_TheServersClockDecides has a node whose own clock is five hours off.
func TestS6_TheServersClockDecides(t *testing.T) {
	for _, off := range []time.Duration{-5 * time.Hour, 5 * time.Hour} {
		s := openStore(t, Options{Clock: func() time.Time { return time.Now().Add(off) }})
		server := func() time.Time {
			r, err := s.run(ctx(), s.lua.get, "nothing")
			if err != nil {
				t.Fatal(err)
			}
			return r.at
		}
		near := func(what string, at time.Time) {
			t.Helper()
			if apart := server().Sub(at).Abs(); apart > time.Minute {
				t.Errorf("%s is %v from the server's clock", what, apart)
			}
		}
		near("Now", s.Now())
		row := create(t, s, testRow("one", s.Now()))
		p := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Secret: row.Secret}
		next, at, rotated, err := s.Rotate(ctx(), &p, &sessions.Fresh{KeyID: "k"})
		if err != nil || !rotated {
			t.Fatal(rotated, err)
		}
		near("the time of the rotation", at)
		near("RotatedAt", next.RotatedAt)
		ended, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked)
		if err != nil {
			t.Fatal(err)
		}
		near("RevokedAt", ended.RevokedAt)
	}
}

// TestAWayInTheClearIsWarnedOf reads configurations as Open does.
func TestAWayInTheClearIsWarnedOf(t *testing.T) {
	for url, want := range map[string]string{
		"redis://db.example.com":                        "db.example.com:6379",
		"redis://192.0.2.1:7000":                        "192.0.2.1:7000",
		"rediss://db.example.com":                       "",
		"redis://127.0.0.1?addr=node2.example.com:7000": "node2.example.com:7000",
		"redis://127.0.0.1":                             "",
		"redis://[::1]:6380":                            "",
		"redis://localhost":                             "",
		"unix:///run/redis.sock":                        "",
	} {
		opts := Options{URL: url}
		opts.defaults()
		config, err := opts.client()
		if err != nil {
			t.Fatal(url, err)
		}
		if got := exposed(url, &config); got != want {
			t.Errorf("%s: exposed is %q, not %q", url, got, want)
		}
	}
}

// TestOptionsAreReadStrictly: what is misspelt is not passed over, and no error quotes
// the password.
func TestOptionsAreReadStrictly(t *testing.T) {
	for _, opts := range []Options{
		{URL: "http://x:hunter2@h"},
		{URL: "redis://"},
		{URL: "redis:h"},
		{URL: "x:hunter2@h:1"},
		{URL: "redis://x:hunter2@h/a"},
		{URL: "redis://x:hunter2@[h"},
		{URL: "redis://x:hunter2@h?skip_verify"},
		{URL: "rediss://h?skip_verify=true"},
		{URL: "redis://h?addrs=b"},
		{URL: "redis://h?db=x"},
		{URL: "redis://h?master-set=b"},
		{URL: "redis://x:hunter2@h#a"},
		{URL: "redis://x:hunter2@h?%zz"},
		{Prefix: "a{b}"},
		{Prefix: "a'b"},
		{Prefix: "a b"},
		{Prefix: "a:"},
		{Replicas: 1, ReplicaTimeout: time.Minute},
	} {
		_, err := Open(ctx(), opts)
		if !errors.Is(err, sessions.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q %q is opened: %v", opts.URL, opts.Prefix, err)
		}
	}
}
