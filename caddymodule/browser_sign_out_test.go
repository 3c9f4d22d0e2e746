package caddymodule_test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/browser/signin/signintest"
)

// signOutApp answers as the query of a request says, and says who asked.
func signOutApp(t *testing.T) string {
	t.Helper()
	return sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		for name, values := range r.URL.Query() {
			if name == "status" {
				status, _ = strconv.Atoi(values[0])
				continue
			}
			w.Header()[name] = values
		}
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "X-Auth-User: "+r.Header.Get("X-Auth-User")+"\nX-Auth-Actor: "+r.Header.Get("X-Auth-Actor")+"\n")
	})
}

// signOutSite is a site whose app has people sign out at /logout.
func signOutSite(t *testing.T, more string) (*sidecar, *sidecartest.IDP) {
	t.Helper()
	s, idp := browserSiteOf(t, signOutApp(t), "require", "browser {\n\t\t\tsign_out /logout\n\t\t}"+more)
	s.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s, idp
}

// lives reports whether the session whose cookies a browser had still lives.
func (p *person) lives(had map[string]string) bool {
	thief := p.newPerson()
	thief.set(had)
	return thief.do("GET", "/").Status == http.StatusOK
}

// Whoever asks to sign out of the app is out, whatever it answers, and it still sees who asked.
func TestSignOut_OfTheApp(t *testing.T) {
	t.Parallel()
	s, idp := signOutSite(t, "")
	page := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate"}
	for what, c := range map[string]struct {
		method, path string
		header       []string
		status       int
	}{
		"a form":                     {"POST", "/logout", sameOrigin, 200},
		"a script":                   {"DELETE", "/logout", sameOrigin, 200},
		"a form without Fetch":       {"POST", "/logout", []string{"Origin", strings.Replace(s.URL, "http:", "https:", 1)}, 200},
		"a link":                     {"GET", "/logout", page, 200},
		"an address that is entered": {"GET", "/logout", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, 200},
		"a slash at its end":         {"GET", "/logout/?x=1", page, 200},
		"in capitals":                {"GET", "/LogOut", page, 200},
		"a format":                   {"POST", "/logout.json", sameOrigin, 200},
		"an app that fails":          {"POST", "/logout?status=500", sameOrigin, 500},
		"an app that says no":        {"POST", "/logout?status=403", sameOrigin, 403},
		"an app with its own words":  {"POST", "/logout?Cache-Control=public&Clear-Site-Data=%22storage%22", sameOrigin, 200},
	} {
		p := s.newPerson()
		p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
		had := p.copy()
		got := p.do(c.method, c.path, c.header...)
		if got.Status != c.status || !strings.Contains(got.Body, "X-Auth-User: alice") {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
		clears := strings.Join(got.Header["Clear-Site-Data"], ", ")
		if !p.has() || p.lives(had) || !strings.HasSuffix(clears, `"cache"`) || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: cookies %v, %v", what, p.copy(), got.Header)
		}
		if strings.Contains(c.path, "storage") && clears != `"storage", "cache"` {
			t.Errorf("%s: Clear-Site-Data %s", what, clears)
		}
	}
}

// Nobody is signed out against their will: what another site does, and what loads a page ahead, is
// not their will, and neither is another page.
func TestSignOut_NotAgainstAPersonsWill(t *testing.T) {
	t.Parallel()
	s, idp := signOutSite(t, "")
	p := s.newPerson()
	p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	had := p.copy()
	for what, c := range map[string]struct {
		method, path string
		header       []string
		status       int
	}{
		"a form of another site":           {"POST", "/logout", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a form of a sister site":          {"POST", "/logout", []string{"Sec-Fetch-Site", "same-site"}, 403},
		"a form that says nothing":         {"POST", "/logout", nil, 403},
		"a link of another site":           {"GET", "/logout", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		"a link of a sister site":          {"GET", "/logout", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}, 200},
		"a link that says nothing":         {"GET", "/logout", []string{"Accept", "text/html"}, 200},
		"an image":                         {"GET", "/logout", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "no-cors"}, 200},
		"a script that gets pages ahead":   {"GET", "/logout", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors"}, 200},
		"a look":                           {"HEAD", "/logout", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate"}, 200},
		"a browser that prefetches":        {"GET", "/logout", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Purpose", "prefetch"}, 403},
		"a browser that renders ahead":     {"GET", "/logout", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Purpose", "prefetch;prerender"}, 403},
		"a script that says it prefetches": {"GET", "/logout", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "X-Sec-Purpose", "prefetch"}, 403},
		"another page that is prefetched":  {"GET", "/", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Purpose", "prefetch"}, 200},
		"another page":                     {"POST", "/logouts", sameOrigin, 200},
		"a page below":                     {"POST", "/logout/help", sameOrigin, 200},
		"another spelling":                 {"POST", "//logout", sameOrigin, 200},
	} {
		got := p.do(c.method, c.path, c.header...)
		if got.Status != c.status || len(got.Header["Set-Cookie"])+len(got.Header["Clear-Site-Data"]) != 0 || !p.lives(had) {
			t.Fatalf("%s: %d %v", what, got.Status, got.Header)
		}
		if c.status == 403 && strings.Contains(got.Body, "X-Auth-User") {
			t.Errorf("%s gets to the app", what)
		}
	}
	got := p.do("GET", "/logout", "Sec-Fetch-Site", "same-origin", "Sec-Purpose", "prefetch")
	wantProblem(t, "ahead", got, 403, "not_ahead")
	p.forget(cookieRefresh, cookie)
	got = p.do("GET", "/logout", "Sec-Purpose", "prefetch") // who has no session has none to keep
	wantProblem(t, "nobody", got, 401, "missing_token")
}

// A session that would have to be rotated ends without new tokens, and an app that is down keeps
// nobody signed in.
func TestSignOut_WithoutAnAccessTokenAndWithoutAnApp(t *testing.T) {
	t.Parallel()
	s, idp := signOutSite(t, "")
	p := s.newPerson()
	p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	p.forget(cookie)
	had := p.copy()
	got := p.do("POST", "/logout", sameOrigin...)
	wantTold(t, got, "X-Auth-User", "alice")
	if len(got.Header["Set-Cookie"]) != 2 || !p.has() || p.lives(had) {
		t.Errorf("cookies %v, %v", p.copy(), got.Header)
	}

	s, idp = browserSiteOf(t, "http://127.0.0.1:"+sidecartest.Port(t), "require", "browser {\n\t\t\tsign_out /logout\n\t\t}")
	p = s.newPerson()
	p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	had = p.copy()
	sidecartest.WantStatus(t, p.do("POST", "/logout", sameOrigin...), 502)
	thief := s.newPerson()
	thief.set(had)
	if got := thief.do("GET", "/"); got.Status != 401 || !p.has() {
		t.Errorf("%d, cookies %v", got.Status, p.copy())
	}
}

// Who acts as somebody else stops doing so, and is themselves: also where the app must not be asked.
func TestSignOut_WhileActingEndsThatAlone(t *testing.T) {
	t.Parallel()
	for what, more := range map[string]string{
		"":          "",
		"read_only": "\n\t\timpersonation {\n\t\t\tread_only\n\t\t}",
		"deny":      "\n\t\timpersonation {\n\t\t\tdeny /logout\n\t\t}",
	} {
		s, idp := signOutSite(t, more)
		p := s.newPerson()
		p.signIn(idp.Token("carol", nil), `{"user_id":"carol"}`)
		p.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4711"}`)
		had := p.copy()
		got := p.do("POST", "/logout", sameOrigin...)
		if what == "" {
			wantTold(t, got, "X-Auth-Actor", "carol")
		} else if got.Status != 403 || !strings.Contains(got.Body, `"`+what+`"`) {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
		if !p.has(cookie, cookieRefresh) || p.copy()[cookieRefresh] != had[cookieRefresh] {
			t.Errorf("%s: cookies %v", what, p.copy())
		}
		if p.lives(had) {
			t.Errorf("%s: the impersonation lives on", what)
		}
		got = p.do("GET", "/")
		wantTold(t, got, "X-Auth-User", "carol")
		wantTold(t, got, "X-Auth-Actor", "")
	}
}

// The app says by a header of its answer that the session is over. Nobody but us gets to see it,
// and who has no session in cookies loses none.
func TestSignOut_TheAppSaysSo(t *testing.T) {
	t.Parallel()
	s, idp := signOutSite(t, "")
	for _, path := range []string{"/?Auth-Session=end", "/account?Auth-Session=END&status=204", "/?Auth-Session=x&Auth-Session=end"} {
		p := s.newPerson()
		p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
		had := p.copy()
		got := p.do("GET", path, "Sec-Fetch-Site", "cross-site")
		sidecartest.WantHeaders(t, got, "Auth-Session", "", "Clear-Site-Data", `"cache"`, "Cache-Control", "no-store")
		if got.Status >= 300 || !p.has() || p.lives(had) {
			t.Errorf("%s: %d, cookies %v", path, got.Status, p.copy())
		}
	}
	p := s.newPerson()
	access := p.Create(idp.Token("alice", nil), `{"user_id":"alice"}`).Text("access_token")
	p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	got := p.do("GET", "/?Auth-Session=keep")
	sidecartest.WantHeaders(t, got, "Auth-Session", "", "Set-Cookie", "", "Cache-Control", "private")
	got = p.do("GET", "/?Auth-Session=end", "Authorization", "Bearer "+access)
	sidecartest.WantStatus(t, got, 200)
	sidecartest.WantHeaders(t, got, "Auth-Session", "", "Set-Cookie", "", "Clear-Site-Data", "")
	sidecartest.WantStatus(t, s.through("GET", "/", "Authorization", "Bearer "+access), 200)
	sidecartest.WantStatus(t, p.do("GET", "/"), 200)

	s, _ = browserSiteOf(t, signOutApp(t), "", "browser")
	got = s.through("GET", "/?Auth-Session=end")
	sidecartest.WantStatus(t, got, 200)
	sidecartest.WantHeaders(t, got, "Auth-Session", "", "Set-Cookie", "", "Clear-Site-Data", "", "Cache-Control", "")
}

// Without browser the header is the app's affair.
func TestSignOut_TheHeaderIsTheAppsWithoutBrowser(t *testing.T) {
	t.Parallel()
	s, _ := browserSiteOf(t, signOutApp(t), "", "")
	sidecartest.WantHeaders(t, s.through("GET", "/?Auth-Session=end"), "Auth-Session", "end")
}

// What is open for the session ends with it, and the answer that ends it is whole.
func TestSignOut_StreamsEnd(t *testing.T) {
	t.Parallel()
	app := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/logout" {
			_, _ = io.WriteString(w, strings.Repeat("bye ", 1<<18))
			return
		}
		_, _ = io.WriteString(w, "data: x\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	s, idp := browserSiteOf(t, app, "end_streams", "browser {\n\t\t\tsign_out /logout\n\t\t}")
	for _, body := range []string{`{"user_id":"carol"}`, `{"user_id":"alice","reason":"ticket 4711"}`} {
		p := s.newPerson()
		p.signIn(desk(idp), body)
		ended := p.events()
		if got := p.do("POST", "/logout", sameOrigin...); got.Status != 200 || len(got.Body) != 4<<18 || !p.has() {
			t.Errorf("%s: %d, %d bytes, cookies %v", body, got.Status, len(got.Body), p.copy())
		}
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: the stream does not end", body)
		}
	}
}

// events opens a stream of events, and returns what is closed when it has ended.
func (p *person) events() <-chan struct{} {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.URL+"/events", http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Cookie", p.line())
	resp, err := p.Client.Do(req) //nolint:bodyclose // the goroutine closes it
	if err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
	}()
	return ended
}

// While the store is down whoever wants to be out is out in this browser, and the log and the
// metrics say that the session lives on.
func TestSignOut_TheStoreIsDown(t *testing.T) {
	t.Parallel()
	s, idp := signOutSite(t, "\n\t\tstore test_switch DIR/down")
	good, stale, other := s.newPerson(), s.newPerson(), s.newPerson()
	for _, p := range []*person{good, stale, other} {
		p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	}
	stale.forget(cookie)
	other.forget(cookie)
	if err := os.WriteFile(s.Dir+"/down", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := good.do("POST", "/logout", sameOrigin...)
	wantTold(t, got, "X-Auth-User", "alice")
	if !good.has() || got.Header.Get("Clear-Site-Data") == "" {
		t.Errorf("cookies %v, %v", good.copy(), got.Header)
	}
	s.WaitLog(`"reason":"session_lives_on"`, "signing out: ")
	wantProblem(t, "another site", other.do("POST", "/logout", "Sec-Fetch-Site", "cross-site"), 403, "cross_origin")
	if !other.has(cookieRefresh) {
		t.Error("another site signed somebody out")
	}
	got = stale.do("POST", "/logout", sameOrigin...)
	if got.Status != 503 || !strings.Contains(got.Body, "session_lives_on") || !stale.has() {
		t.Errorf("%d %s, cookies %v", got.Status, got.Body, stale.copy())
	}
	if n := s.scrape()[`auth_sessions_rejections_total{realm="https://app.example.com",reason="session_lives_on"}`]; n != "2" {
		t.Errorf("the metrics have %q of 2", n)
	}
}

// Where the app leads on to a page of this site, a person who signed in at a provider signs out
// there too; where it leads elsewhere, or answers itself, it knows better.
func TestSignOut_AtTheProviderToo(t *testing.T) {
	t.Parallel()
	provider := signintest.NewProvider(t, "site")
	s := sidecartest.New(t)
	s.StartSignIn(sidecartest.SignInSite{Provider: provider.URL, App: signOutApp(t), Browser: "sign_out /logout"})
	there := provider.URL + "/end?" + url.Values{"client_id": {"site"}, "logout_hint": {"alice"}, "post_logout_redirect_uri": {s.URL + "/auth/sessions/signed-out"}}.Encode()
	for query, want := range map[string]string{
		"status=303&Location=/bye":                                   there,
		"status=302&Location=" + url.QueryEscape(s.URL+"/bye"):       there,
		"status=303&Location=https%3A%2F%2Fidp.example.com%2Flogout": "https://idp.example.com/logout",
		"status=303&Location=%2F%2Fevil.example.com%2Fx":             "//evil.example.com/x",
		"status=307&Location=/bye":                                   "/bye",
		"status=201&Location=/bye":                                   "/bye",
	} {
		for _, mode := range []string{"navigate", "cors"} {
			v := newVisitor(t, s)
			access, _ := v.signIn("/")
			req, err := http.NewRequest(http.MethodPost, s.URL+"/logout?"+query, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Sec-Fetch-Site", "same-origin")
			req.Header.Set("Sec-Fetch-Mode", mode)
			resp, err := v.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			want := want
			if want == there && mode == "cors" { // a script, which could not follow
				location, _ := url.ParseQuery(query)
				want = location.Get("Location")
			}
			if got := resp.Header.Get("Location"); got != want {
				t.Errorf("%s, %s: %s, want %s", query, mode, got, want)
			}
			sidecartest.WantStatus(t, s.Call("GET", "/current", access, ""), http.StatusUnauthorized)
		}
	}
}
