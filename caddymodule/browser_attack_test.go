package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/browser/signin/signintest"
)

// What panics while a session is rotated, or while it is noted that its cookies arrived, does so on
// a goroutine that is no request's. It ends no process.
func TestBrowser_APanicOnTheWayEndsNobodyElsesRequest(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser\n\t\tstore test_switch DIR/down")
	p, stale := s.newPerson(), s.newPerson()
	for _, who := range []*person{p, stale} {
		who.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
		who.forget(cookie)
	}
	p.do("GET", "/app") // its cookies are of the second generation, which nobody noted yet
	s.Write("down", "panics")
	got := stale.do("GET", "/app")
	sidecartest.WantStatus(t, got, 503)
	sidecartest.WantHeaders(t, got, "Retry-After", "1", "Set-Cookie", "")
	wantTold(t, p.do("GET", "/app"), "X-Auth-User", "alice")
	waitUntil(t, "it is logged that the cookies could not be noted", func() bool {
		return strings.Contains(s.Log(), "could not note that a session's new cookies arrived")
	})
	if err := os.Remove(s.Dir + "/down"); err != nil {
		t.Fatal(err)
	}
	for _, who := range []*person{p, stale} {
		wantTold(t, who.do("GET", "/app"), "X-Auth-User", "alice")
	}
}

// Whoever signs out everywhere with a session that is over already, as after a theft, learns that
// their other sessions go on.
func TestBrowser_NobodyIsTakenForSignedOutEverywhere(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	here, there, nobody := s.newPerson(), s.newPerson(), s.newPerson()
	for _, p := range []*person{here, there} {
		p.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)
	}
	before := here.copy()
	sidecartest.WantStatus(t, here.do("DELETE", "/auth/sessions/current", sameOrigin...), 200)
	here.set(before)
	for _, p := range []*person{here, nobody} {
		got := p.send("POST", "/auth/sessions/close", "everywhere=true&return_to=/bye")
		sidecartest.WantStatus(t, got, 401)
		sidecartest.WantFields(t, got, map[string]any{"code": "session_over"})
		sidecartest.WantHeaders(t, got, "WWW-Authenticate", "Bearer", "Location", "")
		if !p.has() {
			t.Errorf("cookies %v", p.copy())
		}
	}
	wantTold(t, there.do("GET", "/app"), "X-Auth-User", "alice")
}

// Whoever signs out everywhere is out where they act as others, too: that is where a computer that was
// stolen does the most harm.
func TestBrowser_EverywhereIsAlsoWhereOneActsAsSomebodyElse(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	here, there, other := s.newPerson(), s.newPerson(), s.newPerson()
	here.signIn(desk(idp), `{"user_id":"carol"}`)
	there.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4711"}`)
	other.signIn(idp.Token("dave", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice","reason":"ticket 4712"}`)
	here.send("POST", "/auth/sessions/close", "everywhere=true")
	if got := there.do("GET", "/app"); got.Status != 401 || got.Fields["code"] != "impersonation_over" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	wantTold(t, other.do("GET", "/app"), "X-Auth-Actor", "dave")
}

// Whoever gets a session of their own in a browser in which somebody else acts as a user does not go
// on with that; it is revoked. Their own stays.
func TestBrowser_NobodyGoesOnWithAnImpersonationOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	begin := func(own string) *person {
		p := s.newPerson()
		if own != "" {
			p.signIn(idp.Token(own, nil), `{"user_id":"`+own+`"}`)
		}
		p.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4711"}`)
		return p
	}
	for what, c := range map[string]struct {
		p      *person
		signIn string
		goesOn bool
	}{
		"the one who acts":             {begin("carol"), "carol", true},
		"the one who acts, for now":    {begin(""), "carol", true},
		"who was here before":          {begin("bob"), "bob", true}, // a program began it for them
		"somebody else":                {begin("carol"), "bob", false},
		"somebody, and nobody was":     {begin(""), "bob", false},
		"the one as whom they acted":   {begin("carol"), "alice", false},
		"a third, after a second came": {begin("bob"), "dave", false},
	} {
		before := c.p.copy()
		c.p.signIn(idp.Token(c.signIn, nil), `{"user_id":"`+c.signIn+`"}`)
		user, names := c.signIn, []string{cookie, cookieRefresh}
		if c.goesOn {
			user, names = "alice", append(names, cookieAs, cookieAsRefresh)
		}
		if !c.p.has(names...) {
			t.Errorf("%s: cookies %v", what, c.p.copy())
		}
		wantTold(t, c.p.do("GET", "/app"), "X-Auth-User", user)
		thief := s.newPerson()
		thief.set(map[string]string{cookieAs: before[cookieAs]})
		if got := thief.do("GET", "/app"); (got.Status == 200) != c.goesOn {
			t.Errorf("%s: the impersonation is answered %d", what, got.Status)
		}
	}
}

// The same where people sign in at the provider.
func TestSignIn_NobodyGoesOnWithAnImpersonationOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s, provider := deskSite(t)
	v := newVisitor(t, s.Sidecar)
	site, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	as := func(name string) {
		provider.Change(func() { provider.Claims = signintest.Object{"sub": name} })
		v.signIn("/")
	}
	acts := func() bool {
		return slices.ContainsFunc(v.Jar.Cookies(site), func(c *http.Cookie) bool { return c.Name == "session-as-refresh" })
	}
	as("carol")
	got := s.Create(apiToken(t, s, provider, "carol", ""), `{"user_id":"alice","deliver":"cookie"}`)
	sidecartest.WantStatus(t, got, 200)
	v.Jar.SetCookies(site, (&http.Response{Header: got.Header}).Cookies())
	if as("carol"); !acts() {
		t.Error("carol does not go on")
	}
	if as("bob"); acts() {
		t.Error("bob goes on as whom carol acted")
	}
	wantTold(t, v.goTo(s.URL+"/app"), "X-Auth-User", "bob")
}

// What a user leaves for whoever acts as them is a script that ends that and goes on: on the host of
// impersonations it does not find their own session then. They have one there to open links by.
func TestBrowser_OnTheHostOfImpersonationsNobodyIsThemselves(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser {\n\t\t\timpersonate_on https://as.example.com\n\t\t}")
	p := s.newPerson()
	p.signIn(desk(idp), `{"user_id":"carol"}`)
	there := append([]string{"Host", "as.example.com"}, sameOrigin...)
	const acting = `{"deliver":"cookie","user_id":"alice","reason":"ticket 4711"}`
	wantProblem(t, "an impersonation at home", s.Create(desk(idp), acting, sameOrigin...), 400, "wrong_host")
	if items := s.Call("GET", "?user_id=alice", idp.Token("alice", nil), "").Fields["items"].([]any); len(items) != 0 {
		t.Errorf("%d sessions are left", len(items))
	}
	p.keep(s.Create(desk(idp), acting, there...))
	wantTold(t, p.do("GET", "/app", there...), "X-Auth-User", "alice")
	sidecartest.WantStatus(t, p.do("POST", "/auth/sessions/close", there...), 303)
	if !p.has(cookie, cookieRefresh) {
		t.Fatalf("cookies %v", p.copy())
	}
	for _, host := range []string{"as.example.com", "AS.example.com", "as.example.com:443", "as.example.com:8443", "as.example.com."} {
		there[1] = host
		for _, method := range []string{"GET", "POST"} {
			got := p.do(method, "/app", there...)
			wantTold(t, got, "X-Auth-User", "")
			wantNoTokens(t, host, got)
		}
		for _, path := range []string{"", "/current"} {
			wantProblem(t, host+path, p.do("GET", "/auth/sessions"+path, there...), 401, "missing_token")
		}
	}
	wantTold(t, p.do("GET", "/app"), "X-Auth-User", "carol")
	if sidecartest.WantStatus(t, p.do("POST", "/auth/sessions/close", there...), 303); !p.has() {
		t.Errorf("cookies %v", p.copy())
	}
}

// A request with very long cookies takes memory as long as it lives, and over HTTP/2 a few bytes
// send one. So few of them live at once; others wait for none of them.
func TestBrowser_FewRequestsWithVeryLongCookiesAtOnce(t *testing.T) {
	t.Parallel()
	began, end := make(chan struct{}, 200), make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/waits" {
			began <- struct{}{}
			select {
			case <-end:
			case <-r.Context().Done(): // the test failed, and the sidecar is gone
			}
		}
		_, _ = io.WriteString(w, "here")
	}))
	t.Cleanup(app.Close)
	s, _ := browserSiteOf(t, app.URL, "", "browser")
	long := "a=" + strings.Repeat("x", 40<<10)
	const most = 64
	statuses := make(chan int, most)
	for range most {
		go func() {
			status := 0
			req, _ := http.NewRequest(http.MethodGet, s.URL+"/waits", http.NoBody)
			req.Header.Set("Cookie", long)
			if resp, err := s.Client.Do(req); err == nil {
				status = resp.StatusCode
				_ = resp.Body.Close()
			}
			statuses <- status
		}()
		select {
		case <-began:
		case status := <-statuses:
			t.Fatalf("a request that waits was answered: %d", status)
		}
	}
	for _, path := range []string{"/app", "/auth/sessions/close"} {
		got := s.through("GET", path, "X-Any", long[:10<<10], "X-Any", long[:10<<10])
		if got.Status != 431 {
			t.Errorf("%s, two values: %d", path, got.Status)
		}
		if got = s.through("GET", path+"?"+long); got.Status != 431 {
			t.Errorf("%s, its query: %d", path, got.Status)
		}
		got = s.through("GET", path, "X-"+strings.Repeat("x", 20<<10), "y")
		if path != "/app" {
			got = s.through("GET", path, "Cookie", long)
		}
		if got.Status != 431 || got.Body != "" {
			t.Errorf("%s: %d %q", path, got.Status, got.Body)
		}
	}
	sidecartest.WantStatus(t, s.through("GET", "/app", "Cookie", long[:10<<10]), 200)
	close(end)
	for range most {
		if status := <-statuses; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	sidecartest.WantStatus(t, s.through("GET", "/app", "Cookie", long), 200)
}

// Whom the provider still knows from before it ended their sessions, as after a change of their
// password, is not locked out until its session is over, too: they authenticate there once more. If
// that does not help, nobody sends them in circles.
func TestSignIn_WhoIsKnownFromBeforeALogoutAuthenticatesAgain(t *testing.T) {
	t.Parallel()
	s, provider := signInSite(t, "logout site")
	v := newVisitor(t, s)
	v.signIn("/")
	now := time.Now()
	token, err := provider.Key.Sign([]byte(`{"alg":"`+string(provider.Key.Algorithm())+`","kid":"`+provider.Key.ID()+`","typ":"logout+jwt"}`),
		fmt.Appendf(nil, `{"iss":%q,"aud":"site","sub":"alice","jti":"1","iat":%d,"exp":%d,"events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`,
			provider.URL, now.Unix(), now.Unix()+60))
	if err != nil {
		t.Fatal(err)
	}
	sidecartest.Remember(token)
	resp, err := http.PostForm(s.URL+"/auth/sessions/backchannel-logout", url.Values{"logout_token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("logout: %d", resp.StatusCode)
	}
	again := func() (answer string) {
		t.Helper()
		got := v.goTo(v.begin("/orders"))
		sidecartest.WantStatus(t, got, http.StatusSeeOther)
		to := got.Header.Get("Location")
		if !strings.HasPrefix(to, provider.URL) || !strings.Contains(to, "prompt=login") {
			t.Fatalf("it leads to %s", to)
		}
		return v.goTo(to).Header.Get("Location")
	}
	provider.Change(func() { provider.Claims = signintest.Object{"auth_time": now.Unix() - 3600} })
	wantPage(t, v.goTo(again()), http.StatusForbidden, "account_refused", "/auth/sessions/sign-in?return_to=%2Forders")
	answer := again()
	provider.Change(func() { provider.Claims = signintest.Object{"auth_time": now.Unix() + 2} })
	sidecartest.WantHeaders(t, v.goTo(answer), "Location", "/orders")
	if _, refresh := v.tokens(); refresh == "" {
		t.Error("nobody is signed in")
	}
}
