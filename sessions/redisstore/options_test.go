package redisstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
)

// TestAWayInTheClearIsWarnedOf reads configurations as Open does.
func TestAWayInTheClearIsWarnedOf(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
