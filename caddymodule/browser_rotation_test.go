package caddymodule_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"authsidecar/caddymodule/internal/sidecartest"
)

// With a refresh token alone whatever a browser does simply works, and each answer has the new
// cookies: the one that turns into a WebSocket, and the one that does not end.
func TestBrowser_WhatIsRotatedOnTheWay(t *testing.T) {
	t.Parallel()
	s, idp := browserSiteOf(t, newStreamApp(t).URL, "require", "browser")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for what, open := range map[string]func(*person) http.Header{
		"a WebSocket": func(p *person) http.Header {
			header := http.Header{"Cookie": {p.line()}, "Sec-Fetch-Site": {"same-origin"}}
			conn, resp, err := websocket.Dial(ctx, s.URL+"/ws", &websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // it is the connection
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.CloseNow() }()
			if err := conn.Write(ctx, websocket.MessageText, []byte("tick")); err != nil {
				t.Fatal(err)
			}
			if _, data, err := conn.Read(ctx); err != nil || string(data) != "tick" {
				t.Errorf("%q %v", data, err)
			}
			return resp.Header
		},
		"a stream of events": func(p *person) http.Header {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/events", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Cookie", p.line())
			resp, err := s.Client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("status %d", resp.StatusCode)
			}
			return resp.Header
		},
		"an upload": func(p *person) http.Header {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/upload", io.LimitReader(blanks{}, 1<<20))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"Cookie": {p.line()}, "Sec-Fetch-Site": {"same-origin"}}
			resp, err := s.Client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("status %d", resp.StatusCode)
			}
			return resp.Header
		},
	} {
		p := s.newPerson()
		p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
		p.forget(cookie)
		before := p.copy()[cookieRefresh]
		header := open(p)
		p.keep(sidecartest.Answer{Header: header})
		if after := p.copy(); !p.has(cookie, cookieRefresh) || after[cookieRefresh] == before || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", what, header)
		}
	}
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// The app says what it says about caching, unless the answer has cookies of ours.
func TestBrowser_CachingIsTheAppsWordUnlessCookiesAreSet(t *testing.T) {
	t.Parallel()
	app := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), http.Header(r.URL.Query()))
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "x")
	})
	s, idp := browserSiteOf(t, app, "", "browser")
	p := s.newPerson()
	p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	for query, want := range map[string][2]string{
		"":                                       {"private", "Cookie"},
		"?Vary=Accept":                           {"private", "Accept, Cookie"},
		"?Vary=accept,+cookie":                   {"private", "accept, cookie"},
		"?Cache-Control=public,max-age%3D60":     {"public,max-age=60", ""},
		"?Expires=Thu,+01+Jan+2099+00:00:00+GMT": {"", ""},
		"?Cdn-Cache-Control=max-age%3D60":        {"", ""},
	} {
		got := p.do("GET", "/"+query)
		if is := [2]string{got.Header.Get("Cache-Control"), strings.Join(got.Header["Vary"], ", ")}; is != want {
			t.Errorf("%s: %q, want %q", query, is, want)
		}
		p.forget(cookie)
		got = p.do("GET", "/"+query)
		if caching := got.Header["Cache-Control"]; len(caching) != 1 || caching[0] != "no-store" || len(got.Header["Set-Cookie"]) != 2 ||
			got.Header.Get("Expires")+got.Header.Get("Cdn-Cache-Control") != "" {
			t.Errorf("%s: %v", query, got.Header)
		}
	}
	got := s.through("GET", "/")
	sidecartest.WantHeaders(t, got, "Cache-Control", "", "Vary", "") // no cookie decided
}

// Answers get lost: whoever comes back with the cookies from before gets the same successor, and
// a copy of them is worth nothing once the new ones were seen.
func TestBrowser_ALostAnswerSignsNobodyOutAndAThiefIsCaught(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "require", "browser\n\t\trefresh_token {\n\t\t\tgrace 1s\n\t\t}")
	p, thief := s.newPerson(), s.newPerson()
	p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	p.forget(cookie)
	first := p.copy()
	for range 3 { // answers that nobody gets
		sidecartest.WantStatus(t, p.through("GET", "/app", "Cookie", p.line()), 200)
	}
	sidecartest.WantStatus(t, p.do("GET", "/app"), 200)
	second := p.copy()
	sidecartest.WantStatus(t, p.do("GET", "/app"), 200) // it arrived
	waitUntil(t, "the new cookies are known to have arrived, and the old ones betray who uses them", func() bool {
		thief.set(first)
		thief.forget(cookie)
		return thief.do("GET", "/app").Status == 401
	})
	got := p.do("GET", "/app")
	sidecartest.WantStatus(t, got, 401)
	if !p.has() || maps.Equal(second, first) {
		t.Errorf("cookies %v", p.copy())
	}
}

// While the store is down nobody is signed out, and whoever wants to be is, in this browser.
func TestBrowser_TheStoreIsDown(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser\n\t\tstore test_switch DIR/down")
	good, stale := s.newPerson(), s.newPerson()
	for _, p := range []*person{good, stale} {
		p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	}
	stale.forget(cookie)
	if err := os.WriteFile(s.Dir+"/down", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantTold(t, good.do("GET", "/app"), "X-Auth-User", "alice")
	before := stale.copy()
	for _, header := range [][]string{nil, sameOrigin} {
		got := stale.do("GET", "/app", header...)
		sidecartest.WantStatus(t, got, 503)
		sidecartest.WantHeaders(t, got, "Retry-After", "1", "Set-Cookie", "")
	}
	if !maps.Equal(before, stale.copy()) {
		t.Errorf("cookies %v", stale.copy())
	}
	for _, p := range []*person{good, stale} {
		got := p.do("POST", "/auth/sessions/close", "Sec-Fetch-Site", "same-origin", "Accept", "text/html")
		if got.Status != 503 || !strings.Contains(got.Body, "session_lives_on") || !p.has() {
			t.Errorf("%d %s, cookies %v", got.Status, got.Body, p.copy())
		}
	}
}

// Two pairs and what an app has beside them stay far below what a server takes, and a browser that
// has more than that, from whom ever, gets to close all the same.
func TestBrowser_ManyCookiesKeepNobodyFromSigningOut(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	p := s.newPerson()
	p.signIn(idp.Token("carol", nil), `{"user_id":"carol"}`)
	p.signIn(desk(idp), `{"user_id":"alice","reason":"`+strings.Repeat("r", 500)+`"}`)
	planted := make(map[string]string)
	for i := range 180 { // as many as a browser keeps for a site
		planted["x"+strings.Repeat("y", i)] = strings.Repeat("z", 4096-i-1)
	}
	p.set(planted)
	for range 2 {
		sidecartest.WantStatus(t, p.do("POST", "/auth/sessions/close", sameOrigin...), 303)
	}
	for name := range p.copy() {
		if strings.HasPrefix(name, cookie) {
			t.Errorf("%s is still there", name)
		}
	}
}

// Cookies of our names that differ were planted by somebody: nothing is decided by them, and they
// can be cleared.
func TestBrowser_TwoCookiesOfOneName(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	p, other := s.newPerson(), s.newPerson()
	p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	other.signIn(idp.Token("mallory", nil), `{"user_id":"mallory"}`)
	line := p.line() + "; " + cookie + "=" + other.copy()[cookie]
	got := s.through("GET", "/app", "Cookie", line)
	sidecartest.WantStatus(t, got, 401)
	got = s.through("POST", "/auth/sessions/close", append([]string{"Cookie", line}, sameOrigin...)...)
	if got.Status >= 500 || len(got.Header["Set-Cookie"]) != 2 {
		t.Errorf("%d %v", got.Status, got.Header)
	}
}

// Whatever an app reads for one of our cookies never gets there; what only looks like one does.
func TestBrowser_NoSpellingOfACookieReachesTheApp(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	p := s.newPerson()
	p.signIn(idp.Token("carol", nil), `{"user_id":"carol"}`)
	p.signIn(desk(idp), `{"user_id":"alice"}`)
	gone := []string{"__HOST-session", "__host-SESSION-AS", "__Host-session[x]", "%5F_Host-session", "._Host-session", "__Host%2Dsession-refresh", "__Host-session-as-refresh[0]"}
	stays := []string{"a=b", "__Host-sessions=1", "session=2", "__Host-session-asx=3", "x__Host-session=4", "quoted=\"5 \"", "6", "=7"}
	line := p.line() + ";"
	for _, one := range stays {
		line += " " + one + ";"
		for _, name := range gone {
			line += name + "=secret;"
		}
	}
	got := s.through("GET", "/app", "Cookie", strings.Trim(line, "; "))
	wantTold(t, got, "X-Auth-Actor", "carol")
	wantTold(t, got, "Cookie", "theme=dark; lang=en; "+strings.Join(stays, "; "))
	wantNoTokens(t, "an app", sidecartest.Answer{Body: strings.ReplaceAll(got.Body, "__Host-sessions=1; session=2; __Host-session-asx=3; x__Host-session=4", "")})
}
