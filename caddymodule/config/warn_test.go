package config

import (
	"slices"
	"strings"
	"testing"
)

// warningsOf returns the warnings of a configuration that nobody has to be warned of,
// with other members in it.
func warningsOf(t *testing.T, members string) []string {
	t.Helper()
	quiet := []string{
		`"issuer": "https://app.acme.dev"`,
		`"trust": [{"issuer": "https://idp.acme.dev", "audience": ["https://app.acme.dev/auth/sessions"]}]`,
	}
	for _, member := range quiet {
		name, _, _ := strings.Cut(member, " ")
		if strings.HasPrefix(members, name) || strings.Contains(members, ", "+name) {
			continue
		}
		if members != "" {
			member += ", "
		}
		members = member + members
	}
	h := configOf(t, members)
	if err := h.Check(); err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	return h.Warnings()
}

// Each warning names what will hurt, and how it is mended.
func TestWarnings(t *testing.T) {
	impersonation := func(rule string) string {
		return `"allow": [` + rule + `], "protect": ["root"], "impersonation": {"require_reason": true}`
	}
	trust := func(members string) string {
		return `"trust": [{"issuer": "https://idp.acme.dev", "audience": ["https://app.acme.dev/auth/sessions"], ` + members + `}]`
	}
	tests := []struct {
		name    string
		members string
		want    string // "" for no warning
	}{
		{"nothing", ``, ""},
		{"impersonation by the book", impersonation(`{"scope": "x"}`), ""},
		{"plain http", `"issuer": "http://app.acme.dev"`, "serve it by https"},
		{"plain http on this machine", `"issuer": "http://127.0.0.1:8080"`, ""},
		{"plain http on this machine by name", `"issuer": "http://localhost"`, ""},
		{"scripts that come by plain http", `"cors": ["https://spa.acme.dev", "http://old.acme.dev"]`, "cors http://old.acme.dev: plain http"},
		{"scripts of this machine", `"cors": ["https://spa.acme.dev", "http://localhost:5173"]`, ""},

		{"a secret", trust(`"secret": "{env.X}"`), "HMAC: whoever can verify these tokens can make them too"},
		{"a key file for HMAC", trust(`"key": "k.jwk", "algorithms": ["HS512"]`), "HMAC: whoever can verify these tokens can make them too"},
		{"public keys", trust(`"key": "k.jwk", "algorithms": ["ES256"]`), ""},

		{"the app's audience", `"trust": [{"issuer": "https://idp.acme.dev", "audience": ["https://app.acme.dev"]}]`, "ask the issuer for tokens with an audience of their own, such as https://app.acme.dev/auth/sessions"},
		{"one of the app's audiences", `"access_token": {"audience": ["a", "https://app.acme.dev/auth/sessions"]}`, "audience https://app.acme.dev/auth/sessions is that of the app's access tokens too"},
		{"other audiences", `"access_token": {"audience": ["https://api.acme.dev"]}`, ""},

		{"a file of the example", trust(`"jwks": ".example/idp.jwks.json"`), "keys of the example"},
		{"a file of the example, elsewhere", trust(`"key": "/srv/authsidecar/.example/idp.jwk"`), "keys of the example"},
		{"the example's issuer", `"trust": [{"issuer": "https://idp.example.com", "audience": ["x"]}]`, "name your identity provider, and its keys"},
		{"an issuer that nobody owns", `"trust": [{"issuer": "https://idp.test", "audience": ["x"]}]`, "keys of the example"},
		{"the example on this machine", `"issuer": "http://127.0.0.1:8080", "trust": [{"issuer": "https://idp.example.com", "jwks": ".example/idp.jwks.json", "audience": ["x"]}]`, ""},
		{"documentation", `"issuer": "https://app.example.com", "trust": [{"issuer": "https://idp.example.com", "audience": ["x"]}]`, ""},
		{"a name that only looks like it", `"trust": [{"issuer": "https://notexample.com", "audience": ["x"]}]`, ""},

		{"a long session", `"session": {"ttl": "91d"}`, "session: ttl is 91d"},
		{"a very long session", `"session": {"max_ttl": "366d"}`, "session: max_ttl is 366d"},
		{"a session that idles", `"session": {"idle": "31d"}`, "session: idle is 31d"},
		{"a long impersonation", `"impersonation": {"ttl": "9h", "max_ttl": "9h"}`, "impersonation: ttl is 9h"},
		{"a very long impersonation", `"impersonation": {"max_ttl": "25h"}`, "impersonation: max_ttl is 25h"},
		{"an impersonation that idles", `"impersonation": {"idle": "3h"}`, "impersonation: idle is 3h"},
		{"a long access token", `"access_token": {"ttl": "31m"}`, "access_token: ttl is 31m"},
		{"a long grace", `"refresh_token": {"grace": "61s"}`, "refresh_token: grace is 1m1s"},
		{"keys for half a year and a day", `"signing_keys": {"rotate": "181d"}`, "signing_keys: rotate is 181d"},
		{"keys for ever", `"signing_keys": {"rotate": 0}`, "a stolen key is good forever"},
		{"callers' tokens for days", trust(`"max_lifetime": "25h"`), "max_lifetime is 25h"},
		{"ID tokens for hours", trust(`"id_tokens": "61m"`), "id_tokens is 1h1m"},
		{"addresses that nobody verified", trust(`"user_claim": "email", "unverified": true`), "whoever can write another's address"},
		{"addresses that somebody verified", trust(`"user_claim": "email"`), ""},
		{"a name that people can change", trust(`"user_claim": "preferred_username"`), "whoever can change theirs"},
		{"such a name, nested", trust(`"user_claim": "/user/name"`), "whoever can change theirs"},
		{"addresses of several tenants", trust(`"user_claim": "email", "issuers": ["https://a/*"], "tenants": ["b", "c"], "users": true`), "each of them can give its users any address"},
		{"addresses of one tenant", trust(`"user_claim": "email", "issuers": ["https://a/*"], "tenants": ["b"], "users": true`), ""},
		{"plain http to the keys", trust(`"insecure_http": true, "jwks": "http://idp.internal/keys"`), "insecure_http: whoever is on the way"},
		{"tokens in a header of their own", trust(`"token_header": "cf-access-jwt-assertion"`), "format filter { request>headers>Cf-Access-Jwt-Assertion delete }"},
		{"a condition that never holds", trust(`"only": [{"claim": {"name": "iss", "value": "https://other"}}]`), "only claim iss https://other can never hold"},
		{"a condition that always holds", trust(`"only": [{"expression": "1 < 2"}]`), "only expression holds for everybody"},
		{"users whom nothing makes one", trust(`"users": true, "users_if": {"expression": "false"}`), "users expression can never hold"},

		{"a header that nothing fills", `"identity": {"headers": [{"name": "X-Auth-Groups", "field": "groups"}]}`, "header X-Auth-Groups groups is always empty"},
		{"a header of a nested claim that nothing fills", `"claims": {"names": ["groups"]}, "identity": {"headers": [{"name": "X-Auth-Roles", "field": "/realm_access/roles"}]}`, "keep it of the callers' tokens with: claims realm_access"},
		{"a header that is filled", `"claims": {"names": ["groups", "realm~access"]}, "identity": {"headers": [{"name": "X-Auth-User", "field": "user_id"}, {"name": "X-Auth-Groups", "field": "groups"}, {"name": "X-Auth-Roles", "field": "/realm~0access/roles"}, {"name": "X-Auth-Since", "field": "sid_iat"}]}`, ""},
		{"a header that callers' tokens fill", `"identity": {"accept_callers": true, "headers": [{"name": "X-Auth-Groups", "field": "groups"}]}`, ""},
		{"claims for long", `"claims": {"names": ["groups"], "max_age": "25h"}`, "claims: max_age is 25h"},

		{"all lives at their limit", trust(`"max_lifetime": "24h"`) + `, "session": {"ttl": "90d", "max_ttl": "365d", "idle": "30d"}, "impersonation": {"ttl": "8h", "max_ttl": "24h", "idle": "2h"}, "access_token": {"ttl": "30m"}, "refresh_token": {"grace": "1m"}, "signing_keys": {"rotate": "180d"}`, ""},

		{"impersonation without a reason", `"allow": [{"scope": "x"}], "protect": ["root"]`, "write impersonation { require_reason }"},
		{"impersonation of everybody", `"allow": [{"scope": "x"}], "impersonation": {"require_reason": true}`, "name who must not be impersonated, as in: protect user root admin-*"},
		{"nobody left to impersonate", `"allow": [{"scope": "x"}], "protect": ["*"], "impersonation": {"require_reason": true}`, "no allow but self can ever hold"},

		{"a CEL that is false", impersonation(`{"expression": "false"}`), "allow expression can never hold: `false` is always false"},
		{"a CEL that is false after a look", impersonation(`{"expression": "1 > 2 && caller.dept == \"x\""}`), "can never hold"},
		{"a CEL that is true", impersonation(`{"expression": "true || caller.dept == \"x\""}`), "holds for everybody who has a token"},
		{"a CEL that asks", impersonation(`{"expression": "caller.dept == \"x\" && 1 < 2"}`), ""},
		{"a claim iss of somebody else", impersonation(`{"claim": {"name": "iss", "value": "https://other"}}`), "the callers that it is for have iss https://idp.acme.dev"},
		{"another spelling of the claim iss", `"trust": [{"issuer": "https://idp.acme.dev", "issuers": ["idp.acme.dev"], "audience": ["x"]}], "allow": [{"claim": {"name": "iss", "value": "idp.acme.dev"}}], "protect": ["root"], "impersonation": {"require_reason": true}`, ""},
		{"the claim iss that they have", impersonation(`{"claim": {"name": "iss", "value": "https://idp.acme.dev"}}`), ""},
		{"a claim that is a time", impersonation(`{"claim": {"name": "exp", "value": "1700000000"}}`), "exp differs in each token"},
		{"a claim that is refused", impersonation(`{"claim": {"name": "cnf", "value": "x"}}`), "a token with cnf creates no sessions"},
		{"a pointer into one", impersonation(`{"claim": {"name": "/act/sub", "value": "x"}}`), "a token with act creates no sessions"},
		{"an ordinary claim", impersonation(`{"claim": {"name": "/realm/roles", "value": "x"}}`), ""},
		{"a shadow rule", `"shadow_allow": [{"expression": "1 == 2"}]`, "shadow allow expression can never hold"},
		{"a rule of managers", `"lifecycle": true, "manage": [{"claim": {"name": "jti", "value": "x"}}]`, "manage claim jti x can never hold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := warningsOf(t, tt.members)
			if tt.want == "" {
				if len(got) != 0 {
					t.Errorf("warned %q", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("warned %q, want one with %q", got, tt.want)
			}
		})
	}
}

// A header of a claim that looks like a field is likely to be that, misspelled.
func TestWarnings_OfFieldsThatAreMisspelled(t *testing.T) {
	for _, test := range []struct{ name, members, want string }{
		{"a field that is misspelled", `"identity": {"headers": [{"name": "X-Auth-Actor", "field": "actr"}]}`, "identity: header X-Auth-Actor actr: actr is taken for the name of a claim; did you mean actor?"},
		{"a claim that is kept", `"claims": {"names": ["userid"]}, "identity": {"headers": [{"name": "X-User", "field": "userid"}]}`, ""},
		{"a claim like no field", `"identity": {"accept_callers": true, "headers": [{"name": "X-Mail", "field": "email"}, {"name": "X-User", "field": "user_id"}]}`, ""},
	} {
		got := strings.Join(warningsOf(t, test.members), "\n")
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: warned %q, want %q", test.name, got, test.want)
		}
	}
}

// A host of browser that no site serves is warned of, with what to write.
func TestWarnHosts_NameTheHostThatIsMissing(t *testing.T) {
	h := configOf(t, `"issuer": "https://app.acme.dev", "lifecycle": true, "identity": {}, "browser": {"console": "https://console.acme.dev", "impersonate_on": "https://as.acme.dev:8443"}`)
	if got := h.CookieHosts(); !slices.Equal(got, []string{"app.acme.dev", "as.acme.dev", "console.acme.dev"}) {
		t.Errorf("hosts %q", got)
	}
	for served, want := range map[string][]string{
		"as.acme.dev console.acme.dev": nil,
		"as.acme.dev":                  {"browser: console https://console.acme.dev: no site"},
		"app.acme.dev":                 {"browser: console https://console.acme.dev: no site", "browser: impersonate_on https://as.acme.dev:8443: no site"},
	} {
		got := h.WarnHosts(func(host string) bool { return slices.Contains(strings.Fields(served), host) })
		if len(got) != len(want) {
			t.Fatalf("%s: %q", served, got)
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("%s: %q, want %q", served, got[i], want[i])
			}
		}
	}
	if got := configOf(t, "").WarnHosts(func(string) bool { return false }); got != nil {
		t.Errorf("without browser: %q", got)
	}
}

// What is known is proposed for what is nearly it, and nothing for what is not.
func TestNearest(t *testing.T) {
	known := []string{"issuer", "trust", "actor", "actor_issuer", "lifecycle"}
	for word, want := range map[string]string{"isuer": "issuer", "trsut": "", "actr": "actor", "lifecycel": "lifecycle", "lifetime": "", "": "", "actor": "actor"} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}
