package caddymodule_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions/jose"
)

// inForce starts the process and returns when its configuration is in force, which is
// a moment after the site answers.
func (s *sidecar) inForce(caddyfile string) {
	s.t.Helper()
	s.start(caddyfile)
	s.awaitInForce()
}

// awaitInForce returns when the configuration of the process is in force.
func (s *sidecar) awaitInForce() {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); s.ask("GET", "status").status == 503; {
		if time.Now().After(deadline) {
			s.t.Fatalf("it is still starting:\n%s", s.log)
		}
		time.Sleep(time.Millisecond) // polling what another process does in its own time
	}
}

// ask sends a request to the admin endpoint.
func (s *sidecar) ask(method, path string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.admin+"/auth_sessions/"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	got, err := do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

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

func (s *sidecar) status(query string) overview {
	s.t.Helper()
	got := s.ask("GET", "status"+query)
	wantStatus(s.t, got, 200)
	var o overview
	if err := json.Unmarshal([]byte(got.body), &o); err != nil {
		s.t.Fatalf("%v in %s", err, got.body)
	}
	return o
}

// twoSites are two blocks, of the issuers app and other.
func twoSites(t *testing.T, s *sidecar, provider *idp) string {
	t.Helper()
	one := provider.site(s, echo(t).URL, life)
	two := strings.NewReplacer("SITE", "http://:"+freePort(t), "app.example.com {", "app.example.com {", "issuer https://app.example.com", "issuer https://other.example.com").Replace(one)
	return one + two
}

func TestAdmin_StatusTellsOfEveryInstance(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(twoSites(t, s, provider))
	o := s.status("")
	if len(o.Instances) != 2 || o.Instances[0].Issuer != "https://app.example.com" || o.Instances[1].Issuer != "https://other.example.com" {
		t.Fatalf("%+v", o)
	}
	for _, inst := range o.Instances {
		if inst.Path != "/auth/sessions" || !inst.Ready || inst.Store.Engine != "pebble" || !inst.Store.OK || inst.Feed.State != "none" {
			t.Errorf("%+v", inst)
		}
		trust := inst.Trust[0]
		if trust.Issuer != provider.issuer || !trust.Users || trust.FetchedAt == "" || len(trust.Keys) != 1 || trust.Keys[0].Kid != provider.key.ID() || trust.JWKS != nil {
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
	if one := s.status("?issuer=https://other.example.com"); len(one.Instances) != 1 {
		t.Errorf("%+v", one)
	}
}

func TestAdmin_StatusShowsPublicKeysAlone(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(provider.site(s, echo(t).URL, life))
	inst := s.status("?keys=true").Instances[0]
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
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	app := echo(t).URL
	config := provider.site(s, app, life)
	other := strings.Replace(config, "issuer https://app.example.com", "issuer https://other.example.com", 1)
	s.inForce(config)
	issuers := func() (all string) {
		for _, inst := range s.status("").Instances {
			all += inst.Issuer
		}
		return all
	}
	if err := s.reload(other); err != nil {
		t.Fatal(err)
	}
	if got := issuers(); got != "https://other.example.com" {
		t.Errorf("after a reload: %s", got)
	}
	s.write("not-a-store", "")
	if err := s.reload(strings.Replace(config, life, life+"\n\t\tstore pebble DIR/not-a-store", 1)); err == nil {
		t.Fatal("it took a file for a directory")
	}
	if got := issuers(); got != "https://other.example.com" {
		t.Errorf("after a reload that failed: %s", got)
	}
	if err := s.reload("SITE {\n\trespond ok\n}\n"); err != nil {
		t.Fatal(err)
	}
	got := s.ask("GET", "status")
	if got.status != 404 || got.text("error") == "" {
		t.Errorf("without a block: %d %s", got.status, got.body)
	}
}

func TestAdmin_SpeaksCaddysConventions(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(twoSites(t, s, provider))
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
		{"no filter", "GET", "sessions?" + app, 400, "which sessions"},
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
			got := s.ask(test.method, test.path)
			if got.status != test.status || !strings.Contains(got.text("error"), test.says) || len(got.fields) != 1 {
				t.Errorf("%d %s, want %d and %q", got.status, got.body, test.status, test.says)
			}
			if test.status == 405 && got.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
	for _, header := range [][2]string{{"Origin", "https://evil.example.com"}, {"Sec-Fetch-Mode", "no-cors"}} {
		if got := s.ask("DELETE", "sessions?impersonations=true&"+app, header[0], header[1]); got.status != 403 && got.status != 400 {
			t.Errorf("%s: %d %s", header, got.status, got.body)
		}
	}
}

func TestAdmin_ListsAndEndsSessions(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(provider.site(s, echo(t).URL, life))
	alice, desk := provider.token("alice", nil), provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
	for range 3 {
		wantStatus(t, create(t, s.url, alice, `{"user_id":"alice"}`), 200)
	}
	acted := create(t, s.url, desk, `{"user_id":"alice","reason":"ticket 4711"}`)
	wantStatus(t, acted, 200)
	other := create(t, s.url, desk, `{"user_id":"bob"}`)
	wantStatus(t, other, 200)

	for deadline := time.Now().Add(30 * time.Second); ; { // the store is read through in the background
		if n := s.status("").Instances[0].Sessions; n != nil && n.Own == 3 && n.Impersonations == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("counted %+v", s.status("").Instances[0].Sessions)
		}
		time.Sleep(5 * time.Millisecond) // polling what another process does in its own time
	}
	listed := func(query string) (ids []string) {
		t.Helper()
		for cursor := ""; ; {
			got := s.ask("GET", "sessions?limit=2&"+query+cursor)
			wantStatus(t, got, 200)
			items, _ := got.fields["items"].([]any)
			for _, item := range items {
				ids = append(ids, item.(map[string]any)["id"].(string))
			}
			next := got.text("next_cursor")
			if next == "" {
				return ids
			}
			cursor = "&cursor=" + url.QueryEscape(next)
		}
	}
	for query, want := range map[string]int{
		"user_id=alice": 4, "user_id=bob": 1, "impersonations=true": 2, "actor=carol": 2, "actor=carol&user_id=bob": 1,
		"actor=carol&actor_issuer=https://idp.example.com": 2, "actor=carol&actor_issuer=https://elsewhere": 0, "user_id=ALICE": 0,
	} {
		if got := listed(query); len(got) != want {
			t.Errorf("%s: %d sessions, want %d", query, len(got), want)
		}
	}
	page := s.ask("GET", "sessions?user_id=alice&impersonations=true")
	if !strings.Contains(page.body, `"actor":{"iss":"https://idp.example.com","sub":"carol"},"reason":"ticket 4711","rule":"scope sessions:impersonate"`) || strings.Contains(page.body, "eyJ") {
		t.Errorf("a listed session: %s", page.body)
	}
	wantFields(t, s.ask("DELETE", "sessions?user_id=alice&dry_run=true"), map[string]any{"revoked": 4.0, "more": false})
	if got := listed("user_id=alice"); len(got) != 4 {
		t.Error("a dry run ended something")
	}
	wantFields(t, s.ask("DELETE", "sessions/"+acted.text("session_id")), map[string]any{"revoked": 1.0})
	wantFields(t, s.ask("DELETE", "sessions?user_id=alice"), map[string]any{"revoked": 3.0, "more": false})
	if got := listed("user_id=alice"); len(got) != 0 {
		t.Errorf("%d sessions are left", len(got))
	}
	wantStatus(t, s.refresh(acted.text("refresh_token")), 400)
	wantStatus(t, s.refresh(other.text("refresh_token")), 200)
	s.waitLog(`"by":"admin"`)
	if got := s.status("").Instances[0].Denied; got < 4 {
		t.Errorf("%d are remembered as ended", got)
	}
}

func TestAdmin_AsksIssuersForTheirKeysNow(t *testing.T) {
	first, second := newIDP(t, "https://idp.example.com"), newIDP(t, "https://idp.example.com")
	var now atomic.Pointer[idp]
	now.Store(first)
	jwks := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		provider := now.Load()
		if provider == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, provider.jwks())
	})
	s := newSidecar(t, t.TempDir())
	s.inForce(strings.Replace(first.site(s, echo(t).URL, life), "jwks DIR/jwks.json", "jwks "+jwks, 1))
	for _, provider := range []*idp{first, second, first} {
		now.Store(provider)
		wantStatus(t, s.ask("POST", "keys/refresh"), 200)
		trust := s.status("").Instances[0].Trust[0]
		if len(trust.Keys) != 1 || trust.Keys[0].Kid != provider.key.ID() || trust.RefreshAt == "" || trust.Error != "" {
			t.Errorf("%+v, want the key %s", trust, provider.key.ID())
		}
	}
	now.Store(nil)
	got := s.ask("POST", "keys/refresh")
	wantStatus(t, got, 200)
	if trust := s.status("").Instances[0].Trust[0]; !strings.Contains(got.body, "unavailable") || trust.Error == "" || len(trust.Keys) != 1 {
		t.Errorf("%s, and %+v", got.body, trust)
	}
}

func TestAdmin_RotatesSigningKeys(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(provider.site(s, echo(t).URL, life))
	session := create(t, s.url, provider.token("alice", nil), `{"user_id":"alice"}`)
	wantStatus(t, session, 200)
	wantStatus(t, s.ask("POST", "keys/rotate"), 200)
	states := ""
	for _, key := range s.status("").Instances[0].SigningKeys {
		states += key.Use + " " + key.State + ", "
	}
	if states != "refresh signing, refresh next, access signing, access next, " {
		t.Errorf("keys: %s", states)
	}
	wantStatus(t, s.refresh(session.text("refresh_token")), 200)
}

func TestAdmin_LeavesKeyFilesAlone(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	for name, alg := range map[string]jose.Algorithm{"refresh.jwk": jose.EdDSA, "access.jwk": jose.ES256} {
		key, err := jose.Generate(alg)
		if err != nil {
			t.Fatal(err)
		}
		jwk, err := key.JWK()
		if err != nil {
			t.Fatal(err)
		}
		s.write(name, string(jwk))
	}
	s.inForce(provider.site(s, echo(t).URL, "refresh_token {\n\t\t\tkey DIR/refresh.jwk\n\t\t}\n\t\taccess_token {\n\t\t\tkey DIR/access.jwk\n\t\t}"))
	got := s.ask("POST", "keys/rotate")
	if got.status != 409 || !strings.Contains(got.text("error"), "files") {
		t.Errorf("%d %s", got.status, got.body)
	}
	for _, key := range s.status("").Instances[0].SigningKeys {
		if key.Generated || key.State != "signing" {
			t.Errorf("%+v", key)
		}
	}
}
