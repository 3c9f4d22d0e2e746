package signin_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser/signin"
	"authsidecar/sessions/browser/signin/signintest"
)

const (
	site     = "https://app.example.com"
	path     = "/auth/sessions/sign-in"
	clientID = "app"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// newClient returns a client of the provider, and the issuer by which it verifies ID tokens.
func newClient(t *testing.T, p *signintest.Provider, change func(*signin.Config, *bearer.Issuer)) *signin.Client {
	t.Helper()
	keys, err := bearer.NewStatic(p.Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	issuer := bearer.Issuer{Name: p.URL, Keys: keys, Audiences: []string{"https://api.example.com"}, Users: true, Leeway: 30 * time.Second}
	c := signin.Config{
		Issuer: p.URL, ClientID: clientID, ClientSecret: "s3cret", Scopes: []string{"email"}, Origins: []string{site, "https://as.app.example.com"}, Path: path,
		Key: func() []byte { return []byte("0123456789abcdef0123456789abcdef") }, Cookie: "__Host-session-in-", Secure: true,
		HTTP: bearer.NewClient(nil), Now: func() time.Time { return p.Now },
	}
	if change != nil {
		change(&c, &issuer)
	}
	verifier, err := bearer.New(bearer.Config{Issuers: []bearer.Issuer{signin.Issuer(issuer, c.ClientID)}, Now: c.Now, CacheBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	c.Verifier = verifier
	client, err := signin.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A browser keeps cookies.
type browser struct {
	t      *testing.T
	jar    *cookiejar.Jar
	client *signin.Client
}

func newBrowser(t *testing.T, client *signin.Client) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, jar, client}
}

// request is one of this browser.
func (b *browser) request(target string) *http.Request {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for _, cookie := range b.jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	return r
}

// keep stores the cookies of an answer.
func (b *browser) keep(r *http.Request, w *httptest.ResponseRecorder) {
	b.t.Helper()
	res := w.Result()
	defer func() { _ = res.Body.Close() }()
	for _, cookie := range res.Cookies() {
		if !cookie.HttpOnly || !cookie.Secure || cookie.Path != "/" || cookie.Domain != "" || cookie.SameSite != http.SameSiteLaxMode {
			b.t.Errorf("a cookie that is not locked up: %s", cookie)
		}
	}
	if len(res.Cookies()) > 0 && res.Header.Get("Cache-Control") != "no-store" {
		b.t.Error("an answer with cookies may be stored")
	}
	b.jar.SetCookies(r.URL, res.Cookies())
}

// begin begins a sign-in, and returns where the browser is sent.
func (b *browser) begin(returnTo string) (string, error) {
	b.t.Helper()
	r, w := b.request(site+path), httptest.NewRecorder()
	to, err := b.client.Begin(w, r, returnTo)
	b.keep(r, w)
	return to, err
}

// begun is begin of a sign-in that has to begin.
func (b *browser) begun(returnTo string) string {
	b.t.Helper()
	to, err := b.begin(returnTo)
	if err != nil {
		b.t.Fatal(err)
	}
	return to
}

// finish brings the answer of the provider.
func (b *browser) finish(answer url.Values) (signin.Result, error) {
	b.t.Helper()
	return b.finishRaw(answer.Encode())
}

func (b *browser) finishRaw(query string) (signin.Result, error) {
	b.t.Helper()
	r, w := b.request(site+signin.CallbackPath(path)+"?"+query), httptest.NewRecorder()
	result, err := b.client.Finish(w, r)
	b.keep(r, w)
	if (result.Caller == nil) != (err != nil) {
		b.t.Errorf("caller %v with error %v", result.Caller, err)
	}
	return result, err
}

// cookies returns how many cookies of flows the browser has.
func (b *browser) cookies() int {
	return len(b.jar.Cookies(&url.URL{Scheme: "https", Host: "app.example.com", Path: "/"}))
}

// wantCaller fails the test where somebody else signed in, or nobody.
func wantCaller(t *testing.T, got signin.Result, err error, returnTo string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	caller := got.Caller
	if caller.Subject != "alice" || !caller.IsUser() || got.ReturnTo != returnTo {
		t.Errorf("%q (user: %v) goes to %q", caller.Subject, caller.IsUser(), got.ReturnTo)
	}
}

// newProvider is one whose clock stands at noon.
func newProvider(t *testing.T) *signintest.Provider {
	t.Helper()
	p := signintest.NewProvider(t, clientID)
	p.Now = noon
	return p
}

// A document is a provider that has a discovery document, and nothing else.
type document struct{}

func (document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := "http://" + r.Host
	signintest.Write(w, signintest.Object{"issuer": at, "authorization_endpoint": at + "/authorize", "token_endpoint": at + "/token", "jwks_uri": at + "/jwks"})
}
