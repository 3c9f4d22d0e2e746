package caddymodule_test

import (
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A slowApp holds its answer to /slow until it is let go; it answers all else at once.
type slowApp struct {
	url      string
	held     chan struct{} // one for each request that is held
	released chan struct{} // closed to let all go
}

func newSlowApp(t *testing.T) *slowApp {
	t.Helper()
	a := &slowApp{held: make(chan struct{}, 8), released: make(chan struct{})}
	a.url = sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			a.held <- struct{}{}
			<-a.released
		}
		_, _ = io.WriteString(w, "X-Auth-User: "+r.Header.Get("X-Auth-User")+"\n")
	})
	return a
}

// An answer that takes its time leaves its cookies out where the browser has newer ones by then, or
// that cannot be known: it would take the browser back to tokens that pass for stolen. Else it has
// them.
func TestBrowser_ALateAnswerNeverTakesTheCookiesBack(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		meanwhile func(*sidecar, *person)
		cookies   int
	}{
		"nothing happened": {func(*sidecar, *person) {}, 2},
		"the same cookies came with another answer, and were seen": {func(s *sidecar, p *person) {
			p.do("GET", "/") // the same successor
			p.do("GET", "/")
			s.WaitLog("the test store has a generation that arrived")
		}, 0},
		"the session was rotated again": {func(_ *sidecar, p *person) {
			p.do("GET", "/")
			p.forget(cookie)
			p.do("GET", "/")
		}, 0},
		"the session ended": {func(s *sidecar, p *person) {
			sidecartest.WantStatus(s.t, p.do("POST", "/auth/sessions/close", sameOrigin...), 303)
		}, 0},
		"the store is down": {func(s *sidecar, _ *person) {
			if err := os.WriteFile(s.Dir+"/down", nil, 0o600); err != nil {
				s.t.Fatal(err)
			}
		}, 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			app := newSlowApp(t)
			s, idp := browserSiteOf(t, app.url, "", "browser\n\t\tstore test_switch DIR/down")
			s.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			p := s.newPerson()
			p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
			p.forget(cookie)
			answer := make(chan sidecartest.Answer, 1)
			line := p.line()
			go func() { answer <- s.through("GET", "/slow", "Cookie", line) }()
			<-app.held                                  // by now it was rotated
			late := time.After(1100 * time.Millisecond) // up to a second nobody can have newer ones
			c.meanwhile(s, p)
			has := p.copy()
			<-late
			close(app.released)
			got := <-answer
			wantTold(t, got, "X-Auth-User", "alice")
			if len(got.Header["Set-Cookie"]) != c.cookies {
				t.Errorf("%v", got.Header)
			}
			if len(has) == 0 || c.cookies > 0 || what == "the store is down" {
				return
			}
			p.keep(got)
			for range 2 { // the browser goes on, with the access token and without
				wantTold(t, p.do("GET", "/"), "X-Auth-User", "alice")
				p.forget(cookie)
			}
		})
	}
}
