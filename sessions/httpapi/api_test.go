package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
	"authsidecar/sessions/storetest"
)

const issuer, trusted = "https://app.example.com", "https://idp.example.com"

// faulty is a store whose Create and Update do what the test says.
type faulty struct {
	storetest.Memory
	fault func() error
}

func (f *faulty) Create(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
	if err := f.fault(); err != nil {
		return sessions.Session{}, false, 0, err
	}
	return f.Memory.Create(ctx, row)
}

func (f *faulty) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	if err := f.fault(); err != nil {
		return sessions.Session{}, err
	}
	return f.Memory.Update(ctx, key, fn)
}

var nowhere map[string]int

type fixture struct {
	sessions.Silent

	api   *API
	token string
	store *faulty
	mu    sync.Mutex
	said  []string // what Failed got
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	keys, idp := keyring.New(), newKey(t, jose.ES256)
	setKey(t, keys.Refresh, jose.EdDSA)
	setKey(t, keys.Access, jose.ES256)
	trustedKeys, err := bearer.NewStatic(idp.Public())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := bearer.New(bearer.Config{Issuers: []bearer.Issuer{{Name: trusted, Keys: trustedKeys, Audiences: []string{issuer}, Users: true}}})
	if err != nil {
		t.Fatal(err)
	}
	life := sessions.Lifetimes{TTL: time.Hour, MaxTTL: time.Hour, Idle: time.Hour}
	f := &fixture{store: &faulty{fault: func() error { return nil }}}
	f.api = New(Config{
		Path: "/auth/sessions", Verifier: verifier, Lifecycle: true,
		ClientIP: func(*http.Request) string { return "192.0.2.1" },
		Observer: f,
		Manager: &sessions.Manager{
			Realm: issuer, Store: f.store, Policy: &sessions.Policy{AllowSelf: true}, Own: life, Impersonation: life,
			Trusted: verifier.Trust, Revocations: new(revocation.Watcher), IDSecret: make([]byte, 32),
			Minter: &sessions.Minter{Issuer: issuer, RefreshAudience: issuer + "/auth/sessions", AccessAudience: []string{issuer}, AccessTTL: time.Minute, Keys: keys},
		},
	})
	f.token, err = idp.Sign([]byte(`{"alg":"ES256","kid":"`+idp.ID()+`","typ":"at+jwt"}`),
		fmt.Appendf(nil, `{"iss":%q,"sub":"alice","aud":%q,"exp":%d}`, trusted, issuer, time.Now().Add(time.Hour).Unix()))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Failed implements sessions.Observer.
func (f *fixture) Failed(_ context.Context, _ int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, err.Error())
}

func newKey(t *testing.T, alg jose.Algorithm) *jose.PrivateKey {
	t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func setKey(t *testing.T, ring *keyring.Ring, alg jose.Algorithm) {
	t.Helper()
	if err := ring.Set([]keyring.Record{{Key: newKey(t, alg)}}); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) post(path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+f.token)
	w := httptest.NewRecorder()
	f.api.Serve(w, r, f.api.Route(r))
	return w
}

// overHTTP is post through a real server and client.
func (f *fixture) overHTTP(t *testing.T, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.api.Serve(w, r, f.api.Route(r)) }))
	defer server.Close()
	r, err := http.NewRequest("POST", server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+f.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	w := httptest.NewRecorder()
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Body.ReadFrom(resp.Body)
	return w
}

func TestH9_AnAnswerDoesNotWaitForABodyThatNeverComes(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.api.Serve(w, r, f.api.Route(r)) }))
	defer server.Close()
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprintf(conn, "POST /auth/sessions HTTP/1.1\r\nHost: a\r\n%sContent-Length: 19\r\n\r\n", expect)
		answer, err := io.ReadAll(conn) // without the close it would never end
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401 ") {
			t.Errorf("%q: %.80q %v", expect, answer, err)
		}
		_ = conn.Close()
	}
}

func TestRefresh_APolicyThatSaysNoIsInvalidGrant(t *testing.T) {
	f := newFixture(t)
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal(f.post("/auth/sessions", `{"user_id":"alice"}`).Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	f.api.Manager.Policy = &sessions.Policy{RequireReason: true}
	got := f.post("/auth/sessions/current/refresh", `{"refresh_token":"`+answer.RefreshToken+`"}`)
	if got.Code != 400 || code(t, got) != "invalid_grant" {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

func TestH4_CookiesAuthenticateNobody(t *testing.T) {
	f := newFixture(t)
	r := httptest.NewRequest("POST", "/auth/sessions", strings.NewReader(`{"user_id":"alice"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "https://evil.example.com")
	for _, name := range []string{"Authorization", "access_token", "token", "session"} {
		r.AddCookie(&http.Cookie{Name: name, Value: f.token})
	}
	w := httptest.NewRecorder()
	f.api.Serve(w, r, f.api.Route(r))
	if w.Code != 401 || code(t, w) != "missing_token" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for name := range w.Header() {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s is set", name)
		}
	}
}

func code(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return p.Code
}

func TestS3_AStoreThatIsDownIs503AndNeverInvalidGrant(t *testing.T) {
	f := newFixture(t)
	created := f.post("/auth/sessions", `{"user_id":"alice"}`)
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal(created.Body.Bytes(), &answer); err != nil || created.Code != 200 {
		t.Fatalf("%d %s %v", created.Code, created.Body, err)
	}
	refresh := `{"refresh_token":"` + answer.RefreshToken + `"}`
	faults := map[string]error{
		"down": fmt.Errorf("dialing: %w", sessions.ErrUnavailable), "closed": sessions.ErrClosed, "newer": rowcodec.ErrNewer,
		"cancelled": fmt.Errorf("%w: %w", sessions.ErrUnavailable, context.Canceled), "too slow": context.DeadlineExceeded,
	}
	for name, fault := range faults {
		f.store.fault = func() error { return fault }
		for path, body := range map[string]string{"/auth/sessions": `{"user_id":"alice"}`, "/auth/sessions/current/refresh": refresh} {
			got := f.post(path, body)
			if got.Code != 503 || code(t, got) != "unavailable" || got.Header().Get("Retry-After") == "" {
				t.Errorf("%s: %s: %d %s", name, path, got.Code, got.Body)
			}
		}
	}
	f.store.fault = func() error { return nil }
	if got := f.post("/auth/sessions/current/refresh", refresh); got.Code != 200 {
		t.Errorf("after the fault: %d %s", got.Code, got.Body)
	}
}

func TestL3_PanicsAndUnknownErrorsAre500AndReportedToUsAlone(t *testing.T) {
	faults := map[string]func() error{
		"a panic":    func() error { panic("the inner life of the store") },
		"a nil map":  func() error { nowhere["inner"] = 1; return nil },
		"an unknown": func() error { return errors.New("the inner life of the store") },
	}
	for name, fault := range faults {
		f := newFixture(t)
		f.store.fault = fault
		got := f.overHTTP(t, "/auth/sessions", `{"user_id":"alice"}`)
		if got.Code != 500 || code(t, got) != "internal" || strings.Contains(got.Body.String(), "inner") {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
		if len(f.said) != 1 {
			t.Errorf("%s: said %q", name, f.said)
		}
		for _, said := range f.said {
			if strings.Contains(said, f.token) {
				t.Errorf("%s: the token was reported", name)
			}
		}
	}
}

// Covers H7, H8.
func TestO11_ProblemsAreWellFormed(t *testing.T) {
	for _, p := range []*Problem{
		createShape.problem(nil), problemBroken, problemCredentials, problemUserID, problemLifetime, problemText, problemClient, problemReason, problemKey, problemNoToken,
		problemToken, problemDenied, problemForbidden, ErrPath, problemSession, ErrMethod, problemFilter, problemCursor, problemGrant,
		holderShape.problem([]byte(`{}`)), problemClientAuth, ErrReturnTo, problemLink, problemOpener, problemSpent, problemTooLarge, problemMedia, ErrFormMedia, problemMismatch, problemInternal, problemUnavailable,
	} {
		w := httptest.NewRecorder()
		p.Write(w)
		if w.Code != p.Status || p.Status < 400 || p.Title == "" || p.Type != problemType+p.Code {
			t.Errorf("problem %+v", p)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (p.Status == 401 || p.Status == 403) {
			t.Errorf("%s: challenge %q", p.Code, challenge)
		}
		for i := range len(p.Detail) { // RFC 6750 section 3: what error_description may hold
			if c := p.Detail[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
				t.Errorf("%s: detail has %q", p.Code, c)
			}
		}
	}
}
