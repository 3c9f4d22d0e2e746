package caddymodule_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// get asks for a path of the site.
func (s *sidecar) get(method, path string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// waitHealth polls until the health path answers that.
func (s *sidecar) waitHealth(status int) answer {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		got := s.get("GET", "/auth/health")
		if got.status == status {
			return got
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("health is %d, want %d\n%s", got.status, status, s.log)
		}
		time.Sleep(20 * time.Millisecond) // it is checked once a second
	}
}

// Health tells whether this can serve, and nothing else.
func TestHealth_TellsReadinessWithoutDetail(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, "health /auth/health"))
	good := s.waitHealth(200)
	wantHeaders(t, good, "Cache-Control", "no-store", "Content-Type", "text/plain; charset=utf-8")
	if good.body != "ok\n" {
		t.Errorf("body %q", good.body)
	}
	if got := s.get("HEAD", "/auth/health"); got.status != 200 || got.body != "" {
		t.Errorf("HEAD: %d %q", got.status, got.body)
	}
	if got := s.get("POST", "/auth/health"); got.status != 405 || got.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", got.status, got.header)
	}
	for _, path := range []string{"/auth/healthy", "/auth/health/x", "/auth"} {
		if got := s.get("GET", path); got.header.Get("X-App") != "echo" {
			t.Errorf("%s is not the app's: %d %s", path, got.status, got.body)
		}
	}
}

// Without the word, the path is the app's.
func TestHealth_IsTheAppsWithoutTheWord(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, ""))
	if got := s.get("GET", "/auth/health"); got.header.Get("X-App") != "echo" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// J6: without the keys of an issuer this is not ready; as soon as they are there it is.
// A probe costs the issuer nothing.
func TestHealth_WaitsForTheKeys(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	var up atomic.Bool
	keys := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			w.WriteHeader(503)
			return
		}
		_, _ = w.Write([]byte(provider.jwks()))
	})
	s := newSidecar(t, t.TempDir())
	config := provider.site(s, echo(t).URL, "health /auth/health")
	s.start(strings.Replace(config, "jwks DIR/jwks.json", "jwks "+keys+"/jwks.json", 1))
	bad := s.waitHealth(503)
	if bad.body != "unavailable\n" {
		t.Errorf("body %q: it tells too much", bad.body)
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(s.log.String(), `there are no keys of https://idp.example.com`); {
		if s.waitHealth(503); time.Now().After(deadline) {
			t.Fatalf("the log does not say why\n%s", s.log)
		}
	}
	up.Store(true)
	// Who presents a token makes it ask again.
	for deadline := time.Now().Add(30 * time.Second); create(t, s.url, provider.token("alice", nil), `{"user_id":"alice"}`).status != 200; {
		if time.Now().After(deadline) {
			t.Fatalf("the keys do not come\n%s", s.log)
		}
	}
	s.waitHealth(200)
}

// A store that does not answer is told, and so is its return.
func TestHealth_AsksTheStoreOnceASecond(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, "health /auth/health\n\t\tstore test_switch DIR/down"))
	s.waitHealth(200)
	before := s.pings()
	start := time.Now()
	for range 200 {
		s.get("GET", "/auth/health")
	}
	if asked, most := s.pings()-before, int(time.Since(start)/time.Second)+1; asked > most {
		t.Errorf("200 probes in %v asked the store %d times, want %d at the most", time.Since(start), asked, most)
	}
	s.write("down", "")
	s.waitHealth(503)
	if err := os.Remove(filepath.Join(s.dir, "down")); err != nil {
		t.Fatal(err)
	}
	s.waitHealth(200)
}

// pings is how often the test's store was asked whether it answers.
func (s *sidecar) pings() int {
	return strings.Count(s.log.String(), `"msg":"the test store was asked"`)
}
