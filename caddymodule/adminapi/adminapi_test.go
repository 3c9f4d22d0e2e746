package adminapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/storetest/servertest"
)

func TestMain(m *testing.M) { sidecartest.Main(m, nil) }

// An overview is what GET status answers.
type overview struct {
	Instances []struct {
		Issuer, Path string
		Ready        bool
		Trust        []struct {
			Issuer, Source, Error string
			Users                 bool
			Keys                  []struct{ Kid, Alg string }
			JWKS                  *struct{ Keys []map[string]any }
			FetchedAt             string `json:"fetched_at"`
			RefreshAt             string `json:"refresh_at"`
		}
		SigningKeys []struct {
			Use, Kid, Alg, State string
			Generated            bool
			From                 string         `json:"signs_from"`
			Until                string         `json:"signs_until"`
			JWK                  map[string]any `json:"jwk"`
		} `json:"signing_keys"`
		Store struct {
			Engine, Error string
			OK            bool
		}
		Sessions *struct{ Own, Impersonations int }
		Denied   int
		Feed     struct{ State string }
	}
}

func status(t *testing.T, s *sidecartest.Sidecar, query string) overview {
	t.Helper()
	got := s.Ask("GET", "status"+query)
	sidecartest.WantStatus(t, got, 200)
	var o overview
	if err := json.Unmarshal([]byte(got.Body), &o); err != nil {
		t.Fatalf("%v in %s", err, got.Body)
	}
	return o
}

func TestAdmin_StatusTellsOfEveryInstance(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	sites, _ := provider.TwoSites(s, sidecartest.Echo(t), sidecartest.Lifecycle)
	s.Start(sites)
	o := status(t, s, "")
	if len(o.Instances) != 2 || o.Instances[0].Issuer != "https://app.example.com" || o.Instances[1].Issuer != "https://other.example.com" {
		t.Fatalf("%+v", o)
	}
	for _, inst := range o.Instances {
		if inst.Path != "/auth/sessions" || !inst.Ready || inst.Store.Engine != "pebble" || !inst.Store.OK || inst.Feed.State != "none" {
			t.Errorf("%+v", inst)
		}
		trust := inst.Trust[0]
		if trust.Issuer != provider.Issuer || !trust.Users || trust.FetchedAt == "" || len(trust.Keys) != 1 || trust.Keys[0].Kid != provider.Key.ID() || trust.JWKS != nil {
			t.Errorf("%+v", trust)
		}
		if len(inst.SigningKeys) != 2 {
			t.Fatalf("%+v", inst.SigningKeys)
		}
		for i, want := range []string{"refresh", "access"} {
			if k := inst.SigningKeys[i]; k.Use != want || k.State != "signing" || !k.Generated || k.Kid == "" || k.From == "" || k.JWK != nil {
				t.Errorf("%+v", k)
			}
		}
	}
	if one := status(t, s, "?issuer=https://other.example.com"); len(one.Instances) != 1 {
		t.Errorf("%+v", one)
	}
}

func TestAdmin_StatusShowsPublicKeysAlone(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle))
	inst := status(t, s, "?keys=true").Instances[0]
	keys := append(inst.Trust[0].JWKS.Keys, inst.SigningKeys[1].JWK)
	if inst.SigningKeys[0].JWK != nil {
		t.Error("the key of refresh tokens is shown")
	}
	for _, key := range keys {
		for name := range key {
			if !strings.Contains(" kty crv x y n e kid use alg ", " "+name+" ") {
				t.Errorf("a key has %s", name)
			}
		}
	}
	if len(keys) != 2 {
		t.Errorf("%d keys", len(keys))
	}
}

// What is in force counts: after a reload the new configuration, and after one that
// failed the old one still.
func TestAdmin_SeesTheConfigurationInForce(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	app := sidecartest.Echo(t)
	config := provider.Site(s, app, sidecartest.Lifecycle)
	other := strings.Replace(config, "issuer https://app.example.com", "issuer https://other.example.com", 1)
	s.Start(config)
	issuers := func() (all string) {
		for _, inst := range status(t, s, "").Instances {
			all += inst.Issuer
		}
		return all
	}
	if err := s.Reload(other); err != nil {
		t.Fatal(err)
	}
	if got := issuers(); got != "https://other.example.com" {
		t.Errorf("after a reload: %s", got)
	}
	s.Write("not-a-store", "")
	if err := s.Reload(strings.Replace(config, sidecartest.Lifecycle, sidecartest.Lifecycle+"\n\t\tstore pebble DIR/not-a-store", 1)); err == nil {
		t.Fatal("it took a file for a directory")
	}
	if got := issuers(); got != "https://other.example.com" {
		t.Errorf("after a reload that failed: %s", got)
	}
	if err := s.Reload("SITE {\n\trespond ok\n}\n"); err != nil {
		t.Fatal(err)
	}
	got := s.Ask("GET", "status")
	if got.Status != 404 || got.Text("error") == "" {
		t.Errorf("without a block: %d %s", got.Status, got.Body)
	}
}

func TestAdmin_SpeaksCaddysConventions(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	sites, _ := provider.TwoSites(s, sidecartest.Echo(t), sidecartest.Lifecycle)
	s.Start(sites)
	const app = "issuer=https://app.example.com"
	tests := []struct {
		name, method, path string
		status             int
		says               string
	}{
		{"no such resource", "GET", "nothing", 404, "not found"},
		{"nothing", "GET", "", 404, "not found"},
		{"a session without an id", "DELETE", "sessions/?" + app, 404, "not found"},
		{"a path below a session", "DELETE", "sessions/a/b?" + app, 404, "not found"},
		{"a method that is not there", "POST", "status", 405, "not allowed"},
		{"a reading method that acts", "GET", "keys/rotate?" + app, 405, "not allowed"},
		{"another", "GET", "keys/refresh", 405, "not allowed"},
		{"and another", "GET", "sessions/x?" + app, 405, "not allowed"},
		{"an unknown parameter", "GET", "status?isuer=x", 400, "isuer"},
		{"a parameter twice", "GET", "status?issuer=a&issuer=b", 400, "twice"},
		{"an empty parameter", "GET", "sessions?user_id=&" + app, 400, "empty"},
		{"a query that is none", "GET", "status?%zz", 400, "query"},
		{"an issuer that is not ours", "GET", "status?issuer=https://idp.example.com", 404, "https://other.example.com"},
		{"no issuer where there are two", "GET", "sessions?user_id=alice", 400, "several issuers"},
		{"no issuer where two have keys", "POST", "keys/rotate", 400, "several issuers"},
		{"nothing to end", "DELETE", "sessions?" + app, 400, "which sessions"},
		{"half of an actor", "GET", "sessions?actor_issuer=x&" + app, 400, "goes with actor"},
		{"a flag that is none", "DELETE", "sessions?user_id=a&dry_run=yes&" + app, 400, "dry_run"},
		{"another flag", "DELETE", "sessions?impersonations=false&" + app, 400, "impersonations"},
		{"no limit", "GET", "sessions?user_id=a&limit=0&" + app, 400, "1 to 1000"},
		{"too much of it", "GET", "sessions?user_id=a&limit=1001&" + app, 400, "1 to 1000"},
		{"a cursor of nobody", "GET", "sessions?user_id=a&cursor=AAAA&" + app, 400, "cursor"},
		{"a session of nobody", "DELETE", "sessions/AAAAAAAAAAAAAAAAAAAAAA?" + app, 404, "no such session"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := s.Ask(test.method, test.path)
			if got.Status != test.status || !strings.Contains(got.Text("error"), test.says) || len(got.Fields) != 1 {
				t.Errorf("%d %s, want %d and %q", got.Status, got.Body, test.status, test.says)
			}
			if test.status == 405 && got.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
	for _, header := range [][2]string{{"Origin", "https://evil.example.com"}, {"Sec-Fetch-Mode", "no-cors"}} {
		if got := s.Ask("DELETE", "sessions?impersonations=true&"+app, header[0], header[1]); got.Status != 403 && got.Status != 400 {
			t.Errorf("%s: %d %s", header, got.Status, got.Body)
		}
	}
}

func TestAdmin_ListsAndEndsSessions(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle))
	servertest.Until(t, "the store was scanned once", func() error { // sessions that begin meanwhile may not be counted
		if status(t, s, "").Instances[0].Sessions == nil {
			return errors.New("there is no count")
		}
		return nil
	})
	alice, desk := provider.Token("alice", nil), provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	for range 3 {
		sidecartest.WantStatus(t, s.Create(alice, `{"user_id":"alice"}`), 200)
	}
	acted := s.Create(desk, `{"user_id":"alice","reason":"ticket 4711"}`)
	sidecartest.WantStatus(t, acted, 200)
	other := s.Create(desk, `{"user_id":"bob"}`)
	sidecartest.WantStatus(t, other, 200)

	servertest.Until(t, "each is counted", func() error {
		if n := status(t, s, "").Instances[0].Sessions; n.Own != 3 || n.Impersonations != 2 {
			return fmt.Errorf("counted %+v", n)
		}
		return nil
	})
	listed := func(query string) (ids []string) {
		t.Helper()
		for cursor := ""; ; {
			got := s.Ask("GET", "sessions?limit=2&"+query+cursor)
			sidecartest.WantStatus(t, got, 200)
			items, _ := got.Fields["items"].([]any)
			for _, item := range items {
				ids = append(ids, item.(map[string]any)["id"].(string))
			}
			next := got.Text("next_cursor")
			if next == "" {
				return ids
			}
			cursor = "&cursor=" + url.QueryEscape(next)
		}
	}
	for query, want := range map[string]int{
		"user_id=alice": 4, "user_id=bob": 1, "impersonations=true": 2, "actor=carol": 2, "actor=carol&user_id=bob": 1,
		"actor=carol&actor_issuer=https://idp.example.com": 2, "actor=carol&actor_issuer=https://elsewhere": 0, "user_id=ALICE": 0, "": 5,
	} {
		if got := listed(query); len(got) != want {
			t.Errorf("%s: %d sessions, want %d", query, len(got), want)
		}
	}
	page := s.Ask("GET", "sessions?user_id=alice&impersonations=true")
	if !strings.Contains(page.Body, `"actor":{"iss":"https://idp.example.com","sub":"carol"},"reason":"ticket 4711","rule":"scope sessions:impersonate"`) || strings.Contains(page.Body, "eyJ") {
		t.Errorf("a listed session: %s", page.Body)
	}
	sidecartest.WantFields(t, s.Ask("DELETE", "sessions?user_id=alice&dry_run=true"), map[string]any{"would_revoke": 4.0, "more": false})
	sidecartest.WantFields(t, s.Ask("DELETE", "sessions/"+acted.Text("session_id")+"?dry_run=true"), map[string]any{"would_revoke": 1.0, "more": false})
	sidecartest.WantStatus(t, s.Ask("DELETE", "sessions/none?dry_run=true"), 404)
	if got := listed("user_id=alice"); len(got) != 4 {
		t.Error("a dry run ended something")
	}
	sidecartest.WantFields(t, s.Ask("DELETE", "sessions/"+acted.Text("session_id")), map[string]any{"revoked": 1.0})
	sidecartest.WantFields(t, s.Ask("DELETE", "sessions?user_id=alice"), map[string]any{"revoked": 3.0, "more": false})
	if got := listed("user_id=alice"); len(got) != 0 {
		t.Errorf("%d sessions are left", len(got))
	}
	sidecartest.WantStatus(t, s.Refresh(acted.Text("refresh_token")), 400)
	sidecartest.WantStatus(t, s.Refresh(other.Text("refresh_token")), 200)
	s.WaitLog(`"by":"admin"`)
	if got := status(t, s, "").Instances[0].Denied; got < 4 {
		t.Errorf("%d are remembered as ended", got)
	}
}

func TestAdmin_AsksIssuersForTheirKeysNow(t *testing.T) {
	t.Parallel()
	first, second := sidecartest.NewIDP(t, "https://idp.example.com"), sidecartest.NewIDP(t, "https://idp.example.com")
	var now atomic.Pointer[sidecartest.IDP]
	now.Store(first)
	jwks := sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		provider := now.Load()
		if provider == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, provider.JWKS())
	})
	s := sidecartest.New(t)
	s.Start(strings.Replace(first.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle), "jwks DIR/jwks.json", "jwks "+jwks, 1))
	for _, provider := range []*sidecartest.IDP{first, second, first} {
		now.Store(provider)
		sidecartest.WantStatus(t, s.Ask("POST", "keys/refresh"), 200)
		trust := status(t, s, "").Instances[0].Trust[0]
		if len(trust.Keys) != 1 || trust.Keys[0].Kid != provider.Key.ID() || trust.RefreshAt == "" || trust.Error != "" {
			t.Errorf("%+v, want the key %s", trust, provider.Key.ID())
		}
	}
	now.Store(nil)
	got := s.Ask("POST", "keys/refresh")
	sidecartest.WantStatus(t, got, 200)
	if trust := status(t, s, "").Instances[0].Trust[0]; !strings.Contains(got.Body, "unavailable") || trust.Error == "" || len(trust.Keys) != 1 {
		t.Errorf("%s, and %+v", got.Body, trust)
	}
}

func TestAdmin_RotatesSigningKeys(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), sidecartest.Lifecycle))
	session := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, session, 200)
	sidecartest.WantStatus(t, s.Ask("POST", "keys/rotate"), 200)
	states := ""
	for _, key := range status(t, s, "").Instances[0].SigningKeys {
		states += key.Use + " " + key.State + ", "
	}
	if states != "refresh signing, refresh next, access signing, access next, " {
		t.Errorf("keys: %s", states)
	}
	sidecartest.WantStatus(t, s.Refresh(session.Text("refresh_token")), 200)
}

func TestAdmin_LeavesKeyFilesAlone(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	for name, alg := range map[string]jose.Algorithm{"refresh.jwk": jose.EdDSA, "access.jwk": jose.ES256} {
		key, err := jose.Generate(alg)
		if err != nil {
			t.Fatal(err)
		}
		jwk, err := key.JWK()
		if err != nil {
			t.Fatal(err)
		}
		s.Write(name, string(jwk))
	}
	s.Start(provider.Site(s, sidecartest.Echo(t), "refresh_token {\n\t\t\tkey DIR/refresh.jwk\n\t\t}\n\t\taccess_token {\n\t\t\tkey DIR/access.jwk\n\t\t}"))
	got := s.Ask("POST", "keys/rotate")
	if got.Status != 409 || !strings.Contains(got.Text("error"), "files") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	for _, key := range status(t, s, "").Instances[0].SigningKeys {
		if key.Generated || key.State != "signing" {
			t.Errorf("%+v", key)
		}
	}
}
