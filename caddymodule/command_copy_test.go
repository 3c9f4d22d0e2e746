package caddymodule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What moves to another store goes on there: refresh tokens that were good are good,
// those that were not are not, and reuse is noticed.
func TestCopy_CarriesSessionsToAnotherStore(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	app := echo(t).URL
	const words = life + "\n\t\trefresh_token {\n\t\t\tgrace 0s\n\t\t}\n\t\tstore pebble DIR/"
	s.inForce(provider.site(s, app, words+"one"))
	alice, desk := provider.token("alice", nil), provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
	fresh := create(t, s.url, alice, `{"user_id":"alice"}`)
	used := create(t, s.url, alice, `{"user_id":"alice"}`)
	second := s.refresh(used.text("refresh_token"))
	wantStatus(t, second, 200)
	ended := create(t, s.url, desk, `{"user_id":"alice"}`)
	wantFields(t, s.ask("DELETE", "sessions/"+ended.text("session_id")), map[string]any{"revoked": 1.0})
	cut := create(t, s.url, alice, `{"user_id":"bob-is-not-alice"}`)
	wantStatus(t, cut, 403)
	cut = create(t, s.url, desk, `{"user_id":"bob"}`)
	wantStatus(t, cut, 200)
	wantFields(t, s.ask("DELETE", "sessions?user_id=bob"), map[string]any{"revoked": 1.0})

	locked := s.sessionsCommand("", "copy", "--from", "pebble "+s.dir+"/one", "--to", "pebble "+s.dir+"/two")
	if locked.ok || !strings.Contains(locked.err, "stop Caddy first") {
		t.Errorf("a store in use: %+v", locked)
	}
	s.stop()
	for _, want := range []string{`"read":4,"created":4,"updated":0,"same":0,"newer":0,"cutoffs":1,"checked":4`, `"read":4,"created":0,"updated":0,"same":4,"newer":0,"cutoffs":1,"checked":4`} {
		got := s.sessionsCommand("", "copy", "--from", "pebble "+s.dir+"/one", "--to", "pebble "+s.dir+"/two", "--json")
		if !got.ok || !strings.Contains(got.out, want) {
			t.Fatalf("%+v, want %s", got, want)
		}
	}

	s.inForce(provider.site(s, app, words+"two"))
	wantStatus(t, s.refresh(fresh.text("refresh_token")), 200)
	wantStatus(t, s.refresh(ended.text("refresh_token")), 400)
	wantStatus(t, s.refresh(cut.text("refresh_token")), 400)
	third := s.refresh(second.text("refresh_token"))
	wantStatus(t, third, 200)
	wantStatus(t, s.refresh(used.text("refresh_token")), 400) // its reuse ends the session
	wantStatus(t, s.refresh(third.text("refresh_token")), 400)
	s.waitLog("session reuse")
	s.stop()

	// What went on in the target is not taken back.
	again := s.sessionsCommand("", "copy", "--from", "pebble "+s.dir+"/one", "--to", "pebble "+s.dir+"/two")
	if !again.ok || !strings.Contains(again.out, "4 sessions read: 0 created, 0 updated, 2 there already, 2 newer there") {
		t.Errorf("%+v", again)
	}
}

func TestCopy_SaysWhatIsWrong(t *testing.T) {
	s := newSidecar(t, t.TempDir())
	s.write("file", "")
	if err := os.MkdirAll(filepath.Join(s.dir, "data", "photos"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, from, to, says string }{
		{"no such engine", "mysql x", "pebble two", "has forgetful, pebble"},
		{"a name with a dot", "pebble.x", "pebble two", "not in this build"},
		{"nothing", "", "pebble two", "names no store"},
		{"a word too much", "pebble one two", "pebble two", "followed by too much"},
		{"more than a store", "pebble one\npebble two", "pebble three", "too much"},
		{"a place where none is", "pebble nowhere", "pebble two", "there is no session store at " + s.dir + "/nowhere: name the one that Caddy uses"},
		{"a directory of something else", "pebble data", "pebble two", "not empty"},
		{"the same store", "pebble one", "pebble ./one", "the same store"},
		{"a store that is none", "pebble file", "pebble two", "file"},
		{"a store that cannot be read whole", "forgetful", "pebble two", "cannot be read whole"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := s.sessionsCommand("", "copy", "--from", test.from, "--to", test.to)
			if got.ok || got.out != "" || !strings.Contains(got.err, test.says) {
				t.Errorf("%+v, want %q", got, test.says)
			}
			for _, dir := range []string{"nowhere", "one", "two", "three"} {
				if _, err := os.Lstat(filepath.Join(s.dir, dir)); err == nil {
					t.Errorf("%s was made", dir)
				}
			}
		})
	}
}
