package caddymodule_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// callersSite is a site whose trust has these words, and whose block those.
func callersSite(i *sidecartest.IDP, s *sidecar, app, trust, words string) string {
	site := i.Site(s.Sidecar, app, words)
	return strings.Replace(site, "audience "+sidecartest.Audience+"\n", trust+"\n", 1)
}

// Covers H4: what a browser sends by itself proves nobody's will.
func TestTokenHeader_CountsAsACookieAndIsNotForTheApp(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := func(words string) string {
		return callersSite(provider, s, sidecartest.Echo(t), "audience "+sidecartest.Audience+"\n\t\t\ttoken_header Cf-Access-Jwt-Assertion", words)
	}
	const name = "Cf-Access-Jwt-Assertion"
	alice := provider.Token("alice", nil)
	get := func(method, path string, header ...string) sidecartest.Answer {
		req, err := http.NewRequest(method, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header[header[i]] = []string{header[i+1]}
		}
		got, err := s.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	wantNone := func(got sidecartest.Answer) {
		t.Helper()
		if strings.Contains(got.Body, alice) || strings.Contains(strings.ToLower(got.Body), "cf-access") {
			t.Errorf("the app got the token:\n%s", got.Body)
		}
	}

	s.Start(site("lifecycle"))
	body := `{"user_id":"alice"}`
	sidecartest.WantStatus(t, s.Create(alice, body), 200)
	sidecartest.WantStatus(t, s.Create("", body, name, alice, "Sec-Fetch-Site", "same-origin"), 200)
	sidecartest.WantStatus(t, s.Create("", body, name, alice, "Origin", s.URL), 200)
	sidecartest.WantProblem(t, s.Create("", body, name, alice), 403, "cross_origin")
	sidecartest.WantProblem(t, s.Create("", body, name, alice, "Sec-Fetch-Site", "cross-site"), 403, "cross_origin")
	sidecartest.WantProblem(t, s.Create("", body, name, alice, "Sec-Fetch-Site", "same-site"), 403, "cross_origin")
	sidecartest.WantProblem(t, s.Create("", body, name, alice, "Origin", "https://evil.example.com"), 403, "cross_origin")
	sidecartest.WantProblem(t, s.Create("", body, name, alice[:len(alice)-4]+"AAAA", "Sec-Fetch-Site", "same-origin"), 401, "invalid_token")
	sidecartest.WantProblem(t, s.Create("", body, name, "Bearer "+alice, "Sec-Fetch-Site", "same-origin"), 400, "invalid_request")
	sidecartest.WantProblem(t, s.Create("", body, "X-Other", alice, "Sec-Fetch-Site", "same-origin"), 401, "missing_token")
	sidecartest.WantProblem(t, s.Create("x.y.z", body, name, alice, "Sec-Fetch-Site", "same-origin"), 401, "invalid_token") // Authorization is what is meant
	sidecartest.WantStatus(t, get("GET", "/auth/sessions", name, alice), 200)                                               // looking changes nothing
	sidecartest.WantProblem(t, get("DELETE", "/auth/sessions?user_id=alice", name, alice), 403, "cross_origin")
	wantNone(get("GET", "/page", name, alice))

	if err := s.Reload(site("identity {\n require\n accept callers\n }")); err != nil {
		t.Fatal(err)
	}
	told := get("GET", "/page", name, alice)
	sidecartest.WantStatus(t, told, 200)
	if !strings.Contains(told.Body, "X-Auth-User: alice") {
		t.Errorf("the app was told:\n%s", told.Body)
	}
	wantNone(told)
	sidecartest.WantStatus(t, get("POST", "/page", name, alice, "Sec-Fetch-Site", "same-origin"), 200)
	sidecartest.WantStatus(t, get("POST", "/page", name, alice), 403)
	sidecartest.WantStatus(t, get("POST", "/page", name, alice, "Sec-Fetch-Site", "cross-site"), 403)
	sidecartest.WantStatus(t, get("GET", "/page", name, "x.y.z"), 401)

	if err := s.Reload(site("identity")); err != nil {
		t.Fatal(err)
	}
	anonymous := get("GET", "/page", name, alice, "X-Auth-User", "root")
	sidecartest.WantStatus(t, anonymous, 200)
	if strings.Contains(anonymous.Body, "X-Auth-User") {
		t.Errorf("callers are not accepted, and the app was told:\n%s", anonymous.Body)
	}
	wantNone(anonymous)
}

func TestTenants_RulesAndUsersAreOfTheTenantThatIsNamed(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	const login = "https://login.example.com/"
	trust := "audience " + sidecartest.Audience + "\n\t\t\tissuers " + login + "*/v2.0 idp.example.com\n\t\t\ttenants home\n\t\t\tusers"
	site := strings.Replace(callersSite(provider, s, sidecartest.Echo(t), trust, ""), "allow scope sessions:impersonate", "allow claim roles admin from "+login+"home/v2.0", 1)
	s.Start(site)
	token := func(issuer, subject string, roles ...string) string {
		return provider.Token(subject, map[string]any{"iss": issuer, "roles": roles})
	}
	for issuer, want := range map[string]struct{ self, impersonate int }{
		login + "home/v2.0":       {200, 200},
		login + "foreign/v2.0":    {403, 403},
		"https://idp.example.com": {200, 403},
		"idp.example.com":         {200, 403},
		login + "home/v1.0":       {401, 401},
		login + "a/home/v2.0":     {401, 401},
	} {
		sidecartest.WantStatus(t, s.Create(token(issuer, "alice"), `{"user_id":"alice"}`), want.self)
		sidecartest.WantStatus(t, s.Create(token(issuer, "eve", "admin"), `{"user_id":"alice"}`), want.impersonate)
	}

	made := s.Create(token(login+"home/v2.0", "carol", "admin"), `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, made, 200)
	if act, _ := sidecartest.Part(t, made.Fields["access_token"].(string), 1)["act"].(map[string]any); act["iss"] != login+"home/v2.0" || act["sub"] != "carol" {
		t.Errorf("act is %v", act)
	}
}

func TestUserClaim_IsWhoThePolicyTheTokensAndTheListsKnow(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := callersSite(provider, s, sidecartest.Echo(t), "audience "+sidecartest.Audience+"\n\t\t\tuser_claim email", "lifecycle")
	s.Start(site)
	token := func(email string, claims map[string]any) string {
		all := map[string]any{"email": email, "email_verified": true}
		maps.Copy(all, claims)
		return provider.Token("auth0|"+email, all)
	}
	alice := token("alice@example.com", nil)
	sidecartest.WantStatus(t, s.Create(alice, `{"user_id":"alice@example.com"}`), 200)
	sidecartest.WantProblem(t, s.Create(alice, `{"user_id":"auth0|alice@example.com"}`), 403, "insufficient_scope")
	sidecartest.WantProblem(t, s.Create(token("alice@example.com", map[string]any{"email_verified": false}), `{"user_id":"alice@example.com"}`), 401, "invalid_token")
	sidecartest.WantProblem(t, s.Create(token("alice@example.com", map[string]any{"gty": "client-credentials"}), `{"user_id":"alice@example.com"}`), 403, "insufficient_scope")

	desk := token("carol@example.com", map[string]any{"scope": "sessions:impersonate"})
	made := s.Create(desk, `{"user_id":"alice@example.com"}`)
	sidecartest.WantStatus(t, made, 200)
	if act, _ := sidecartest.Part(t, made.Fields["access_token"].(string), 1)["act"].(map[string]any); act["sub"] != "carol@example.com" {
		t.Errorf("act is %v", act)
	}
	req, err := http.NewRequest("GET", s.URL+"/auth/sessions?actor=carol@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+desk)
	listed, err := s.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if items, _ := listed.Fields["items"].([]any); len(items) != 1 {
		t.Errorf("carol's are %s", listed.Body)
	}
}

func TestOnly_IsAskedOfEveryTokenAndAgainAtEachRefresh(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := func(only ...string) string {
		return callersSite(provider, s, sidecartest.Echo(t), "audience "+sidecartest.Audience+"\n\t\t\t"+strings.Join(only, "\n\t\t\t"), "lifecycle")
	}
	staff := "only expression `\"staff\" in caller.groups`"
	s.Start(site(staff))
	alice := provider.Token("alice", map[string]any{"groups": []string{"staff"}, "amr": "pwd"})
	sidecartest.WantProblem(t, s.Create(provider.Token("alice", map[string]any{"groups": []string{"guests"}}), `{"user_id":"alice"}`), 401, "invalid_token")
	sidecartest.WantProblem(t, s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`), 401, "invalid_token")
	refresh := func(token any) sidecartest.Answer {
		req, err := http.NewRequest("POST", s.URL+"/auth/sessions/current/refresh", strings.NewReader(`{"refresh_token":"`+token.(string)+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		got, err := s.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	made := s.Create(alice, `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, made, 200)
	made = refresh(made.Fields["refresh_token"])
	sidecartest.WantStatus(t, made, 200)
	if err := s.Reload(site(staff, "only claim amr mfa")); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantProblem(t, refresh(made.Fields["refresh_token"]), 400, "invalid_grant")
	sidecartest.WantProblem(t, s.Create(alice, `{"user_id":"alice"}`), 401, "invalid_token")
}

func TestIDTokens_BuySessionsWhileTheyAreFresh(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := func(words string) string {
		return callersSite(provider, s, sidecartest.Echo(t), "audience spa\n\t\t\t"+words, "")
	}
	id := func(age time.Duration, claims map[string]any) string {
		all := map[string]any{"aud": "spa", "azp": "spa", "typ": "ID", "client_id": nil, "iat": time.Now().Add(-age).Unix()}
		maps.Copy(all, claims)
		return provider.Token("alice", all)
	}
	const body = `{"user_id":"alice"}`
	s.Start(site("leeway 0s"))
	sidecartest.WantProblem(t, s.Create(id(0, nil), body), 401, "invalid_token")
	if err := s.Reload(site("leeway 0s\n\t\t\tid_tokens")); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, s.Create(id(0, nil), body), 200)
	sidecartest.WantStatus(t, s.Create(id(9*time.Minute, nil), body), 200)
	sidecartest.WantProblem(t, s.Create(id(11*time.Minute, nil), body), 401, "invalid_token")
	sidecartest.WantProblem(t, s.Create(id(0, map[string]any{"azp": "evil"}), body), 401, "invalid_token")
	sidecartest.WantProblem(t, s.Create(id(0, map[string]any{"typ": "Refresh"}), body), 401, "invalid_token")
	if err := s.Reload(site("leeway 0s\n\t\t\tid_tokens 1h")); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, s.Create(id(11*time.Minute, nil), body), 200)
}

// A key server of one's own: a certificate authority that nobody else believes, and a
// token that it asks for.
func TestKeys_OfAServerThatOnlyWeBelieve(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	var refused atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer jwks-token" {
			refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, provider.JWKS())
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // whoever does not believe it hangs up
	server.StartTLS()
	t.Cleanup(server.Close)
	s.Write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	s.Write("token", "jwks-token\n")
	site := func(words string) string {
		return strings.Replace(provider.Site(s.Sidecar, sidecartest.Echo(t), ""), "jwks DIR/jwks.json", "jwks "+server.URL+"/keys\n\t\t\t"+words, 1)
	}
	alice := provider.Token("alice", nil)
	s.Start(site("jwks_token {file.DIR/token}"))
	sidecartest.WantProblem(t, s.Create(alice, `{"user_id":"alice"}`), 503, "unavailable")
	if err := s.Reload(site("ca DIR/ca.pem")); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantProblem(t, s.Create(alice, `{"user_id":"alice"}`), 503, "unavailable")
	if err := s.Reload(site("ca DIR/ca.pem\n\t\t\tjwks_token {file.DIR/token}")); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, s.Create(alice, `{"user_id":"alice"}`), 200)
	if refused.Load() == 0 || strings.Contains(s.Log(), "jwks-token") {
		t.Errorf("%d requests were refused; the log is\n%s", refused.Load(), s.Log())
	}
	if err := os.WriteFile(s.Dir+"/ca.pem", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(site("ca DIR/ca.pem")); err == nil || !strings.Contains(err.Error(), "it contains no readable certificate") {
		t.Errorf("%v", err)
	}
}

// V4: an issuer that replaces its secret by keys has tokens of both.
func TestSecret_BesidePublicKeys(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Env = append(s.Env, "IDP_HMAC="+strings.Repeat("k", 32))
	s.Start(callersSite(provider, s, sidecartest.Echo(t), "audience "+sidecartest.Audience+"\n\t\t\tsecret {env.IDP_HMAC}", ""))
	alice := provider.Token("alice", nil)
	signed := func(secret string) string { return hmacToken(t, secret, sidecartest.Part(t, alice, 1)) }
	sidecartest.WantStatus(t, s.Create(alice, `{"user_id":"alice"}`), 200)
	sidecartest.WantStatus(t, s.Create(signed(strings.Repeat("k", 32)), `{"user_id":"alice"}`), 200)
	sidecartest.WantProblem(t, s.Create(signed(strings.Repeat("x", 32)), `{"user_id":"alice"}`), 401, "invalid_token")
	sidecartest.WantProblem(t, s.Create(signed(provider.JWKS()), `{"user_id":"alice"}`), 401, "invalid_token")
}

func hmacToken(t *testing.T, secret string, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	token := input + "." + b64(mac.Sum(nil))
	sidecartest.Remember(token)
	return token
}

// The groups of a user are told after a refresh too; those of whoever acts as them are not.
func TestClaims_OfAUsersOwnTokenReachTheApp(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), "lifecycle\n\t\tclaims groups email\n\t\tidentity {\n\t\t\theader X-Auth-User user_id\n\t\t\theader X-Auth-Groups groups\n\t\t}"))
	told := func(token any, header ...string) string {
		req, err := http.NewRequest("GET", s.URL+"/page", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token.(string))
		for i := 0; i+1 < len(header); i += 2 {
			req.Header[header[i]] = []string{header[i+1]}
		}
		got, err := s.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		sidecartest.WantStatus(t, got, 200)
		return got.Body
	}
	groups := map[string]any{"groups": []string{"staff", "on call"}, "scope": "sessions:impersonate"}
	made := s.Create(provider.Token("alice", groups), `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, made, 200)
	for range 2 {
		if got := told(made.Fields["access_token"], "X-Auth-Groups", "admin"); !strings.Contains(got, "X-Auth-Groups: staff,on%20call\r\n") || strings.Contains(got, "admin") {
			t.Errorf("the app was told:\n%s", got)
		}
		req, err := http.NewRequest("POST", s.URL+"/auth/sessions/current/refresh", strings.NewReader(`{"refresh_token":"`+made.Fields["refresh_token"].(string)+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if made, err = s.Do(req); err != nil {
			t.Fatal(err)
		}
		sidecartest.WantStatus(t, made, 200)
	}
	acting := s.Create(provider.Token("carol", groups), `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, acting, 200)
	if got := told(acting.Fields["access_token"], "X-Auth-Groups", "admin"); strings.Contains(got, "X-Auth-Groups") || !strings.Contains(got, "X-Auth-User: alice") {
		t.Errorf("carol's groups are alice's:\n%s", got)
	}
	huge := provider.Token("alice", map[string]any{"groups": []string{strings.Repeat("g", 5000)}})
	sidecartest.WantProblem(t, s.Create(huge, `{"user_id":"alice"}`), 400, "claims_too_large")
}
