package demoidp

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/jose"
)

// A Person is somebody who can sign in: the subject of their ID tokens, and the roles in them.
type Person struct {
	Name  string
	Roles []string
}

// Config is the configuration of a provider. Everything is required.
type Config struct {
	Issuer string // its own URL, without a path
	Client string // its client id
	// Sites are the paths of the client's endpoints: people return to <site>/sign-in/callback, and
	// after they signed out to <site>/signed-out.
	Sites  []string
	People []Person
	Key    *jose.PrivateKey
	Now    func() time.Time
}

// A Provider is an OpenID provider. It is safe for concurrent use.
type Provider struct {
	Config

	host    string
	policy  string // of its pages
	handler http.Handler
	mu      sync.Mutex
	codes   map[string]*flow
}

// A flow is a sign-in for which a person was chosen.
type flow struct {
	*request

	person Person
	until  time.Time
}

const (
	codeLife  = time.Minute
	tokenLife = 5 * time.Minute
	maxCodes  = 1000 // not yet exchanged
)

// New creates a provider.
func New(c Config) (*Provider, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Host == "" || issuer.Path != "" {
		return nil, fmt.Errorf("%q is not an issuer: write a URL without a path", c.Issuer)
	}
	p := &Provider{Config: c, host: issuer.Host, codes: make(map[string]*flow)}
	// form-action also applies to redirects after a form (CSP Level 3, section 6.4.1).
	p.policy = "default-src 'none'; style-src " + httpapi.HashSource(httpapi.PageStyle) +
		"; form-action 'self' " + strings.Join(c.Sites, "/ ") + "/; base-uri 'none'; frame-ancestors 'none'"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.serveStart)
	mux.HandleFunc("GET /.well-known/openid-configuration", p.serveDocument)
	mux.HandleFunc("GET /jwks.json", p.serveKeys)
	mux.HandleFunc("GET /authorize", p.serveAuthorize)
	mux.HandleFunc("POST /authorize", p.serveChoice)
	mux.HandleFunc("POST /token", p.serveToken)
	mux.HandleFunc("GET /logout", p.serveLogout)
	p.handler = http.NewCrossOriginProtection().Handler(mux)
	return p, nil
}

// ServeHTTP answers only requests for the host of the issuer, and not for other names that resolve
// to this machine.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Host != p.host {
		http.Error(w, "This is "+p.Issuer+".", http.StatusMisdirectedRequest)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	p.handler.ServeHTTP(w, r)
}

func (p *Provider) serveDocument(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
		"jwks_uri": p.Issuer + "/jwks.json", "end_session_endpoint": p.Issuer + "/logout",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{string(p.Key.Algorithm())}, "scopes_supported": []string{"openid"},
		"token_endpoint_auth_methods_supported": []string{"none"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
	})
}

func (p *Provider) serveKeys(w http.ResponseWriter, _ *http.Request) {
	key, err := p.Key.Public().PublicJWK()
	if err != nil {
		http.Error(w, "The key cannot be written.", http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, map[string][]json.RawMessage{"keys": {key}})
}

// serveToken answers a client that has a code (RFC 6749 section 4.1.3).
func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, "invalid_request")
		return
	}
	form := r.PostForm
	if form.Get("client_id") != p.Client {
		refuse(w, "invalid_client")
		return
	}
	if form.Get("grant_type") != "authorization_code" {
		refuse(w, "unsupported_grant_type")
		return
	}
	f := p.take(form.Get("code"))
	if f == nil || form.Get("redirect_uri") != f.redirect || !f.proves(form.Get("code_verifier")) {
		refuse(w, "invalid_grant")
		return
	}
	token, err := p.idToken(f)
	if err != nil {
		http.Error(w, "The token cannot be signed.", http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"id_token": token, "access_token": rand.Text(), "token_type": "Bearer", "expires_in": int(tokenLife.Seconds()),
	})
}

// keep stores a flow, and returns its code.
func (p *Provider) keep(f *flow) (code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for code, f := range p.codes {
		if p.Now().After(f.until) || len(p.codes) >= maxCodes {
			delete(p.codes, code)
		}
	}
	code = rand.Text()
	p.codes[code] = f
	return code
}

// take returns the flow of a code, once; nil if the code is unknown or expired.
func (p *Provider) take(code string) *flow {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.codes[code]
	delete(p.codes, code)
	if f == nil || p.Now().After(f.until) {
		return nil
	}
	return f
}

// idToken returns an ID token for the person of a flow (OpenID Connect Core 1.0 section 2).
func (p *Provider) idToken(f *flow) (string, error) {
	now := p.Now()
	claims := map[string]any{
		"iss": p.Issuer, "sub": f.person.Name, "aud": p.Client, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
		"auth_time": f.until.Add(-codeLife).Unix(), "name": f.person.Name,
	}
	if f.nonce != "" {
		claims["nonce"] = f.nonce
	}
	if len(f.person.Roles) > 0 {
		claims["roles"] = f.person.Roles
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	header, err := p.Key.Header("JWT")
	if err != nil {
		return "", err
	}
	return p.Key.Sign(header, body)
}

// serveLogout sends the browser back if the client asks for that (RP-Initiated Logout 1.0 section
// 2). There is no session to end: people choose who they are each time.
func (p *Provider) serveLogout(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	to := query.Get("post_logout_redirect_uri")
	if to == "" || query.Get("client_id") != p.Client || !p.registered(to, "/signed-out") {
		p.writePage(w, http.StatusOK, &page{Title: "You are signed out", Text: "You can close this page."})
		return
	}
	if state := query.Get("state"); state != "" {
		to += "?" + url.Values{"state": {state}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // to a page of a site that the operator named
}

// registered reports whether an address is the path below one of the sites.
func (p *Provider) registered(address, path string) bool {
	site, ok := strings.CutSuffix(address, path)
	return ok && slices.Contains(p.Sites, site)
}

func refuse(w http.ResponseWriter, code string) {
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": code})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
