package caddymodule_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// The cookies of the default name.
const (
	cookie          = "__Host-session"
	cookieRefresh   = cookie + "-refresh"
	cookieAs        = cookie + "-as"
	cookieAsRefresh = cookie + "-as-refresh"
)

// A person is a browser with cookies, and who sits in front of it.
type person struct {
	*sidecar
	mu      sync.Mutex
	cookies map[string]string
}

func (s *sidecar) newPerson() *person { return &person{sidecar: s, cookies: make(map[string]string)} }

// sameOrigin is what a browser says of a page of the same site.
var sameOrigin = []string{"Sec-Fetch-Site", "same-origin"}

// do sends a request as the browser would, and keeps the cookies of the answer.
func (p *person) do(method, path string, header ...string) sidecartest.Answer {
	p.t.Helper()
	got := p.through(method, path, append([]string{"Cookie", p.line()}, header...)...)
	p.keep(got)
	return got
}

// line is the Cookie header.
func (p *person) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	pairs := []string{"theme=dark"}
	for _, name := range slices.Sorted(maps.Keys(p.cookies)) {
		pairs = append(pairs, name+"="+p.cookies[name])
	}
	return strings.Join(append(pairs, "lang=en"), "; ")
}

// keep keeps the cookies of an answer. Those of ours have all that makes them safe.
func (p *person) keep(got sidecartest.Answer) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range got.Header["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			p.t.Fatal(err)
		}
		if strings.HasPrefix(c.Name, cookie) && (!c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "") {
			p.t.Errorf("a cookie that is not safe: %s", line)
		}
		sidecartest.Remember(c.Value)
		if c.MaxAge < 0 {
			delete(p.cookies, c.Name)
		} else {
			p.cookies[c.Name] = c.Value
		}
	}
}

// forget drops cookies, as a browser does those whose time is over.
func (p *person) forget(names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		delete(p.cookies, name)
	}
}

// set puts cookies into the browser.
func (p *person) set(cookies map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(p.cookies, cookies)
}

// copy returns the cookies.
func (p *person) copy() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.cookies)
}

// has reports whether exactly those cookies of ours are there.
func (p *person) has(names ...string) bool {
	return slices.Equal(slices.Sorted(maps.Keys(p.copy())), slices.Sorted(slices.Values(names)))
}

// signIn has a page of the site create a session for the person, in cookies.
func (p *person) signIn(token, body string) sidecartest.Answer {
	p.t.Helper()
	body = strings.Replace(body, "{", `{"deliver":"cookie",`, 1)
	got := p.Create(token, body, append([]string{"Cookie", p.line()}, sameOrigin...)...)
	sidecartest.WantStatus(p.t, got, 200)
	p.keep(got)
	return got
}

// desk is the token of somebody who may impersonate.
func desk(idp *sidecartest.IDP) string {
	return idp.Token("carol", map[string]any{"scope": "sessions:impersonate"})
}

// browserSite starts a site with browser in front of an app that echoes.
func browserSite(t *testing.T, identity, more string) (*sidecar, *sidecartest.IDP) {
	t.Helper()
	return browserSiteOf(t, sidecartest.Echo(t), identity, more)
}

func browserSiteOf(t *testing.T, app, identity, more string) (*sidecar, *sidecartest.IDP) {
	t.Helper()
	idp, s := sidecartest.NewIDP(t, "https://idp.example.com"), newSidecar(t)
	s.Start(idp.Site(s.Sidecar, app, sidecartest.Lifecycle+"\n\t\tidentity {\n\t\t\t"+identity+"\n\t\t}\n\t\t"+more+"\n"))
	return s, idp
}

// wantNoTokens checks that an answer and what the app saw of its request hold no token.
func wantNoTokens(t *testing.T, what string, got sidecartest.Answer) {
	t.Helper()
	if strings.Contains(got.Body, "eyJ") || strings.Contains(got.Body, cookie) {
		t.Errorf("%s: a token, or a cookie of ours: %s", what, got.Body)
	}
}

func TestBrowser_ASessionInCookies(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	p := s.newPerson()
	got := p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	wantNoTokens(t, "create", got)
	if !p.has(cookie, cookieRefresh) {
		t.Fatalf("cookies %v", p.copy())
	}
	before := p.copy()
	got = p.do("GET", "/app")
	wantTold(t, got, "X-Auth-User", "alice")
	wantTold(t, got, "Cookie", "theme=dark; lang=en")
	wantNoTokens(t, "GET", got)
	sidecartest.WantHeaders(t, got, "Cache-Control", "private", "Vary", "Cookie", "Set-Cookie", "")
	if !maps.Equal(before, p.copy()) {
		t.Error("a good access token moved the cookies")
	}
	p.forget(cookie)
	got = p.do("GET", "/app")
	wantTold(t, got, "X-Auth-User", "alice")
	wantNoTokens(t, "GET", got)
	sidecartest.WantHeaders(t, got, "Cache-Control", "no-store")
	if after := p.copy(); !p.has(cookie, cookieRefresh) || after[cookieRefresh] == before[cookieRefresh] {
		t.Errorf("not rotated: %v", got.Header)
	}
	wantTold(t, p.do("POST", "/app", sameOrigin...), "X-Auth-User", "alice")
	wantTold(t, p.do("GET", "/app"), "X-Auth-User", "alice")
}

// There is one pair for oneself and one for whom one acts as, and an answer moves but the one
// that its request brought.
func TestBrowser_TwoPairs(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	p := s.newPerson()
	p.signIn(idp.Token("carol", nil), `{"user_id":"carol"}`)
	own := p.copy()
	p.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4711"}`)
	got := p.do("GET", "/app")
	wantTold(t, got, "X-Auth-User", "alice")
	wantTold(t, got, "X-Auth-Actor", "carol")
	p.forget(cookieAs)
	wantTold(t, p.do("GET", "/app"), "X-Auth-User", "alice")
	for name, value := range own {
		if p.copy()[name] != value {
			t.Errorf("%s moved", name)
		}
	}
	got = p.do("POST", "/auth/sessions/close", sameOrigin...)
	sidecartest.WantStatus(t, got, 303)
	sidecartest.WantHeaders(t, got, "Location", "/", "Clear-Site-Data", `"cache"`)
	if !maps.Equal(p.copy(), own) {
		t.Errorf("after it: %v", p.copy())
	}
	got = p.do("GET", "/app")
	wantTold(t, got, "X-Auth-User", "carol")
	wantTold(t, got, "X-Auth-Actor", "")
}

// What was begun in another's name never goes on in one's own.
func TestBrowser_AnImpersonationThatIsOverNeverFallsThrough(t *testing.T) {
	t.Parallel()
	for _, identity := range []string{"", "require\n\t\t\tlogin /login"} {
		s, idp := browserSite(t, identity, "browser")
		for what, request := range overRequests {
			p := s.newPerson()
			p.signIn(idp.Token("carol", nil), `{"user_id":"carol"}`)
			own := p.copy()
			imp := p.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4711"}`)
			sidecartest.WantStatus(t, s.Call("DELETE", "/"+imp.Text("session_id"), idp.Token("alice", nil), ""), 200)
			got := p.do(request.method, "/app", request.header...)
			if got.Status != 401 || !strings.Contains(got.Body, "impersonation_over") {
				t.Errorf("%s: %d %s", what, got.Status, got.Body)
			}
			if isPage := strings.HasPrefix(got.Header.Get("Content-Type"), "text/html"); isPage != request.person {
				t.Errorf("%s: %v", what, got.Header)
			}
			if !maps.Equal(p.copy(), own) {
				t.Errorf("%s: the cookies are %v", what, p.copy())
			}
			wantTold(t, p.do("GET", "/app"), "X-Auth-User", "carol")
		}
	}
}

// overRequests are the kinds of requests that a browser sends.
var overRequests = map[string]struct {
	method string
	header []string
	person bool
	unsafe bool
}{
	"a page":          {"GET", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin", "Accept", "text/html"}, true, false},
	"a form":          {"POST", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin", "Accept", "text/html"}, true, true},
	"a fetch":         {"GET", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin"}, false, false},
	"an unsafe fetch": {"PUT", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin"}, false, true},
	"a WebSocket":     {"GET", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-Fetch-Mode", "websocket", "Sec-Fetch-Site", "same-origin"}, false, true},
}

// One's own session that is over: pages go on as nobody's, and whoever meant to change something
// is asked to sign in again.
func TestBrowser_ASessionThatIsOver(t *testing.T) {
	t.Parallel()
	for _, identity := range []string{"", "require", "require\n\t\t\tlogin /login"} {
		s, idp := browserSite(t, identity, "browser")
		for what, request := range overRequests {
			p := s.newPerson()
			session := p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
			sidecartest.WantStatus(t, s.Call("DELETE", "/"+session.Text("session_id"), idp.Token("alice", nil), ""), 200)
			got := p.do(request.method, "/app", request.header...)
			switch {
			case identity == "" && !request.unsafe:
				wantTold(t, got, "X-Auth-User", "")
				wantTold(t, got, "Cookie", "theme=dark; lang=en")
			case strings.Contains(identity, "login") && request.person && !request.unsafe:
				sidecartest.WantStatus(t, got, 302)
				sidecartest.WantHeaders(t, got, "Location", "/login")
			default:
				if got.Status != 401 || !strings.Contains(got.Body, "Sign in again") || !strings.Contains(got.Body, "session_over") {
					t.Errorf("%s, %s: %d %s", identity, what, got.Status, got.Body)
				}
			}
			if !p.has() {
				t.Errorf("%s, %s: the cookies are %v", identity, what, p.copy())
			}
			if got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %s: %v", identity, what, got.Header)
			}
		}
	}
}

// Requests that change something need a page of ours to have sent them.
func TestBrowser_CrossSiteRequestsChangeNothing(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	p := s.newPerson()
	p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	host := strings.TrimPrefix(s.URL, "http://")
	for what, c := range map[string]struct {
		header []string
		passes bool
	}{
		"of ours":                                   {[]string{"Sec-Fetch-Site", "same-origin"}, true},
		"of ours, by Origin":                        {[]string{"Origin", "https://" + host}, true},
		"of ours over plain HTTP, by Origin":        {[]string{"Origin", "http://" + host}, false},
		"of another site":                           {[]string{"Sec-Fetch-Site", "cross-site"}, false},
		"of a subdomain":                            {[]string{"Sec-Fetch-Site", "same-site"}, false},
		"of another site, by Origin":                {[]string{"Origin", "https://evil.example.com"}, false},
		"of a page without an origin":               {[]string{"Origin", "null"}, false},
		"that say neither":                          {nil, false},
		"of another site, with an Origin of ours":   {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://" + host}, false},
		"of another site, with a Referer of ours":   {[]string{"Referer", "https://" + host + "/x"}, false},
		"of another site, with the method in query": {[]string{"Sec-Fetch-Site", "cross-site", "X-Http-Method-Override", "GET"}, false},
	} {
		before := p.copy()
		for request, header := range map[string][]string{"POST /app": nil, "DELETE /app": nil, "GET /ws": {"Connection", "Upgrade", "Upgrade", "websocket"}} {
			method, path, _ := strings.Cut(request, " ")
			got := p.do(method, path, slices.Concat(header, c.header)...)
			if passed := got.Status != 403; passed != c.passes {
				t.Errorf("%s %s: %d %s", request, what, got.Status, got.Body)
			}
		}
		if !c.passes {
			for _, request := range []string{"POST /auth/sessions/close", "DELETE /auth/sessions/current"} {
				method, path, _ := strings.Cut(request, " ")
				if got := p.do(method, path, c.header...); got.Status != 403 {
					t.Errorf("%s %s: %d %s", request, what, got.Status, got.Body)
				}
			}
		}
		if !maps.Equal(before, p.copy()) {
			t.Errorf("%s: the cookies moved", what)
		}
	}
	wantTold(t, p.do("GET", "/app", "Sec-Fetch-Site", "cross-site"), "X-Auth-User", "alice") // a link from elsewhere
}

// Nobody can sign somebody else's browser in as whom they like.
func TestBrowser_LoginCSRF(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	token := idp.Token("mallory", nil)
	const body = `{"user_id":"mallory","deliver":"cookie"}`
	for what, c := range map[string]struct {
		header []string
		status int
	}{
		"a page of ours":                    {[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		"a back end, which relays":          {nil, 200},
		"a page of another site":            {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a page of a subdomain":             {[]string{"Sec-Fetch-Site", "same-site"}, 403},
		"a page of another site, by Origin": {[]string{"Origin", "https://evil.example.com"}, 403},
		"a page of nobody's":                {[]string{"Origin", "null"}, 403},
	} {
		got := s.Create(token, body, c.header...)
		if got.Status != c.status || (got.Header.Get("Set-Cookie") != "") != (c.status == 200) {
			t.Errorf("%s: %d %v", what, got.Status, got.Header)
		}
	}
}

// Whoever has cookies sees and ends their own sessions, and gets no token.
func TestBrowser_WhatACookieMayDo(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser\n\t\toauth {\n\t\t\tclient spa {\n\t\t\t\tpublic\n\t\t\t}\n\t\t}")
	p := s.newPerson()
	mine := p.signIn(idp.Token("alice", map[string]any{"scope": "sessions:manage sessions:impersonate"}), `{"user_id":"alice"}`)
	other := s.Create(idp.Token("alice", nil), `{"user_id":"alice"}`)
	foreign := s.Create(idp.Token("bob", nil), `{"user_id":"bob"}`)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/auth/sessions", "", 200},
		{"GET", "/auth/sessions?user_id=bob", "", 200},
		{"GET", "/auth/sessions/" + other.Text("session_id"), "", 200},
		{"GET", "/auth/sessions/" + foreign.Text("session_id"), "", 404},
		{"DELETE", "/auth/sessions/" + foreign.Text("session_id"), "", 404},
		{"GET", "/auth/sessions/current", "", 200},
		{"POST", "/auth/sessions", `{"user_id":"alice"}`, 401},
		{"POST", "/auth/sessions", `{"user_id":"bob"}`, 401},
		{"POST", "/auth/sessions/current/refresh", `{}`, 400},
		{"POST", "/oauth/token", "grant_type=refresh_token&client_id=spa", 400},
		{"POST", "/oauth/introspect", "token=x&client_id=spa", 401},
		{"DELETE", "/auth/sessions/" + other.Text("session_id"), "", 200},
	} {
		p.forget(cookie) // so that each is rotated, where it is asked who it is
		got := p.send(c.method, c.path, c.body)
		if got.Status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.Status, got.Body)
		}
		wantNoTokens(t, c.method+" "+c.path, got)
		if strings.Contains(got.Body, foreign.Text("session_id")) {
			t.Errorf("%s %s: %s", c.method, c.path, got.Body)
		}
	}
	got := p.do("GET", "/auth/sessions/current")
	sidecartest.WantFields(t, got, map[string]any{"id": mine.Text("session_id"), "is_current": true})
	sidecartest.WantStatus(t, p.do("DELETE", "/auth/sessions/current", sameOrigin...), 200)
	if !p.has() {
		t.Errorf("signed out: %v", p.copy())
	}
}

// Whoever copies a cookie gets no tokens for it in a body, and a token from a body opens no session in
// a cookie. Nothing happens to either session.
func TestBrowser_TokensOfCookiesAreRefreshedThereAlone(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "require", "browser\n\t\toauth {\n\t\t\tclient spa {\n\t\t\t\tpublic\n\t\t\t}\n\t\t}")
	p, thief := s.newPerson(), s.newPerson()
	p.signIn(idp.Token("alice", map[string]any{"client_id": "spa"}), `{"user_id":"alice"}`)
	plain := s.Create(idp.Token("alice", map[string]any{"client_id": "spa"}), `{"user_id":"alice"}`).Text("refresh_token")
	copied := p.copy()[cookieRefresh]
	wrong := thief.send("POST", "/auth/sessions/current/refresh", `{"refresh_token":"wrong"}`)
	got := thief.send("POST", "/auth/sessions/current/refresh", `{"refresh_token":"`+copied+`"}`)
	if got.Status != 400 || sidecartest.WithoutInstance(got) != sidecartest.WithoutInstance(wrong) {
		t.Errorf("%d %s, want %s", got.Status, got.Body, wrong.Body)
	}
	form := "grant_type=refresh_token&client_id=spa&refresh_token="
	wrong = thief.send("POST", "/oauth/token", form+"wrong")
	if got = thief.send("POST", "/oauth/token", form+copied); got.Status != 400 || got.Body != wrong.Body {
		t.Errorf("%d %s, want %s", got.Status, got.Body, wrong.Body)
	}
	thief.set(map[string]string{cookieRefresh: plain})
	sidecartest.WantStatus(t, thief.do("GET", "/auth/sessions/current"), 401)
	sidecartest.WantStatus(t, thief.send("POST", "/oauth/token", form+plain), 200)
	p.forget(cookie)
	wantTold(t, p.do("GET", "/app"), "X-Auth-User", "alice")
}

// send is do with a body.
func (p *person) send(method, path, body string) sidecartest.Answer {
	p.t.Helper()
	req, err := http.NewRequest(method, p.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Cookie", p.line())
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
		if !strings.HasPrefix(body, "{") {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	got, err := p.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.keep(got)
	return got
}

// Many tabs at once are one rotation.
func TestBrowser_FiftyRequestsAreOneRotation(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "require", "browser")
	p := s.newPerson()
	p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	p.forget(cookie)
	wantOneRotation(t, p.copy(), s)
}

// wantOneRotation sends fifty requests with the same cookies through the nodes.
func wantOneRotation(t *testing.T, cookies map[string]string, nodes ...*sidecar) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	successors := make(map[string]int)
	for i := range 50 {
		all.Go(func() {
			p := nodes[i%len(nodes)].newPerson()
			p.set(cookies)
			got, err := p.tryThrough("GET", "/app", "Cookie", p.line())
			if err != nil || got.Status != 200 || !strings.Contains(got.Body, "X-Auth-User: alice") {
				t.Errorf("%v %d %s", err, got.Status, got.Body)
				return
			}
			p.keep(got)
			mu.Lock()
			defer mu.Unlock()
			successors[p.copy()[cookieRefresh]]++
		})
	}
	all.Wait()
	if len(successors) != 1 || successors[cookies[cookieRefresh]] != 0 {
		t.Errorf("%d successors", len(successors))
	}
	for successor := range successors {
		if got := sidecartest.Part(t, successor, 1)["gen"]; fmt.Sprint(got) != "1" {
			t.Errorf("generation %v", got)
		}
	}
}
