package signin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser/signin"
	"authsidecar/sessions/browser/signin/signintest"
)

// A way back is a path of this site, of which the sign-in is no part; every other one is its root.
func TestSignIn_HostileWaysBack(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	b := newBrowser(t, newClient(t, p, nil))
	for given, want := range map[string]string{
		"/":                              "/",
		"/orders/7?tab=a%2Fb&x=//y#part": "/orders/7?tab=a%2Fb&x=//y#part",
		"/a b":                           "/a%20b",
		"/ü?q=ü":                         "/%C3%BC?q=%C3%BC",
		"":                               "/",
		"orders":                         "/",
		"//evil.example.com":             "/",
		"///evil.example.com":            "/",
		`/\evil.example.com`:             "/",
		`\/evil.example.com`:             "/",
		`/a/..\..//evil.example.com`:     "/",
		"/%2f/evil.example.com":          "/",
		"/%252f%252fevil.example.com":    "/",
		"/%5cevil.example.com":           "/",
		"/\tevil.example.com":            "/",
		"/\n/evil.example.com":           "/",
		"/%09/evil.example.com":          "/",
		"/%0d%0aSet-Cookie:x=y":          "/",
		" //evil.example.com":            "/",
		"https:evil.example.com":         "/",
		"https://app.example.com/":       "/",
		"javascript:alert(1)":            "/",
		"data:text/html,x":               "/",
		"/" + strings.Repeat("a", 4096):  "/",
		path:                             "/",
		path + "?return_to=/":            "/",
		path + "/callback?code=x":        "/",
		"/AUTH/sessions/./sign-in":       "/",
	} {
		got, err := b.finish(p.Authorize(b.begun(given)))
		if err != nil || got.ReturnTo != want {
			t.Errorf("%q leads to %q, want %q: %v", given, got.ReturnTo, want, err)
		}
	}
}

// Each host of the site has cookies of its own: the answer comes back to where the sign-in began.
func TestSignIn_TheAnswerComesBackToTheHostThatItBeganAt(t *testing.T) {
	t.Parallel()
	client := newClient(t, newProvider(t), nil)
	for host, want := range map[string]string{
		"https://app.example.com":      "https://app.example.com",
		"https://APP.example.com:443":  "https://app.example.com",
		"https://as.app.example.com":   "https://as.app.example.com",
		"https://app.example.com.evil": "",
		"https://evil.example.com":     "",
		"https://app.example.com:8443": "",
	} {
		w := httptest.NewRecorder()
		to, err := client.Begin(w, httptest.NewRequest(http.MethodGet, host+path, nil), "/orders?a=b&c")
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			if to != site+path+"?return_to=%2Forders%3Fa%3Db%26c" || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s leads to %s", host, to)
			}
			continue
		}
		u, err := url.Parse(to)
		if err != nil || u.Query().Get("redirect_uri") != want+path+"/callback" {
			t.Errorf("%s leads to %s: %v", host, to, err)
		}
	}
}

// On the host on which people act as others nobody signs in but to open a link: what else they want
// there leads to the host on which they are themselves.
func TestSignIn_AnotherHostHasOneWayBack(t *testing.T) {
	t.Parallel()
	client := newClient(t, newProvider(t), func(c *signin.Config, _ *bearer.Issuer) { c.OtherReturnTo = "/auth/sessions/open" })
	for host, ways := range map[string]map[string]bool{
		"https://app.example.com":    {"/orders": true, "/auth/sessions/open": true, "": true},
		"https://as.app.example.com": {"/orders": false, "/auth/sessions/open": true, "/auth/sessions/open?x": false, "": false},
	} {
		for way, here := range ways {
			w := httptest.NewRecorder()
			to, err := client.Begin(w, httptest.NewRequest(http.MethodGet, host+path, nil), way)
			if err != nil {
				t.Fatal(err)
			}
			if begun := w.Header().Get("Set-Cookie") != ""; begun != here || !here && !strings.HasPrefix(to, site+path+"?return_to=") {
				t.Errorf("%s, %q: begun %t, leads to %s", host, way, begun, to)
			}
		}
	}
}

// A provider that is down or says what it must not gets nobody sent anywhere.
func TestSignIn_ProvidersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		document signintest.Object
		discover http.HandlerFunc
		want     error
	}{
		{"down", nil, signintest.Refuse(503, signintest.Hostile), signin.ErrUnavailable},
		{"without the document", nil, signintest.Refuse(404, signintest.Hostile), signin.ErrUnavailable},
		{"with a page in its place", nil, signintest.Refuse(200, signintest.Hostile), signin.ErrAnswer},
		{"with a document without end", nil, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) }, signin.ErrAnswer},
		{"that leads elsewhere", nil, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example.com/", http.StatusFound)
		}, signin.ErrUnavailable},
		{"with another's document", signintest.Object{"issuer": "https://evil.example.com"}, nil, signin.ErrAnswer},
		{"that sends people to a script", signintest.Object{"authorization_endpoint": "javascript:alert(1)"}, nil, signin.ErrAnswer},
		{"that sends people over plain HTTP", signintest.Object{"authorization_endpoint": "http://idp.example.com/authorize"}, nil, signin.ErrAnswer},
		{"that takes secrets over plain HTTP", signintest.Object{"token_endpoint": "http://idp.example.com/token"}, nil, signin.ErrAnswer},
		{"without a token endpoint", signintest.Object{"token_endpoint": signintest.Absent}, nil, signin.ErrAnswer},
		{"without a way for secrets", signintest.Object{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}, nil, signin.ErrAnswer},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			p.Document, p.Discover = test.document, test.discover
			b := newBrowser(t, newClient(t, p, nil))
			to, err := b.begin("/")
			if !errors.Is(err, test.want) || to != "" || b.cookies() != 0 {
				t.Errorf("sent to %q with %d cookies: %v", to, b.cookies(), err)
			}
			if err != nil && (strings.Contains(err.Error(), "script") || strings.Contains(err.Error(), "evil")) {
				t.Errorf("the error repeats the provider: %v", err)
			}
		})
	}
}

// What is known of the provider is good for an hour, and longer where it cannot be asked again.
func TestSignIn_TheProviderIsAskedOnceAnHour(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	b := newBrowser(t, newClient(t, p, nil))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := b.client.Begin(httptest.NewRecorder(), b.request(site+path), "/"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if p.Reads > 2 { // one that came between the answer and its memory
		t.Errorf("20 people made %d questions", p.Reads)
	}
	p.Reads = 0
	p.Now, p.Discover = p.Now.Add(time.Hour), signintest.Refuse(503, "")
	b.begun("/")
	b.begun("/")
	if p.Reads != 1 {
		t.Errorf("%d questions to a provider that is down", p.Reads)
	}
	p.Now, p.Discover = p.Now.Add(time.Minute), nil
	b.begun("/")
	b.begun("/")
	if p.Reads != 2 {
		t.Errorf("%d questions, want one more where it is up again", p.Reads)
	}
}

// Who signs out here signs out there: with who it is, and without any token.
func TestSignIn_LogoutURL(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	client := newClient(t, p, nil)
	here := httptest.NewRequest(http.MethodPost, site, nil)
	want := p.URL + "/end?client_id=app&logout_hint=alice&post_logout_redirect_uri=https%3A%2F%2Fapp.example.com%2Fout"
	if got := client.LogoutURL(here, "alice", "/out"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for _, end := range []any{signintest.Absent, "javascript:alert(1)", "http://idp.example.com/end"} {
		p := newProvider(t)
		p.Document = signintest.Object{"end_session_endpoint": end}
		if got := newClient(t, p, nil).LogoutURL(here, "", "/out"); got != "" {
			t.Errorf("%v leads to %s", end, got)
		}
	}
	p.Document = signintest.Object{"end_session_endpoint": p.URL + "/end?tenant=7"}
	if got := newClient(t, p, nil).LogoutURL(here, "", "/out"); !strings.HasPrefix(got, p.URL+"/end?tenant=7&client_id=app&") {
		t.Errorf("got %s", got)
	}
	p.Discover = signintest.Refuse(503, "")
	if got := newClient(t, p, nil).LogoutURL(here, "", "/out"); got != "" {
		t.Errorf("a provider that is down has %s", got)
	}
}

func TestNew_RefusesWhatItCannotWorkWith(t *testing.T) {
	t.Parallel()
	good := signin.Config{Issuer: "https://idp.example.com", ClientID: "app", Origins: []string{site}, Verifier: &bearer.Verifier{}, HTTP: bearer.NewClient(nil)}
	if _, err := signin.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*signin.Config){
		"issuer": func(c *signin.Config) { c.Issuer = "" }, "client": func(c *signin.Config) { c.ClientID = "" },
		"origin": func(c *signin.Config) { c.Origins = []string{"app"} }, "no origin": func(c *signin.Config) { c.Origins = nil },
		"verifier": func(c *signin.Config) { c.Verifier = nil }, "HTTP client": func(c *signin.Config) { c.HTTP = nil },
	} {
		bad := good
		change(&bad)
		if _, err := signin.New(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
