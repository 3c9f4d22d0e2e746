package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/jose"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	jwtType       = "urn:ietf:params:oauth:token-type:jwt"
	userIDType    = "urn:auth-sessions:token-type:user-id"
	gatewaySecret = "gateway-secret-of-more-than-32-bytes"
)

// oauthWords are the words of a block with a public client and one with a secret.
const oauthWords = `oauth {
			client my-app {
				public
			}
			client gateway {
				secret {env.GATEWAY_SECRET}
			}
		}
		lifecycle
		identity {
			require
		}
		impersonation {
			deny /billing/*
		}`

// newOAuth prepares a sidecar whose environment has the secret.
func newOAuth(t *testing.T) (*sidecartest.Sidecar, *sidecartest.IDP) {
	t.Helper()
	s := sidecartest.New(t)
	s.Env = append(s.Env, "GATEWAY_SECRET="+gatewaySecret)
	return s, sidecartest.NewIDP(t, "https://idp.example.com")
}

// post posts a form; as is the client that authenticates by its secret, or none.
func post(t *testing.T, s *sidecartest.Sidecar, as, path string, params ...string) sidecartest.Answer {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(params); i += 2 {
		form.Add(params[i], params[i+1])
	}
	req, err := http.NewRequest("POST", s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if as != "" {
		req.SetBasicAuth(as, gatewaySecret)
	}
	got, err := s.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// visit asks the app for a path with an access token.
func visit(t *testing.T, s *sidecartest.Sidecar, path, token string) sidecartest.Answer {
	t.Helper()
	req, err := http.NewRequest("GET", s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	got, err := s.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Covers O3, O6, O7, O9.
func TestOAuth_AWholeLifeByStandardRequests(t *testing.T) {
	t.Parallel()
	s, provider := newOAuth(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), oauthWords))
	actor := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})

	own := post(t, s, "", "/oauth/token", "grant_type", exchangeGrant, "client_id", "my-app", "subject_token", provider.Token("alice", nil), "subject_token_type", jwtType)
	sidecartest.WantStatus(t, own, 200)
	sidecartest.WantIn(t, visit(t, s, "/", own.Text("access_token")).Body, "X-Auth-User: alice")
	next := post(t, s, "", "/oauth/token", "grant_type", "refresh_token", "client_id", "my-app", "refresh_token", own.Text("refresh_token"))
	sidecartest.WantStatus(t, next, 200)
	sidecartest.WantHeaders(t, next, "Cache-Control", "no-store", "Pragma", "no-cache")
	sidecartest.WantStatus(t, s.Refresh(next.Text("refresh_token")), 200) // a public client's, by the other endpoint

	as := post(t, s, "gateway", "/oauth/token", "grant_type", exchangeGrant, "subject_token", "bob", "subject_token_type", userIDType, "actor_token", actor, "actor_token_type", jwtType, "reason", "ticket 4711")
	sidecartest.WantStatus(t, as, 200)
	sidecartest.WantIn(t, visit(t, s, "/", as.Text("access_token")).Body, "X-Auth-User: bob", "X-Auth-Actor: carol")
	sidecartest.WantStatus(t, visit(t, s, "/billing/x", as.Text("access_token")), 403)
	sidecartest.WantProblem(t, s.Refresh(as.Text("refresh_token")), 401, "invalid_client") // not without its client's secret
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(s.Log(), `"refresh token refused"`); {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not tell of it:\n%s", s.Log())
		}
		time.Sleep(10 * time.Millisecond) // polling what another process writes
	}
	sidecartest.WantIn(t, s.Log(), `"reason":"client_authentication"`, "let the client refresh at the token endpoint of oauth (/oauth/token")
	as = post(t, s, "gateway", "/oauth/token", "grant_type", "refresh_token", "refresh_token", as.Text("refresh_token"))
	sidecartest.WantStatus(t, as, 200) // nothing happened to it
	told := post(t, s, "gateway", "/oauth/introspect", "token", as.Text("access_token"))
	if act, _ := told.Fields["act"].(map[string]any); told.Fields["active"] != true || act["sub"] != "carol" || told.Fields["sub"] != "bob" {
		t.Errorf("%s", told.Body)
	}
	sidecartest.WantStatus(t, post(t, s, "", "/oauth/revoke", "client_id", "my-app", "token", as.Text("refresh_token")), 400)
	if got := post(t, s, "gateway", "/oauth/revoke", "token", as.Text("refresh_token")); got.Status != 200 || got.Body != "{}" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	sidecartest.WantStatus(t, visit(t, s, "/", as.Text("access_token")), 401)
	if got := post(t, s, "gateway", "/oauth/introspect", "token", as.Text("access_token")); got.Body != `{"active":false}` {
		t.Errorf("%s", got.Body)
	}
	if strings.Contains(s.Log(), gatewaySecret) {
		t.Error("the secret is in the log")
	}
}

func TestOAuth_VariantsOfItsPathsNeverReachTheApp(t *testing.T) {
	t.Parallel()
	s, provider := newOAuth(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), strings.Replace(oauthWords, "require", "optional", 1)))
	for _, path := range []string{"/oauth/token/", "/oauth/token;x", "/oauth%252ftoken", "//x/oauth/revoke", "/oauth/introspect%20", "/.well-known/openid-configuration;x"} {
		if got := post(t, s, "", path, "client_id", "my-app"); got.Status != 404 || got.Header.Get("X-App") != "" {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	for _, path := range []string{"/oauth", "/oauth/authorize", "/.well-known/security.txt"} {
		if got := s.Get("GET", path); got.Header.Get("X-App") == "" {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
}

// Covers O8.
func TestDiscovery_IsServedWhereItIsSaid(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]bool{"": false, "lifecycle": false, "discovery": true, "lifecycle\n\t\tdiscovery": true} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			s, provider := newOAuth(t)
			s.Start(provider.Site(s, sidecartest.Echo(t), words))
			for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
				got := s.Get("GET", path)
				if (got.Text("issuer") == sidecartest.Issuer) != want || (got.Header.Get("X-App") == "") != want {
					t.Errorf("%s: %d %s", path, got.Status, got.Body)
				}
			}
			if want {
				keys := s.Get("GET", "/auth/sessions/jwks.json")
				sidecartest.WantStatus(t, keys, 200)
				sidecartest.WantIn(t, keys.Body, `"alg":"ES256"`)
				sidecartest.WantIn(t, s.Get("GET", "/.well-known/openid-configuration").Body, `"jwks_uri":"`+sidecartest.Issuer+`/auth/sessions/jwks.json"`, `"ES256"`)
			}
			if words == "lifecycle" {
				s.WaitLog("libraries that verify access tokens look for the public keys", "/.well-known/openid-configuration", "write: discovery")
			} else if strings.Contains(s.Log(), "libraries that verify") {
				t.Error("a line about discovery")
			}
		})
	}
}

// An issuer whose path is that of the sessions has a document below it.
func TestDiscovery_IsServedBelowThePathOfSessionsToo(t *testing.T) {
	t.Parallel()
	s, provider := newOAuth(t)
	issuer := sidecartest.Issuer + "/auth/sessions"
	s.Start(strings.Replace(provider.Site(s, sidecartest.Echo(t), "lifecycle\n\t\tdiscovery"), "issuer "+sidecartest.Issuer, "issuer "+issuer, 1))
	for _, path := range []string{"/.well-known/openid-configuration/auth/sessions", "/auth/sessions/.well-known/openid-configuration"} {
		if got := s.Get("GET", path); got.Text("issuer") != issuer {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
}

func TestOAuth_AClientThatIsNoMoreLosesItsSessions(t *testing.T) {
	t.Parallel()
	s, provider := newOAuth(t)
	site := provider.Site(s, sidecartest.Echo(t), oauthWords)
	s.Start(site)
	session := post(t, s, "", "/oauth/token", "grant_type", exchangeGrant, "client_id", "my-app", "subject_token", provider.Token("alice", nil), "subject_token_type", jwtType)
	sidecartest.WantStatus(t, session, 200)
	if err := s.Reload(strings.Replace(site, "client my-app", "client other-app", 1)); err != nil {
		t.Fatal(err)
	}
	got := post(t, s, "", "/oauth/token", "grant_type", "refresh_token", "client_id", "my-app", "refresh_token", session.Text("refresh_token"))
	if got.Status != 401 || got.Text("error") != "invalid_client" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	sidecartest.WantProblem(t, s.Refresh(session.Text("refresh_token")), 400, "invalid_grant")
}

// assertion is one of a client that authenticates by the keys of an IDP.
func assertion(t *testing.T, client *sidecartest.IDP, id string) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"iss": client.Issuer, "sub": client.Issuer, "aud": sidecartest.Issuer, "jti": id, "exp": time.Now().Add(10 * time.Minute).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	token, err := client.Key.Sign([]byte(`{"alg":"`+string(jose.ES256)+`","kid":"`+client.Key.ID()+`","typ":"JWT"}`), claims)
	if err != nil {
		t.Fatal(err)
	}
	sidecartest.Remember(token)
	return token
}

// revokeBy revokes no token, authenticated by an assertion.
func revokeBy(t *testing.T, s *sidecartest.Sidecar, assertion string) sidecartest.Answer {
	t.Helper()
	return post(t, s, "", "/oauth/revoke", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", assertion, "token", "x")
}

// A client that authenticates by keys of its own, from a file and from a server.
func TestOAuth_PrivateKeyJWT(t *testing.T) {
	t.Parallel()
	s, provider := newOAuth(t)
	robot, cron := sidecartest.NewIDP(t, "robot"), sidecartest.NewIDP(t, "cron")
	var asked atomic.Int64
	server := sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, robot.JWKS())
	})
	s.Write("cron.json", cron.JWKS())
	s.Start(provider.Site(s, sidecartest.Echo(t), "oauth {\n\t\t\tclient robot {\n\t\t\t\tjwks "+server+"/keys\n\t\t\t}\n\t\t\tclient cron {\n\t\t\t\tjwks DIR/cron.json\n\t\t\t}\n\t\t}"))
	for _, client := range []*sidecartest.IDP{robot, cron} {
		sidecartest.WantStatus(t, revokeBy(t, s, assertion(t, client, "1")), 200)
		sidecartest.WantStatus(t, revokeBy(t, s, assertion(t, client, "1")), 401)
		sidecartest.WantStatus(t, revokeBy(t, s, assertion(t, client, "2")), 200)
	}
	if asked.Load() != 1 {
		t.Errorf("the keys were fetched %d times", asked.Load())
	}
}

func TestOAuth_ASecretThatIsNoneRefusesTheConfiguration(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]string{"GATEWAY_SECRET=": "gives nothing", "GATEWAY_SECRET=short-and-sweet": "has 32 to 1024 bytes, and this one 15"} {
		s, provider := newOAuth(t)
		s.Env = []string{secret}
		said := s.StartRefused(provider.Site(s, sidecartest.Echo(t), oauthWords))
		sidecartest.WantIn(t, said, "oauth: client gateway: secret: ", want)
		if strings.Contains(said, "short-and-sweet") {
			t.Errorf("the secret is in\n%s", said)
		}
	}
}

// guess lets attempts fail, from the address that a proxy says, until one is limited.
func guess(t *testing.T, s *sidecartest.Sidecar, forwarded func(i int) string) (limitedAt int) {
	t.Helper()
	for i := range 40 {
		req, err := http.NewRequest("POST", s.URL+"/oauth/introspect", strings.NewReader("token=x"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("gateway", strings.Repeat("x", 32))
		req.Header.Set("X-Forwarded-For", forwarded(i))
		got, err := s.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status == 429 {
			return i
		}
		sidecartest.WantStatus(t, got, 401)
	}
	return -1
}

// The proxy adds the address that it sees; what is before it the client made up.
func TestOAuthLimit_AddressesThatAClientMadeUpAreWarnedOfAndStrictProxiesEndThem(t *testing.T) {
	t.Parallel()
	madeUp := func(i int) string { return fmt.Sprintf("203.0.113.%d, 192.0.2.7", i) }
	for strict, limited := range map[string]bool{"": false, "trusted_proxies_strict": true} {
		s, provider := newOAuth(t)
		s.Global = "\tservers {\n\t\ttrusted_proxies static 127.0.0.1\n\t\t" + strict + "\n\t}\n"
		s.Start(provider.Site(s, sidecartest.Echo(t), oauthWords))
		if at := guess(t, s, madeUp); (at > 0) != limited {
			t.Errorf("%q: limited at %d", strict, at)
		}
		if n := strings.Count(s.Log(), "write trusted_proxies_strict"); (n == 0) != limited || n > 1 {
			t.Errorf("%q: %d warnings", strict, n)
		}
		if limited {
			s.WaitLog("address limited", `"client_ip":"192.0.2.7"`, `"client_id":"gateway"`)
		}
	}
}

func TestOAuth_ReloadsMakeNoAssertionGoodAgainAndForgetNoFailures(t *testing.T) {
	t.Parallel()
	s, provider := newOAuth(t)
	words := strings.Replace(oauthWords, "client my-app", "client robot {\n\t\t\t\tjwks DIR/robot.json\n\t\t\t}\n\t\t\tclient my-app", 1)
	robot := sidecartest.NewIDP(t, "robot")
	s.Write("robot.json", robot.JWKS())
	site := provider.Site(s, sidecartest.Echo(t), words)
	s.Start(site)
	used := assertion(t, robot, "1")
	sidecartest.WantStatus(t, revokeBy(t, s, used), 200)
	reload := func(name string) {
		if err := s.Reload(strings.Replace(site, "lifecycle", "lifecycle\n\t\taccess_token {\n\t\t\tttl "+name+"\n\t\t}", 1)); err != nil {
			t.Fatal(err)
		}
	}
	reload("5m")
	sidecartest.WantStatus(t, revokeBy(t, s, used), 401)
	if at := guess(t, s, func(int) string { return "" }); at < 0 {
		t.Fatal("nothing is limited")
	}
	started := time.Now()
	reload("6m")
	if at := guess(t, s, func(int) string { return "" }); at < 0 || at > 2+int(time.Since(started)/(2*time.Second)) {
		t.Errorf("after a reload %d attempts may fail", at)
	}
}
