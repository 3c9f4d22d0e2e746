package interop

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// adminOperations are all of the admin API, well asked.
func adminOperations(id string) []struct{ method, path string } {
	return []struct{ method, path string }{
		{"GET", "status"},
		{"GET", "sessions?user_id=alice"},
		{"DELETE", "sessions?user_id=alice&dry_run=true"},
		{"DELETE", "sessions/" + id + "?dry_run=true"},
		{"DELETE", "sessions/" + id},
		{"POST", "keys/refresh"},
		{"POST", "keys/rotate"},
		{"GET", "backup"},
	}
}

// administer has the admin API give its answers.
func administer(t *testing.T, c *contract) {
	s := newScene(t, c)
	s.Start(s.site(""))
	id := s.Create(s.alice, `{"user_id":"alice"}`).Text("session_id")
	s.Create(s.desk, `{"user_id":"alice","reason":"ticket 4711"}`)
	sidecartest.WantStatus(t, s.Ask("GET", "status?keys=true"), 200)
	for _, op := range adminOperations(id) {
		sidecartest.WantStatus(t, s.Ask(op.method, op.path), 200)
	}
	for _, op := range adminOperations(id) {
		sidecartest.WantStatus(t, s.Ask(op.method, withQuery(op.path, "surplus=1")), 400)
		sidecartest.WantStatus(t, s.Ask(op.method, withQuery(op.path, "issuer=https://nobody.example.com")), 404)
	}
	t.Run("without embedded store", func(t *testing.T) {
		s := newScene(t, c)
		s.Start(s.site("store forgetful"))
		sidecartest.WantStatus(t, s.Ask("GET", "backup"), 501)
	})
	t.Run("with keys in files", func(t *testing.T) {
		s := newScene(t, c)
		for _, use := range []string{"refresh", "access"} {
			if got := s.Sessions("", "keygen", "--output", filepath.Join(s.Dir, use+".jwk"), "--jwks", filepath.Join(s.Dir, use+".json"), "--algorithm", "EdDSA"); !got.OK {
				t.Fatal(got.Err)
			}
		}
		s.Start(s.site("refresh_token {\n\t\t\tkey DIR/refresh.jwk\n\t\t}\n\t\taccess_token {\n\t\t\talgorithm EdDSA\n\t\t\tkey DIR/access.jwk\n\t\t}"))
		sidecartest.WantStatus(t, s.Ask("POST", "keys/rotate"), 409)
	})
	t.Run("while it backs up", func(t *testing.T) {
		s := newScene(t, c)
		s.Start(s.site("store flawed DIR"))
		first, err := http.Get("http://" + s.Admin + "/auth_sessions/backup") // and reads nothing of it
		if err != nil {
			t.Fatal(err)
		}
		defer first.Body.Close()
		sidecartest.WantStatus(t, s.Ask("GET", "backup"), 409)
	})
	t.Run("with a broken storage of keys", func(t *testing.T) {
		s := newScene(t, c)
		s.Start(s.site(""))
		keys := filepath.Join(s.Dir, "data", "caddy", "auth_sessions")
		if err := os.RemoveAll(keys); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(keys, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		sidecartest.WantStatus(t, s.Ask("POST", "keys/rotate"), 500)
	})
	starting(t, c)
}

// starting asks while Caddy starts: all that needs the configuration is not there yet.
func starting(t *testing.T, c *contract) {
	s := newScene(t, c)
	s.Write("waits", "")
	s.Run(s.site("store flawed DIR"))
	for {
		if _, err := s.TryAsk("GET", "status"); err == nil {
			break
		}
	}
	for _, op := range adminOperations("A") {
		sidecartest.WantStatus(t, s.Ask(op.method, op.path), 503)
	}
}

// withQuery adds a parameter to a path that may have some.
func withQuery(path, parameter string) string {
	if strings.Contains(path, "?") {
		return path + "&" + parameter
	}
	return path + "?" + parameter
}
