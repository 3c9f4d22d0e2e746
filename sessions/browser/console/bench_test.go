package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/browser/console"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/pebblestore"
	"authsidecar/sessions/revocation"
)

const (
	benchOrigin   = "https://sessions.example.com"
	benchProvider = "https://idp.example.com"
	benchSessions = 10_000
)

// BenchmarkConsole shows pages of a store that has 10,000 impersonations, on disk, to an officer: the
// list, a search by user and by actor, and how many would be revoked.
func BenchmarkConsole(b *testing.B) {
	m := benchManager(b)
	officer := &sessions.Caller{Principal: sessions.Principal{Issuer: benchProvider, Subject: "boss"}, User: true, Claims: sessions.Claims{"role": "officer"}}
	var group sync.WaitGroup
	for part := range 50 {
		group.Go(func() {
			for i := range benchSessions / 50 {
				desk := &sessions.Caller{Principal: sessions.Principal{Issuer: benchProvider, Subject: fmt.Sprint("desk-", part)}, Claims: sessions.Claims{"role": "support"}}
				if _, err := m.Create(b.Context(), &sessions.CreateRequest{Caller: desk, UserID: fmt.Sprint("user-", part, "-", i), Reason: "ticket"}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	grant, err := m.Create(b.Context(), &sessions.CreateRequest{Caller: officer, UserID: "boss", Cookies: true, Console: true})
	if err != nil {
		b.Fatal(err)
	}
	pages := benchConsole(b, m, "")
	show := func(path string) string {
		r := httptest.NewRequest(http.MethodGet, benchOrigin+path, nil)
		r.AddCookie(&http.Cookie{Name: "__Host-session", Value: grant.AccessToken})
		w := httptest.NewRecorder()
		pages.Serve(w, r, pages.Route(r))
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
		return w.Body.String()
	}
	for name, want := range map[string]string{"/acting": "desk-", "/acting?user=user-7-7": "desk-7", "/acting?actor=desk-7": "user-7-", "/acting/end-all": "1,000 sessions and more"} {
		b.Run(name[1:], func(b *testing.B) {
			for b.Loop() {
				if got := show(name); !strings.Contains(got, want) {
					b.Fatal(got)
				}
			}
		})
	}
}

func benchManager(b testing.TB) *sessions.Manager {
	b.Helper()
	store, err := pebblestore.Open(pebblestore.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	keys := keyring.New()
	for ring, alg := range map[*keyring.Ring]jose.Algorithm{keys.Refresh: jose.EdDSA, keys.Access: jose.ES256} {
		key, err := jose.Generate(alg)
		if err != nil {
			b.Fatal(err)
		}
		if err := ring.Set([]keyring.Record{{Key: key}}); err != nil {
			b.Fatal(err)
		}
	}
	trust := sessions.Trust{Name: benchProvider, Users: true}
	rule := func(role string) []sessions.Rule {
		return []sessions.Rule{{Name: role, From: benchProvider, When: sessions.HasClaim{Name: "role", Value: role}}}
	}
	day := 24 * time.Hour
	return &sessions.Manager{
		Realm: "https://app.example.com", Store: store, Revocations: &revocation.Watcher{Store: store}, IDSecret: make([]byte, 32),
		Policy: &sessions.Policy{AllowSelf: true, Allow: rule("support")}, Manage: rule("officer"),
		Trusted: func(string) *sessions.Trust { return &trust },
		Own:     sessions.Lifetimes{TTL: day, MaxTTL: day, Idle: day}, Impersonation: sessions.Lifetimes{TTL: day, MaxTTL: day, Idle: day},
		Minter: &sessions.Minter{
			Issuer: "https://app.example.com", RefreshAudience: "https://app.example.com/auth/sessions", AccessAudience: []string{"https://app.example.com"},
			AccessTTL: 10 * time.Minute, Keys: keys, Console: benchOrigin,
		},
	}
}

func benchConsole(b testing.TB, m *sessions.Manager, auditFile string, otherIssuers ...string) *console.Console {
	b.Helper()
	verifier, err := bearer.New(bearer.Config{Issuers: []bearer.Issuer{{Name: m.Realm, Keys: m.Minter.Keys.Access, Audiences: []string{benchOrigin}, Own: true}}})
	if err != nil {
		b.Fatal(err)
	}
	here := &browser.Authenticator{
		Jar: browser.NewJar("__Host-session", true), Manager: m, Verifier: verifier,
		ClientIP: func(*http.Request) string { return "192.0.2.1" }, Incomplete: func(string, error) {},
	}
	pages, err := console.New(console.Config{
		Origin: benchOrigin, Path: "/auth/sessions", Issuer: benchProvider, Issuers: append([]string{benchProvider}, otherIssuers...), Audit: auditFile,
		Browsers: browser.New(browser.Config{Path: "/auth/sessions", Authenticator: here, Console: true}),
		Links:    &browser.Links{Origin: "https://app.example.com", ImpersonateOrigin: "https://app.example.com"},
	})
	if err != nil {
		b.Fatal(err)
	}
	return pages
}
