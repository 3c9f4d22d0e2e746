package caddymodule_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// waitHealth polls until the health path answers that.
func (s *sidecar) waitHealth(status int) sidecartest.Answer {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		got := s.Get("GET", "/auth/health")
		if got.Status == status {
			return got
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("health is %d, want %d\n%s", got.Status, status, s.Log())
		}
		time.Sleep(20 * time.Millisecond) // it is checked once a second
	}
}

// Health reports whether this can serve, and nothing else.
func TestHealth_TellsReadinessWithoutDetail(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), "health /auth/health"))
	good := s.waitHealth(200)
	sidecartest.WantHeaders(t, good, "Cache-Control", "no-store", "Content-Type", "text/plain; charset=utf-8")
	if good.Body != "ok\n" {
		t.Errorf("body %q", good.Body)
	}
	if got := s.Get("HEAD", "/auth/health"); got.Status != 200 || got.Body != "" {
		t.Errorf("HEAD: %d %q", got.Status, got.Body)
	}
	if got := s.Get("POST", "/auth/health"); got.Status != 405 || got.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", got.Status, got.Header)
	}
	for _, path := range []string{"/auth/healthy", "/auth/health/x", "/auth"} {
		if got := s.Get("GET", path); got.Header.Get("X-App") != "echo" {
			t.Errorf("%s is not the app's: %d %s", path, got.Status, got.Body)
		}
	}
}

// Without the word, the path is the app's.
func TestHealth_IsTheAppsWithoutTheWord(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), ""))
	if got := s.Get("GET", "/auth/health"); got.Header.Get("X-App") != "echo" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// J6: without the keys of an issuer this is not ready; as soon as they are there it is.
// A probe costs the issuer nothing.
func TestHealth_WaitsForTheKeys(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	var up atomic.Bool
	keys := sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			w.WriteHeader(503)
			return
		}
		_, _ = w.Write([]byte(provider.JWKS()))
	})
	s := newSidecar(t)
	config := provider.Site(s.Sidecar, sidecartest.Echo(t), "health /auth/health")
	s.Start(strings.Replace(config, "jwks DIR/jwks.json", "jwks "+keys+"/jwks.json", 1))
	bad := s.waitHealth(503)
	if bad.Body != "unavailable\n" {
		t.Errorf("body %q: it tells too much", bad.Body)
	}
	s.WaitLog("there are no keys of https://idp.example.com")
	up.Store(true)
	// Who presents a token makes it ask again.
	for deadline := time.Now().Add(30 * time.Second); s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`).Status != 200; {
		if time.Now().After(deadline) {
			t.Fatalf("the keys do not come\n%s", s.Log())
		}
	}
	s.waitHealth(200)
}

// A store that does not answer is told, and so is its return.
func TestHealth_AsksTheStoreOnceASecond(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), "health /auth/health\n\t\tstore test_switch DIR/down"))
	s.waitHealth(200)
	before := s.pings()
	start := time.Now()
	for range 200 {
		s.Get("GET", "/auth/health")
	}
	if asked, most := s.pings()-before, int(time.Since(start)/time.Second)+1; asked > most {
		t.Errorf("200 probes in %v asked the store %d times, want %d at the most", time.Since(start), asked, most)
	}
	s.Write("down", "")
	s.waitHealth(503)
	if err := os.Remove(filepath.Join(s.Dir, "down")); err != nil {
		t.Fatal(err)
	}
	s.waitHealth(200)
}

// pings is how often the test's store was asked whether it answers.
func (s *sidecar) pings() int {
	return strings.Count(s.Log(), `"msg":"the test store was asked"`)
}
