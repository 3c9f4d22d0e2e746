package oauthapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/urlpath"
)

const (
	issuer   = "https://app.example.com"
	trusted  = "https://idp.example.com"
	callers  = issuer + "/auth/sessions" // the audience of their tokens
	secret   = "a secret: of 40 bytes, with + & % ü in it"
	stranger = "192.0.2.66"
)

// A counted store counts what is asked of it.
type counted struct {
	storetest.Memory
	calls int
	down  bool
}

func (c *counted) called() error {
	c.calls++
	if c.down {
		return sessions.ErrUnavailable
	}
	return nil
}

func (c *counted) Create(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
	if err := c.called(); err != nil {
		return sessions.Session{}, false, 0, err
	}
	return c.Memory.Create(ctx, row)
}

func (c *counted) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	if err := c.called(); err != nil {
		return sessions.Session{}, err
	}
	return c.Memory.Get(ctx, key)
}

func (c *counted) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	if err := c.called(); err != nil {
		return sessions.Session{}, err
	}
	return c.Memory.Update(ctx, key, fn)
}

// A fixture is an API over a manager and a store in memory, and the identity provider that it
// trusts. Its clients are app and alice, who are public, gateway by secret, robot by keys.
type fixture struct {
	t       testing.TB
	api     *API
	manager *sessions.Manager
	store   *counted
	now     time.Time
	idp     *jose.PrivateKey
	robot   *jose.PrivateKey
	mu      sync.Mutex // of failed
	failed  []error
	limited []string // the clients
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, store: new(counted), now: time.Now().UTC().Truncate(time.Second), idp: newKey(t, jose.ES256), robot: newKey(t, jose.ES256)}
	clock := func() time.Time { return f.now }
	f.store.Clock = clock
	keys := keyring.New()
	setKey(t, keys.Refresh, jose.EdDSA)
	setKey(t, keys.Access, jose.ES256)
	verifier, err := bearer.New(bearer.Config{Now: clock, Issuers: []bearer.Issuer{
		{Name: trusted, Keys: static(t, f.idp), Audiences: []string{callers}, Users: true},
		{Name: issuer, Keys: keys.Access, Audiences: []string{issuer}, Own: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	life := sessions.Lifetimes{TTL: 24 * time.Hour, MaxTTL: 24 * time.Hour, Idle: time.Hour}
	f.manager = &sessions.Manager{
		Realm: issuer, Store: f.store, Own: life, Impersonation: life, Grace: 30 * time.Second, Trusted: verifier.Trust, Revocations: new(revocation.Watcher), IDSecret: make([]byte, 32),
		Policy:  &sessions.Policy{AllowSelf: true, Allow: []sessions.Rule{{Name: "scope act", From: trusted, When: sessions.HasScope("act")}}, Protect: []string{"root"}},
		Clients: map[string]bool{"app": true, "alice": true, "gateway": true, "robot": true},
		Minter:  &sessions.Minter{Issuer: issuer, RefreshAudience: callers, AccessAudience: []string{issuer}, AccessTTL: 10 * time.Minute, Keys: keys, Confidential: map[string]bool{"gateway": true, "robot": true}},
	}
	hash, err := HashSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	f.api, err = New(Config{
		Issuer: issuer, Path: "/oauth", KeysPath: "/auth/sessions/jwks.json", Keys: keys.Access.Public, MaxAge: time.Hour,
		Clients: []Client{
			{ID: "app", Public: true},
			{ID: "alice", Public: true},
			{ID: "gateway", Secrets: [][32]byte{{1}, hash}},
			{ID: "robot", Keys: static(t, f.robot)},
		},
		Audience: []string{issuer}, Sessions: f.manager, Verifier: verifier, Now: clock,
		ClientIP: func(r *http.Request) string { return strings.TrimSuffix(r.RemoteAddr, ":1234") },
		Observer: recorder{f: f},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A recorder keeps why requests failed, and who is limited.
type recorder struct {
	sessions.Silent
	f *fixture
}

func (r recorder) Failed(_ context.Context, _ int, err error) {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.f.failed = append(r.f.failed, err)
}

func (r recorder) Limited(_ context.Context, client string) {
	r.f.limited = append(r.f.limited, client)
}

func newKey(t testing.TB, alg jose.Algorithm) *jose.PrivateKey {
	t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func setKey(t testing.TB, ring *keyring.Ring, alg jose.Algorithm) {
	t.Helper()
	if err := ring.Set([]keyring.Record{{Key: newKey(t, alg)}}); err != nil {
		t.Fatal(err)
	}
}

func static(t testing.TB, key *jose.PrivateKey) *bearer.Static {
	t.Helper()
	keys, err := bearer.NewStatic(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// sign signs claims; more replace those that are usual or, with nil, remove them.
func (f *fixture) sign(key *jose.PrivateKey, claims, more map[string]any) string {
	f.t.Helper()
	for name, value := range more {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	body, err := json.Marshal(claims)
	if err != nil {
		f.t.Fatal(err)
	}
	token, err := key.Sign([]byte(`{"alg":"ES256","kid":"`+key.ID()+`","typ":"JWT"}`), body)
	if err != nil {
		f.t.Fatal(err)
	}
	return token
}

// token is a token of the identity provider.
func (f *fixture) token(subject string, more map[string]any) string {
	f.t.Helper()
	return f.sign(f.idp, map[string]any{"iss": trusted, "sub": subject, "aud": callers, "client_id": "desk", "exp": f.now.Add(10 * time.Minute).Unix(), "iat": f.now.Unix()}, more)
}

// actor is the token of somebody who may act as others.
func (f *fixture) actor() string { return f.token("carol", map[string]any{"scope": "act"}) }

// assertion is one of the client robot.
func (f *fixture) assertion(more map[string]any) string {
	f.t.Helper()
	return f.sign(f.robot, map[string]any{"iss": "robot", "sub": "robot", "aud": issuer, "jti": fmt.Sprint(len(f.failed), time.Now().UnixNano()), "exp": f.now.Add(time.Minute).Unix()}, more)
}

// An answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
	fields map[string]any
}

func (a answer) text(name string) string {
	text, _ := a.fields[name].(string)
	return text
}

// send sends a request as it is.
func (f *fixture) send(r *http.Request) answer {
	f.t.Helper()
	if r.RemoteAddr == "192.0.2.1:1234" {
		r.RemoteAddr = stranger + ":1234"
	}
	w := httptest.NewRecorder()
	match := f.api.Route(r)
	if match.Owner == urlpath.Pass {
		f.t.Fatalf("%s is the app's", r.URL)
	}
	f.api.Serve(w, r, match)
	got := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &got.fields); err != nil {
			f.t.Fatalf("%s: %v", got.body, err)
		}
	}
	return got
}

// pairs makes values of names and values in turn.
func pairs(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

func formRequest(path, body string) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// post posts a form.
func (f *fixture) post(path string, params ...string) answer {
	f.t.Helper()
	return f.send(formRequest("/oauth"+path, pairs(params...).Encode()))
}

// postBasic posts a form as a client that authenticates by Basic.
func (f *fixture) postBasic(path, id, password string, params ...string) answer {
	f.t.Helper()
	r := formRequest("/oauth"+path, pairs(params...).Encode())
	r.Header.Set("Authorization", basic(id, password))
	return f.send(r)
}

func basic(id, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(password)))
}

// exchange exchanges the token of a user of app for a session.
func (f *fixture) exchange(params ...string) answer {
	f.t.Helper()
	return f.post("/token", append([]string{"grant_type", grantExchange, "client_id", "app"}, params...)...)
}

// session returns the answer to alice, who has a session by the client app.
func (f *fixture) session() answer {
	f.t.Helper()
	got := f.exchange("subject_token", f.token("alice", nil), "subject_token_type", tokenTypeJWT)
	f.want(got, 200, "")
	return got
}

// gatewaySession is session for the client gateway.
func (f *fixture) gatewaySession() answer {
	f.t.Helper()
	got := f.postBasic("/token", "gateway", secret, "grant_type", grantExchange, "subject_token", f.token("alice", nil), "subject_token_type", tokenTypeJWT)
	f.want(got, 200, "")
	return got
}

func (f *fixture) refresh(token string) answer {
	f.t.Helper()
	return f.post("/token", "grant_type", "refresh_token", "client_id", "app", "refresh_token", token)
}

// want checks the status and the error code of an answer, and what all answers have.
func (f *fixture) want(got answer, status int, code string) {
	f.t.Helper()
	if got.status != status || got.text("error") != code {
		f.t.Errorf("%d %s; want %d %q (%v)", got.status, got.body, status, code, f.failed)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Pragma") != "no-cache" || got.header.Get("Content-Type") != "application/json" {
		f.t.Errorf("headers %v", got.header)
	}
	if code != "" && (len(got.fields) != 2 || got.text("error_description") == "") {
		f.t.Errorf("an error has more, or less: %s", got.body)
	}
}

// claims returns the claims of a token.
func (f *fixture) claims(token string) map[string]any {
	f.t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var claims map[string]any
	if err == nil {
		err = json.Unmarshal(data, &claims)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return claims
}
