// Package signintest is an identity provider for the tests of who signs people in.
package signintest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions/jose"
)

// Object is a JSON object.
type Object = map[string]any

// A Provider is an identity provider whose answers a test changes: by Change where requests can be
// under way.
type Provider struct {
	URL      string
	ClientID string // whom its ID tokens are for
	Key      *jose.PrivateKey
	Now      time.Time // the zero value: as it is

	Document Object           // changes to the discovery document
	Claims   Object           // changes to those of the ID token
	Token    http.HandlerFunc // nil: as it has to be
	Discover http.HandlerFunc // nil: as it has to be

	Asked url.Values        // what the token endpoint was asked last
	Basic [2]string         // and by whom, by client_secret_basic
	Nonce string            // of the flow that the code is of
	Reads int               // of the discovery document
	Codes map[string]string // challenges, by code

	t  testing.TB
	mu sync.Mutex // held while one of its own handlers runs, and by Change
}

// Change calls change while no request is answered.
func (p *Provider) Change(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// NewProvider starts a provider that has one client, until the test ends. Whoever is sent there is
// signed in as alice at once.
func NewProvider(t testing.TB, clientID string) *Provider {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{t: t, ClientID: clientID, Key: key, Codes: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.serveDocument)
	mux.HandleFunc("GET /jwks", p.serveKeys)
	mux.HandleFunc("GET /authorize", p.serveAuthorize)
	mux.HandleFunc("POST /token", p.serveToken)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// AccessToken returns a token for the API of audience of whoever the provider knows by that name, who
// may impersonate. more are more members of its claims, each with a comma before it.
func (p *Provider) AccessToken(audience, sub, more string) string {
	p.t.Helper()
	token, err := p.Key.Sign([]byte(`{"alg":"`+string(p.Key.Algorithm())+`","kid":"`+p.Key.ID()+`","typ":"at+jwt"}`),
		fmt.Appendf(nil, `{"iss":%q,"sub":%q,"aud":%q,"exp":%d,"scope":"sessions:impersonate"%s}`, p.URL, sub, audience, p.now().Add(time.Hour).Unix(), more))
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

func (p *Provider) serveDocument(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.Reads++
	discover, changes := p.Discover, p.Document
	p.mu.Unlock()
	if discover != nil {
		discover(w, r)
		return
	}
	Write(w, changed(Object{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"jwks_uri": p.URL + "/jwks", "id_token_signing_alg_values_supported": []string{"ES256"},
		"authorization_response_iss_parameter_supported": true, "end_session_endpoint": p.URL + "/end",
	}, changes))
}

func (p *Provider) serveKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	key, err := p.Key.Public().PublicJWK()
	p.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	Write(w, Object{"keys": []json.RawMessage{key}})
}

func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?"+p.Authorize(p.URL+r.URL.RequestURI()).Encode(), http.StatusSeeOther) //nolint:gosec // it sends its one client back, in tests
}

func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	p.mu.Lock()
	p.Asked = r.PostForm
	p.Basic[0], p.Basic[1], _ = r.BasicAuth()
	token := p.Token
	p.mu.Unlock()
	if token != nil {
		token(w, r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	challenge := sha256.Sum256([]byte(p.Asked.Get("code_verifier")))
	if p.Codes[p.Asked.Get("code")] != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		Refuse(http.StatusBadRequest, Object{"error": "invalid_grant", "error_description": Hostile})(w, r)
		return
	}
	delete(p.Codes, p.Asked.Get("code"))
	Write(w, Object{"access_token": "opaque", "token_type": "Bearer", "id_token": p.idToken()})
}

// now is the field Now, or what time it is.
func (p *Provider) now() time.Time {
	if !p.Now.IsZero() {
		return p.Now
	}
	return time.Now() //nolint:forbidigo // the default of the field Now
}

func (p *Provider) idToken() string {
	now := p.now()
	return p.sign(Object{"alg": "ES256", "kid": p.Key.ID(), "typ": "JWT"}, changed(Object{
		"iss": p.URL, "aud": p.ClientID, "sub": "alice", "nonce": p.Nonce, "iat": now.Unix(), "exp": now.Unix() + 600,
	}, p.Claims))
}

func (p *Provider) sign(header, claims Object) string {
	p.t.Helper()
	head, err := json.Marshal(header)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := p.Key.Sign(head, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// Authorize signs alice in where the browser was sent, and returns the parameters that it comes
// back with.
func (p *Provider) Authorize(to string) url.Values {
	p.t.Helper()
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, p.URL+"/authorize?") {
		p.t.Fatalf("the browser is sent to %q: %v", to, err)
	}
	query := u.Query()
	if query.Get("code_challenge_method") != "S256" || query.Get("response_type") != "code" {
		p.t.Fatalf("not the code flow with S256: %v", query)
	}
	code := "code-" + query.Get("state")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Codes[code], p.Nonce = query.Get("code_challenge"), query.Get("nonce")
	return url.Values{"state": {query.Get("state")}, "code": {code}, "iss": {p.URL}}
}

// Hostile is what a provider writes where people or logs could see it.
const Hostile = `<script>alert("owned")</script> token=SECRET`

// Absent as a value takes a member out.
var Absent = new(int)

func changed(base, changes Object) Object {
	maps.Copy(base, changes)
	maps.DeleteFunc(base, func(_ string, v any) bool { return v == any(Absent) })
	return base
}

// Write answers with JSON.
func Write(w http.ResponseWriter, v any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	_ = json.NewEncoder(w).Encode(v)
}

// Refuse returns what answers with a status, and JSON.
func Refuse(status int, v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		Write(w, v)
	}
}
