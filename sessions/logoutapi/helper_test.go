package logoutapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/logoutapi"
	"authsidecar/sessions/urlpath"
)

const (
	idp      = "https://idp.example.com"
	mail     = "https://mail.example.com" // whose callers are named by their email
	quiet    = "https://quiet.example.com"
	ours     = "https://app.example.com"
	client   = "my-client"
	audience = "https://app.example.com/auth/sessions/events"
	opened   = "open-sesame"

	logoutURI = "http://schemas.openid.net/event/backchannel-logout"
	caep      = "https://schemas.openid.net/secevent/caep/event-type/"
	risc      = "https://schemas.openid.net/secevent/risc/event-type/"
)

// now is when each test is, by all clocks.
var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// A world is an API whose logouts are recorded.
type world struct {
	*testing.T
	api     *logoutapi.API
	keys    map[string]*jose.PrivateKey
	notices []logout.Notice
	heard   []logoutapi.Result
	out     logout.Outcome
	err     error
	checks  func() uint64
}

// Apply records a notice.
func (w *world) Apply(_ context.Context, n *logout.Notice) (logout.Outcome, error) {
	w.notices = append(w.notices, *n)
	return w.out, w.err
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, keys: make(map[string]*jose.PrivateKey), out: logout.Outcome{Found: 1, Ended: 1}}
	issuer := func(name string) bearer.Issuer {
		key, err := jose.Generate(jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		w.keys[name] = key
		source, err := bearer.NewStatic(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		return bearer.Issuer{Name: name, Keys: source, Audiences: []string{ours}, Leeway: 30 * time.Second, Users: true}
	}
	all := []bearer.Issuer{issuer(idp), issuer(mail), issuer(quiet), issuer(ours)}
	all[0].Issuers = []string{"idp.example.com", "https://idp.example.com/tenants/*"}
	all[1].UserClaim = "email"
	all[3].Own = true
	verifier, err := bearer.New(bearer.Config{Issuers: all, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(opened))
	w.checks = func() uint64 { return verifier.Stats().Checks }
	w.api = logoutapi.New(logoutapi.Config{
		Path: "/auth/sessions", Verifier: verifier, Logouts: w, Now: func() time.Time { return now },
		Listeners: map[string]*logoutapi.Listener{
			idp: {Clients: []string{client, "other-client"}, Events: &logoutapi.Events{
				Audiences: []string{audience}, TokenHash: hash[:],
				Actions: map[string]logout.Action{"credential-change": logout.RevokeImpersonations, "sessions-revoked": logout.Log},
			}},
			mail: {Events: &logoutapi.Events{Audiences: []string{audience}, TokenHash: hash[:]}},
		},
		ClientIP: func(*http.Request) string { return "192.0.2.9" },
		Report:   func(_ context.Context, h *logoutapi.Result) { w.heard = append(w.heard, *h) },
	})
	return w
}

// object is JSON.
type object = map[string]any

// with returns claims of which some are others; nil removes one.
func with(claims, change object) object {
	all := object{}
	for _, from := range []object{claims, change} {
		for name, value := range from {
			all[name] = value
			if value == nil {
				delete(all, name)
			}
		}
	}
	return all
}

// logoutClaims are those of a good logout token.
func logoutClaims() object {
	return object{
		"iss": idp, "aud": client, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": "bWJq",
		"sub": "248289761001", "sid": "08a5019c-17e1-4977-8f42-65a12843ea02", "events": object{logoutURI: object{}},
	}
}

// setClaims are those of a good security event token.
func setClaims(event string, payload object) object {
	return object{
		"iss": idp, "aud": audience, "iat": now.Unix(), "jti": "24c63fb56e5a2d77a6b512616ca9fa24",
		"sub_id": object{"format": "iss_sub", "iss": idp, "sub": "jane"}, "events": object{event: payload},
	}
}

// sign signs claims with the key of their issuer.
func (w *world) sign(typ string, claims object) string {
	w.Helper()
	iss, _ := claims["iss"].(string)
	key := w.keys[iss]
	if key == nil {
		key = w.keys[idp]
	}
	header := object{"alg": "ES256", "kid": key.ID(), "typ": typ}
	if typ == "" {
		delete(header, "typ")
	}
	head, _ := json.Marshal(header)
	body, err := json.Marshal(claims)
	if err != nil {
		w.Fatal(err)
	}
	token, err := key.Sign(head, body)
	if err != nil {
		w.Fatal(err)
	}
	return token
}

func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	w.Helper()
	m := w.api.Route(r)
	if m.Owner == urlpath.Pass {
		w.Fatalf("%s is not ours", r.URL)
	}
	answer := httptest.NewRecorder()
	w.api.Serve(answer, r, m)
	return answer
}

// post sends a logout token in a form.
func (w *world) post(token string) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequest(http.MethodPost, "/auth/sessions/backchannel-logout", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.serve(r)
}

// push sends a security event token.
func (w *world) push(token string) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequest(http.MethodPost, "/auth/sessions/events", strings.NewReader(token))
	r.Header.Set("Content-Type", "application/secevent+jwt")
	r.Header.Set("Authorization", "Bearer "+opened)
	return w.serve(r)
}

// want expects an answer that no cache keeps.
func (w *world) want(got *httptest.ResponseRecorder, status int, body string) {
	w.Helper()
	if got.Code != status || !strings.Contains(got.Body.String(), body) || body == "" && got.Body.Len() > 0 {
		w.Errorf("answered %d %s, not %d %s", got.Code, got.Body, status, body)
	}
	if got.Header().Get("Cache-Control") != "no-store" {
		w.Errorf("Cache-Control is %q", got.Header().Get("Cache-Control"))
	}
}

// last returns what was heard last.
func (w *world) last() logoutapi.Result {
	w.Helper()
	if len(w.heard) == 0 {
		w.Fatal("nobody heard of it")
	}
	return w.heard[len(w.heard)-1]
}
