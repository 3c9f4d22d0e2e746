package caddymodule_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

func TestIdentity_Cookie(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "require\n\t\t\tcookie __Host-session\n\t\t\tlogin /login?next={http.request.uri_escaped}\n\t\t\texempt /login")
	cookie := "a=b; __Host-session=" + p.own.Text("access_token")
	host := strings.TrimPrefix(s.URL, "http://")
	for _, c := range []struct {
		what, method string
		header       []string
		status       int
	}{
		{"a page", "GET", []string{"Cookie", cookie}, 200},
		{"a page from elsewhere", "GET", []string{"Cookie", cookie, "Sec-Fetch-Site", "cross-site"}, 200},
		{"a form of ours", "POST", []string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin"}, 200},
		{"a form of ours, to an old browser", "POST", []string{"Cookie", cookie, "Origin", "http://" + host}, 200},
		{"a form from elsewhere", "POST", []string{"Cookie", cookie, "Sec-Fetch-Site", "cross-site"}, 403},
		{"a form of a sister site", "POST", []string{"Cookie", cookie, "Sec-Fetch-Site", "same-site"}, 403},
		{"a form from elsewhere, in an old browser", "DELETE", []string{"Cookie", cookie, "Origin", "https://evil.example.com"}, 403},
		{"a form of nobody", "POST", []string{"Cookie", cookie, "Origin", "null"}, 403},
		{"a socket from elsewhere", "GET", []string{"Cookie", cookie, "Connection", "Upgrade", "Upgrade", "websocket", "Origin", "https://evil.example.com"}, 403},
		{"an upload without a word of where from", "POST", []string{"Cookie", cookie}, 403},
		{"a socket without a word of where from", "GET", []string{"Cookie", cookie, "Connection", "Upgrade", "Upgrade", "websocket"}, 403},
		{"a refresh token", "GET", []string{"Cookie", "__Host-session=" + p.own.Text("refresh_token")}, 401},
		{"another cookie", "GET", []string{"Cookie", "session=" + p.own.Text("access_token")}, 401},
		{"in the query", "GET", nil, 401},
	} {
		path := "/app"
		if c.header == nil {
			path += "?access_token=" + url.QueryEscape(p.own.Text("access_token"))
		}
		if got := s.through(c.method, path, c.header...); got.Status != c.status {
			t.Errorf("%s: %d, want %d", c.what, got.Status, c.status)
		} else if c.status == 200 {
			wantTold(t, got, "X-Auth-User", "alice")
		}
	}
	// A refresh token in any other cookie goes nowhere.
	got := s.through("GET", "/app", "Cookie", cookie+"; keep=1; r="+p.own.Text("refresh_token"))
	if strings.Contains(got.Body, p.own.Text("refresh_token")) || !strings.Contains(got.Body, "keep=1") {
		t.Errorf("the app sees %s", got.Body)
	}
}

// A person with two good cookies is told, and not sent to sign in: that would not end.
func TestIdentity_TwoGoodCookiesAreNoWayToLogin(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "require\n\t\t\tlogin /login\n\t\t\tcookie sid")
	other := s.Create(p.Token("mallory", nil), `{"user_id":"mallory"}`).Text("access_token")
	got := s.through("GET", "/app", "Cookie", "sid="+p.own.Text("access_token")+"; sid="+other, "Sec-Fetch-Mode", "navigate")
	if got.Status != 401 || !strings.Contains(got.Body, "Delete the cookies of this site") || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("%d %v %s", got.Status, got.Header, got.Body)
	}
}

// Cookies are left over, or planted by a sister site: they lock nobody out, and none but
// a good one makes somebody of anybody. Two good ones are refused: nobody knows which.
func TestIdentity_SeveralCookiesOfOneName(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"", "require"} {
		s, p := identitySite(t, mode+"\n\t\t\tcookie sid")
		good, other := p.own.Text("access_token"), s.Create(p.Token("mallory", nil), `{"user_id":"mallory"}`).Text("access_token")
		bad := good[:len(good)-4] + "AAAA"
		foreign := sidecartest.NewIDP(t, "https://elsewhere.example.com").Token("root", nil)
		const fits = "x."
		for what, c := range map[string]struct {
			values []string
			status int
			user   string
		}{
			"an empty one behind":            {[]string{good, ""}, 200, "alice"},
			"an empty one before":            {[]string{"", good}, 200, "alice"},
			"one that is none":               {[]string{"a.b.c", good}, 200, "alice"},
			"one that is none, behind":       {[]string{good, "a.b.c", "x"}, 200, "alice"},
			"a bad one of ours":              {[]string{bad, good}, 200, "alice"},
			"a bad one of ours, behind":      {[]string{good, bad}, 200, "alice"},
			"another issuer's":               {[]string{foreign, good}, 200, "alice"},
			"a refresh token":                {[]string{p.own.Text("refresh_token"), good}, 200, "alice"},
			"the same twice":                 {[]string{good, good}, 200, "alice"},
			"many that are none":             {append(strings.Split(strings.Repeat("x ", 100), " "), good), 200, "alice"},
			"two good ones":                  {[]string{good, other}, 401, ""},
			"two good ones, and a bad one":   {[]string{bad, other, good}, 401, ""},
			"the same twice, and another":    {[]string{good, good, other}, 401, ""},
			"too many that could be one":     {append(strings.Split(strings.TrimSpace(fits+"0 "+fits+"1 "+fits+"2 "+fits+"3 "+fits+"4 "+fits+"5 "+fits+"6 "+fits+"7"), " "), good), 401, ""},
			"eight that could be one":        {append(strings.Split(fits+"0 "+fits+"1 "+fits+"2 "+fits+"3 "+fits+"4 "+fits+"5 "+fits+"6", " "), good), 200, "alice"},
			"none that is good, none claims": {[]string{"", "x", "a.b.c"}, map[string]int{"": 200, "require": 401}[mode], ""},
		} {
			cookies := "keep=1"
			for _, value := range c.values {
				cookies += "; sid=" + value
			}
			got := s.through("GET", "/app", "Cookie", cookies)
			if got.Status != c.status {
				t.Errorf("%s, %s: %d, want %d", mode, what, got.Status, c.status)
			} else if got.Status == 200 {
				wantTold(t, got, "X-Auth-User", c.user)
			}
		}
	}
}

// A cookie whose session is over locks nobody out of pages, and lets nobody change
// anything as nobody by mistake.
func TestIdentity_ACookieThatIsOver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mode, name string }{{"optional", "sid"}, {"optional", "__Host-sid"}, {"require", "sid"}, {"require\n\t\t\tlogin /login", "sid"}, {"require\n\t\t\texempt /app", "sid"}} {
		s, p := identitySite(t, c.mode+"\n\t\t\tcookie "+c.name)
		passes := !strings.HasPrefix(c.mode, "require") || strings.Contains(c.mode, "exempt")
		revoked := s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
		sidecartest.WantStatus(t, s.Call("DELETE", "/current", revoked.Text("access_token"), ""), 200)
		good := p.own.Text("access_token")
		for what, value := range map[string]string{
			"revoked": revoked.Text("access_token"), "of a key that is gone": good[:len(good)-4] + "AAAA", "a refresh token": p.own.Text("refresh_token"),
		} {
			ask := func(method string, header ...string) sidecartest.Answer {
				return s.through(method, "/app", append(header, "Cookie", "keep=1; "+c.name+"="+value, "Sec-Fetch-Site", "same-origin")...)
			}
			expired := c.name + "=; Path=/; Max-Age=0; HttpOnly; " + map[bool]string{true: "Secure; "}[strings.HasPrefix(c.name, "__")] + "SameSite=Lax"
			for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
				got := ask(method)
				if want := map[bool]int{true: 200, false: 401}[passes]; got.Status != want || got.Header.Get("Set-Cookie") != expired || got.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s, %s, %s: %d, Set-Cookie %q; want %d, %q", c.mode, what, method, got.Status, got.Header.Get("Set-Cookie"), want, expired)
				}
				if passes && method == "GET" {
					wantTold(t, got, "Cookie", "keep=1")
					wantTold(t, got, "X-Auth-User", "")
				}
			}
			got := ask("GET", "Sec-Fetch-Mode", "navigate")
			if strings.Contains(c.mode, "login") && (got.Status != 302 || got.Header.Get("Set-Cookie") != expired) {
				t.Errorf("%s, %s: a person gets %d", c.mode, what, got.Status)
			}
			for _, header := range [][]string{nil, {"Accept", "text/html"}, {"Connection", "Upgrade", "Upgrade", "websocket"}} {
				method := "POST"
				if len(header) > 2 {
					method = "GET"
				}
				got := ask(method, header...)
				if strings.Contains(c.mode, "exempt") {
					sidecartest.WantStatus(t, got, 200)
				} else if got.Status != 401 || !strings.Contains(got.Body, "Sign in again.") || got.Header.Get("Set-Cookie") != expired {
					t.Errorf("%s, %s, %v: %d %s", c.mode, what, header, got.Status, got.Body)
				}
			}
		}
		// In Authorization it is a program's, which has to hear of it.
		sidecartest.WantStatus(t, s.through("GET", "/app2", "Authorization", bearerOf(revoked)), 401)
	}
}

// A cookie whose access token has merely expired says nothing of its session.
func TestIdentity_ACookieThatHasExpiredIsNotOfASessionThatIsOver(t *testing.T) {
	t.Parallel()
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\taccess_token {\n\t\t\tttl 1s\n\t\t}\n\t\trefresh_token {\n\t\t\tgrace 0s\n\t\t}\n\t\tidentity {\n\t\t\tcookie sid\n\t\t}"))
	cookie := "sid=" + s.Create(p.Token("alice", nil), `{"user_id":"alice"}`).Text("access_token")
	for deadline := time.Now().Add(30 * time.Second); ; {
		got := s.through("POST", "/app", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
		if got.Status == 200 && time.Now().Before(deadline) {
			time.Sleep(100 * time.Millisecond) // polling for what the clock does
			continue
		}
		if got.Status != 401 || !strings.Contains(got.Body, `"token_expired"`) || strings.Contains(got.Body, "over") {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		return
	}
}

// An app that signs somebody in while an old cookie is expired has the last word.
func TestIdentity_TheAppsOwnCookieIsSetLast(t *testing.T) {
	t.Parallel()
	app := sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Add("Set-Cookie", "sid=new; Path=/") })
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(p.Site(s.Sidecar, app, "identity {\n\t\t\tcookie sid\n\t\t}"))
	own := s.Create(p.Token("alice", nil), `{"user_id":"alice"}`).Text("access_token")
	got := s.through("GET", "/app", "Cookie", "sid="+own[:len(own)-4]+"AAAA")
	if set := got.Header["Set-Cookie"]; len(set) != 2 || set[1] != "sid=new; Path=/" {
		t.Errorf("Set-Cookie %q", set)
	}
}

// A token in a cookie that decided nothing does not get to the app, which may read it itself:
// no guard has seen it.
func TestIdentity_ACookieThatDidNotDecideStaysHere(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "cookie sid\n\t\t\taccept callers")
	acted := p.imp.Text("access_token")
	desk := p.Token("desk", nil)
	for what, header := range map[string][]string{
		"beside somebody else's bearer token": {"Authorization", "Bearer x", "Cookie", "a=b; sid=" + acted},
		"beside a caller's token":             {"Authorization", "Bearer " + desk, "Cookie", "a=b; sid=" + acted},
		"percent-encoded":                     {"Cookie", "a=b; sid=" + strings.ReplaceAll(acted, ".", "%2E")},
		"with one encoded letter":             {"Cookie", "a=b; sid=" + strings.Replace(acted, ".e", ".%65", 1)},
		"as an array":                         {"Cookie", "a=b; sid[]=" + acted},
		"with half a quote":                   {"Cookie", "a=b; sid=\"" + acted},
		"in several ways":                     {"Cookie", "a=b; sid=" + p.own.Text("access_token") + "; sid=" + strings.ReplaceAll(acted, ".", "%2E")},
	} {
		got := s.through("GET", "/app", header...)
		if got.Status != 200 || !strings.Contains(got.Body, "a=b") {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
		claims := strings.Split(acted, ".")[1]
		if strings.Contains(got.Body, claims[1:]) {
			t.Errorf("%s: the app sees %s", what, got.Body)
		}
	}
}
