package caddymodule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// What moves to another store goes on there: refresh tokens that were good are good,
// those that were not are not, and reuse is noticed.
func TestCopy_CarriesSessionsToAnotherStore(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	app := sidecartest.Echo(t)
	const words = sidecartest.Lifecycle + "\n\t\trefresh_token {\n\t\t\tgrace 0s\n\t\t}\n\t\tstore pebble DIR/"
	s.Start(provider.Site(s, app, words+"one"))
	alice, desk := provider.Token("alice", nil), provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	fresh := s.Create(alice, `{"user_id":"alice"}`)
	used := s.Create(alice, `{"user_id":"alice"}`)
	second := s.Refresh(used.Text("refresh_token"))
	sidecartest.WantStatus(t, second, 200)
	ended := s.Create(desk, `{"user_id":"alice"}`)
	sidecartest.WantFields(t, s.Ask("DELETE", "sessions/"+ended.Text("session_id")), map[string]any{"revoked": 1.0})
	cut := s.Create(alice, `{"user_id":"bob-is-not-alice"}`)
	sidecartest.WantStatus(t, cut, 403)
	cut = s.Create(desk, `{"user_id":"bob"}`)
	sidecartest.WantStatus(t, cut, 200)
	sidecartest.WantFields(t, s.Ask("DELETE", "sessions?user_id=bob"), map[string]any{"revoked": 1.0})

	locked := s.Sessions("", "copy", "--from", "pebble "+s.Dir+"/one", "--to", "pebble "+s.Dir+"/two")
	if locked.OK || !strings.Contains(locked.Err, "stop Caddy first") {
		t.Errorf("a store in use: %+v", locked)
	}
	s.Stop()
	for _, want := range []string{`"read":4,"created":4,"updated":0,"same":0,"newer":0,"cutoffs":1,"checked":4`, `"read":4,"created":0,"updated":0,"same":4,"newer":0,"cutoffs":1,"checked":4`} {
		got := s.Sessions("", "copy", "--from", "pebble "+s.Dir+"/one", "--to", "pebble "+s.Dir+"/two", "--json")
		if !got.OK || !strings.Contains(got.Out, want) {
			t.Fatalf("%+v, want %s", got, want)
		}
	}

	s.Start(provider.Site(s, app, words+"two"))
	sidecartest.WantStatus(t, s.Refresh(fresh.Text("refresh_token")), 200)
	sidecartest.WantStatus(t, s.Refresh(ended.Text("refresh_token")), 400)
	sidecartest.WantStatus(t, s.Refresh(cut.Text("refresh_token")), 400)
	third := s.Refresh(second.Text("refresh_token"))
	sidecartest.WantStatus(t, third, 200)
	sidecartest.WantStatus(t, s.Refresh(used.Text("refresh_token")), 400) // its reuse ends the session
	sidecartest.WantStatus(t, s.Refresh(third.Text("refresh_token")), 400)
	s.WaitLog("session reuse")
	s.Stop()

	// What went on in the target is not taken back.
	again := s.Sessions("", "copy", "--from", "pebble "+s.Dir+"/one", "--to", "pebble "+s.Dir+"/two")
	if !again.OK || !strings.Contains(again.Out, "4 sessions read: 0 created, 0 updated, 2 there already, 2 newer there") {
		t.Errorf("%+v", again)
	}
}

func TestCopy_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := sidecartest.New(t)
	s.Write("file", "")
	if err := os.MkdirAll(filepath.Join(s.Dir, "data", "photos"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, from, to, says string }{
		{"no such engine", "mysql x", "pebble two", "forgetful, pebble"},
		{"a name with a dot", "pebble.x", "pebble two", "not in this build"},
		{"nothing", "", "pebble two", "names no store"},
		{"a word too much", "pebble one two", "pebble two", "too many arguments"},
		{"more than a store", "pebble one\npebble two", "pebble three", "unexpected"},
		{"a place where none is", "pebble nowhere", "pebble two", "there is no session store at " + s.Dir + "/nowhere: name the one that Caddy uses"},
		{"a directory of something else", "pebble data", "pebble two", "not empty"},
		{"the same store", "pebble one", "pebble ./one", "the same store"},
		{"a store that is none", "pebble file", "pebble two", "file"},
		{"a store that cannot be read whole", "forgetful", "pebble two", "cannot be read whole"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := s.Sessions("", "copy", "--from", test.from, "--to", test.to)
			if got.OK || got.Out != "" || !strings.Contains(got.Err, test.says) {
				t.Errorf("%+v, want %q", got, test.says)
			}
			for _, dir := range []string{"nowhere", "one", "two", "three"} {
				if _, err := os.Lstat(filepath.Join(s.Dir, dir)); err == nil {
					t.Errorf("%s was made", dir)
				}
			}
		})
	}
}
