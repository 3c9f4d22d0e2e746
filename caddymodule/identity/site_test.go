package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/streams"
)

const (
	ourIssuer = "https://app.example.com"
	idp       = "https://idp.example.com"
)

// A site is a middleware in front of an app that remembers the request that it got last.
type site struct {
	t       *testing.T
	m       *Middleware
	behind  *Middleware // another one between m and the app, if any
	watcher *revocation.Watcher
	idp     *keyring.Ring
	server  *caddyhttp.Server
	closed  error // why the store is not open
	logs    *observer.ObservedLogs
	app     *http.Request // nil: none
	answer  error         // of the app
}

// newSite returns a site whose trusted issuer's tokens name users.
func newSite(t *testing.T, c config.Identity, impersonation config.Impersonation) *site {
	t.Helper()
	return newSiteOf(t, c, impersonation, 0)
}

// littleMemory is enough for what is packed of a few tokens, and for all of none.
const littleMemory = 100_000

// newSiteOf returns a site with so much memory for tokens, in bytes; 0: as much as is usual.
func newSiteOf(t *testing.T, c config.Identity, impersonation config.Impersonation, memory int) *site {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s := &site{t: t, idp: ringOf(t, "JWT"), server: new(caddyhttp.Server), logs: logs}
	s.watcher = &revocation.Watcher{Store: new(storetest.Memory)}
	keys := &keyring.Keyring{Refresh: ringOf(t, keyring.RefreshTokenType), Access: ringOf(t, keyring.AccessTokenType)}
	verifier, err := bearer.New(bearer.Config{CacheBytes: memory, Issuers: []bearer.Issuer{
		{Name: ourIssuer, Keys: keys.Access, Audiences: []string{ourIssuer}, Own: true},
		{Name: idp, Keys: s.idp, Audiences: []string{ourIssuer}, Users: true, Header: "X-Idp-Token"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{StorageRaw: json.RawMessage(`{"module": "file_system", "root": "` + t.TempDir() + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	reports, err := observe.New(ctx, observe.Config{Issuer: ourIssuer, Logger: zap.New(core), Mend: func(bearer.Reason, string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	if c.Headers == nil {
		c.Headers = []config.IdentityHeader{{Name: "X-Auth-User", Field: "user_id"}, {Name: "x-auth-actor", Field: "actor"}}
	}
	registry := &streams.Registry{Store: s.watcher.Store, Watch: s.watcher}
	s.m = New(Config{
		Identity: &c, Impersonation: &impersonation, Issuer: ourIssuer, TokenHeaders: forward.NewNames([]string{"X-Idp-Token"}), Logger: zap.New(core), Verifier: verifier, Reports: reports,
		Manager: &sessions.Manager{
			Realm: ourIssuer, Store: s.watcher.Store, Revocations: s.watcher,
			Minter: &sessions.Minter{Issuer: ourIssuer, RefreshAudience: ourIssuer, AccessAudience: []string{ourIssuer}, AccessTTL: time.Minute, Keys: keys},
		},
		Open:    func(context.Context) error { return s.closed },
		Streams: func() *streams.Registry { return registry },
	})
	return s
}

func ringOf(t *testing.T, typ string) *keyring.Ring {
	t.Helper()
	records, _, err := (&keyring.Schedule{Algorithm: jose.EdDSA}).Plan(nil, time.Now())
	ring := keyring.NewRing(typ)
	if err == nil {
		err = ring.Set(records)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// token returns an access token of a session of alice's; actor is who acts as her, "" for nobody.
func (s *site) token(id, actor string) string {
	s.t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	row := sessions.Session{
		Realm: ourIssuer, ID: id, UserID: "alice", ClientID: "app", Impersonation: actor != "", Actor: sessions.Principal{Issuer: idp, Subject: actor},
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(time.Hour), Idle: time.Hour,
	}
	token, _, err := s.m.Manager.Minter.Access(&row, now)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// caller returns a token of the trusted issuer, of bob.
func (s *site) caller() string {
	s.t.Helper()
	key, err := s.idp.Signing(time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := key.Sign(fmt.Appendf(nil, `{"iss":%q,"aud":%q,"sub":"bob","exp":%d}`, idp, ourIssuer, time.Now().Add(time.Hour).Unix()))
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// tokens fills in the tokens of headers: OWN of a session of alice's, IMP of one of somebody who
// acts as her, OVER of one that is over, CALLER of bob.
func (s *site) tokens(headers []string) []string {
	s.t.Helper()
	s.watcher.Deny.Add(sessions.Key{Realm: ourIssuer, ID: "over"}, time.Now())
	fill := strings.NewReplacer("OWN", s.token("own", ""), "IMP", s.token("imp", "desk"), "OVER", s.token("over", ""), "CALLER", s.caller())
	filled := make([]string, len(headers))
	for i, header := range headers {
		filled[i] = fill.Replace(header)
	}
	return filled
}

// ask sends a request ("GET /path"), with headers by turns, and returns the answer.
func (s *site) ask(what string, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	method, target, _ := strings.Cut(what, " ")
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.app = nil
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, s.server)
	next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		s.app = r
		return s.answer
	})
	if app := next; s.behind != nil {
		next = func(w http.ResponseWriter, r *http.Request) error { return s.behind.ServeHTTP(w, r, app) }
	}
	err := s.m.ServeHTTP(w, r, next)
	if failed, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		w.Code = failed.StatusCode
	} else if err != nil {
		s.t.Error(err)
	}
	return w
}

// outcome says in a few words what came of a request: whom the app was told, and which
// credentials it got; or how the request was answered.
func (s *site) outcome(what string, headers ...string) string {
	s.t.Helper()
	w := s.ask(what, headers...)
	if s.app == nil {
		var problem struct{ Code string }
		_ = json.Unmarshal(w.Body.Bytes(), &problem)
		return strings.TrimSpace(fmt.Sprint(w.Code, " ", problem.Code, " ", w.Header().Get("Location")))
	}
	said := cmp.Or(s.app.Header.Get("X-Auth-User"), "nobody")
	if actor := s.app.Header.Get("X-Auth-Actor"); actor != "" {
		said += " by " + actor
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Idp-Token"} {
		if s.app.Header.Get(name) != "" {
			said += " +" + name
		}
	}
	return said
}
