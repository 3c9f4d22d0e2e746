package signin_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser/signin"
	"authsidecar/sessions/jose"
)

const (
	site     = "https://app.example.com"
	path     = "/auth/sessions/sign-in"
	clientID = "app"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// object is a JSON object.
type object = map[string]any

// A provider is an identity provider whose answers a test changes.
type provider struct {
	t   *testing.T
	url string
	key *jose.PrivateKey
	now time.Time

	document object                                       // changes to the discovery document
	claims   object                                       // changes to those of the ID token
	token    func(w http.ResponseWriter, r *http.Request) // nil: as it has to be
	discover func(w http.ResponseWriter, r *http.Request) // nil: as it has to be

	asked url.Values        // what the token endpoint was asked last
	basic [2]string         // and by whom, by client_secret_basic
	nonce string            // of the flow that the code is of
	reads int               // of the discovery document
	codes map[string]string // challenges, by code
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key, now: noon, codes: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.serveDocument)
	mux.HandleFunc("POST /token", p.serveToken)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *provider) serveDocument(w http.ResponseWriter, r *http.Request) {
	if p.reads++; p.discover != nil {
		p.discover(w, r)
		return
	}
	write(w, changed(object{
		"issuer": p.url, "authorization_endpoint": p.url + "/authorize", "token_endpoint": p.url + "/token",
		"jwks_uri": p.url + "/jwks", "id_token_signing_alg_values_supported": []string{"ES256"},
		"authorization_response_iss_parameter_supported": true, "end_session_endpoint": p.url + "/end",
	}, p.document))
}

func (p *provider) serveToken(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	p.asked = r.PostForm
	p.basic[0], p.basic[1], _ = r.BasicAuth()
	if p.token != nil {
		p.token(w, r)
		return
	}
	challenge := sha256.Sum256([]byte(p.asked.Get("code_verifier")))
	if p.codes[p.asked.Get("code")] != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		refuse(http.StatusBadRequest, object{"error": "invalid_grant", "error_description": hostile})(w, r)
		return
	}
	delete(p.codes, p.asked.Get("code"))
	write(w, object{"access_token": "opaque", "token_type": "Bearer", "id_token": p.idToken()})
}

func (p *provider) idToken() string {
	return p.sign(object{"alg": "ES256", "kid": p.key.ID(), "typ": "JWT"}, changed(object{
		"iss": p.url, "aud": clientID, "sub": "alice", "nonce": p.nonce, "iat": p.now.Unix(), "exp": p.now.Unix() + 600,
	}, p.claims))
}

func (p *provider) sign(header, claims object) string {
	p.t.Helper()
	head, err := json.Marshal(header)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := p.key.Sign(head, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// authorize signs alice in where the browser was sent, and returns the parameters that it comes
// back with.
func (p *provider) authorize(to string) url.Values {
	p.t.Helper()
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, p.url+"/authorize?") {
		p.t.Fatalf("the browser is sent to %q: %v", to, err)
	}
	query := u.Query()
	if query.Get("code_challenge_method") != "S256" || query.Get("response_type") != "code" {
		p.t.Fatalf("not the code flow with S256: %v", query)
	}
	code := "code-" + query.Get("state")
	p.codes[code], p.nonce = query.Get("code_challenge"), query.Get("nonce")
	return url.Values{"state": {query.Get("state")}, "code": {code}, "iss": {p.url}}
}

// hostile is what a provider writes where people or logs could see it.
const hostile = `<script>alert("owned")</script> token=SECRET`

// absent as a value takes a member out.
var absent = new(int)

func changed(base, changes object) object {
	maps.Copy(base, changes)
	maps.DeleteFunc(base, func(_ string, v any) bool { return v == any(absent) })
	return base
}

func write(w http.ResponseWriter, v any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	_ = json.NewEncoder(w).Encode(v)
}

// newClient returns a client of the provider, and the issuer by which it verifies ID tokens.
func newClient(t *testing.T, p *provider, change func(*signin.Config, *bearer.Issuer)) *signin.Client {
	t.Helper()
	keys, err := bearer.NewStatic(p.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	issuer := bearer.Issuer{Name: p.url, Keys: keys, Audiences: []string{"https://api.example.com"}, Users: true, Leeway: 30 * time.Second}
	c := signin.Config{
		Issuer: p.url, ClientID: clientID, ClientSecret: "s3cret", Scopes: []string{"email"}, Origins: []string{site, "https://as.app.example.com"}, Path: path,
		Key: func() []byte { return []byte("0123456789abcdef0123456789abcdef") }, Cookie: "__Host-session-in-", Secure: true,
		HTTP: bearer.NewClient(nil), Now: func() time.Time { return p.now },
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

// A document is a provider that has a discovery document, and nothing else.
type document struct{}

func (document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := "http://" + r.Host
	write(w, object{"issuer": at, "authorization_endpoint": at + "/authorize", "token_endpoint": at + "/token", "jwks_uri": at + "/jwks"})
}
