package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// bareJSON is the least that a configuration needs.
const bareJSON = `{
	"issuer": "https://app.example.com",
	"trust": [{"issuer": "https://idp.example.com", "audience": ["https://app.example.com/auth/sessions"]}],
	"allow": [{"self": true}]
}`

// configOf reads the bare configuration with other members in it, strictly, and
// sets the defaults.
func configOf(t *testing.T, members string) *Block {
	t.Helper()
	var all, more map[string]json.RawMessage
	if err := json.Unmarshal([]byte(bareJSON), &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte("{"+members+"}"), &more); err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	maps.Copy(all, more)
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	h := new(Block)
	if err := caddy.StrictUnmarshalJSON(data, h); err != nil {
		t.Fatal(err)
	}
	h.setDefaults()
	return h
}

func TestDefaults(t *testing.T) {
	h := configOf(t, "")
	if err := h.Check(); err != nil {
		t.Fatalf("the least configuration: %v", err)
	}
	got, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"issuer":"https://app.example.com","path":"/auth/sessions",` +
		`"trust":[{"issuer":"https://idp.example.com","audience":["https://app.example.com/auth/sessions"],` +
		`"types":["at+jwt","JWT","none"],"leeway":30000000000,"max_lifetime":86400000000000,"users":true}],` +
		`"allow":[{"self":true}],` +
		`"session":{"ttl":2592000000000000,"max_ttl":31536000000000000,"idle":1209600000000000,"max_per_user":200},` +
		`"impersonation":{"ttl":3600000000000,"max_ttl":28800000000000,"idle":900000000000},` +
		`"refresh_token":{"grace":30000000000,"algorithm":"EdDSA"},` +
		`"access_token":{"ttl":600000000000,"algorithm":"ES256","audience":["https://app.example.com"]},` +
		`"signing_keys":{"rotate":2592000000000000},"store":{"engine":"pebble"}}`
	if string(got) != want {
		t.Errorf("defaults\n%s\nwant\n%s", got, want)
	}
}

// A default gives way to what is written: nobody has to write a second word for
// the sake of the first.
func TestDefaults_GiveWay(t *testing.T) {
	tests := []struct {
		members string
		shows   func(*Block) string
		want    string
	}{
		{`"access_token": {"ttl": "1m"}`, func(h *Block) string { return formatDuration(*h.RefreshToken.Grace) }, "15s"},
		{`"access_token": {"ttl": "1h"}`, func(h *Block) string { return formatDuration(h.Impersonation.Idle) }, "1h30m"},
		{`"session": {"max_ttl": "1h"}`, func(h *Block) string { return formatDuration(h.Session.TTL) }, "1h"},
		{`"impersonation": {"max_ttl": "10m"}`, func(h *Block) string { return formatDuration(h.Impersonation.TTL) }, "10m"},
		{`"refresh_token": {"grace": 0}`, func(h *Block) string { return formatDuration(*h.RefreshToken.Grace) }, "0s"},
		{`"signing_keys": {"rotate": 0}`, func(h *Block) string { return formatDuration(*h.SigningKeys.Rotate) }, "0s"},
		{`"session": {"max_per_user": 0}`, func(h *Block) string { return fmt.Sprint(*h.Session.MaxPerUser) }, "0"},
		{`"trust": [{"issuer": "a", "key": "a.pem", "audience": ["x"], "leeway": 0}]`, func(h *Block) string { return formatDuration(*h.Trust[0].Leeway) }, "0s"},
		{`"trust": [{"issuer": "a", "key": "a.pem", "audience": ["x"], "users": false}], "allow": [{"scope": "x"}]`, func(h *Block) string { return fmt.Sprint(*h.Trust[0].Users) }, "false"},
		{`"trust": [{"issuer": "a", "secret": "{env.A}", "audience": ["x"]}]`, func(h *Block) string { return fmt.Sprint(h.Trust[0].Algorithms) }, "[HS256]"},
		{`"trust": [{"issuer": "a", "key": "a.pem", "audience": ["x"]}, {"issuer": "b", "key": "b.pem", "audience": ["x"]}], "allow": [{"scope": "x", "from": "a"}]`, func(h *Block) string { return fmt.Sprint(*h.Trust[0].Users || *h.Trust[1].Users) }, "false"},
	}
	for _, tt := range tests {
		t.Run(tt.members, func(t *testing.T) {
			h := configOf(t, tt.members)
			if err := h.Check(); err != nil {
				t.Error(err)
			}
			if got := tt.shows(h); got != tt.want {
				t.Errorf("default %s, want %s", got, tt.want)
			}
		})
	}
}

// What a Caddyfile cannot say, JSON can, and it is refused as well.
func TestCheck_RefusesWhatOnlyJSONCanSay(t *testing.T) {
	trust := func(members string) string {
		return `"trust": [{"issuer": "https://idp.example.com", "audience": ["x"], ` + members + `}]`
	}
	signIn := func(members string) string {
		return `"lifecycle": true, "identity": {}, "browser": {"sign_in": {"issuer": "https://idp.example.com", "client_id": "app", ` + members + `}}`
	}
	tests := []struct{ name, members, at, want string }{
		{"no issuer", `"issuer": ""`, "issuer", "issuer is missing"},
		{"no trust", `"trust": null`, "trust", "no trust"},
		{"a trust that is null", `"trust": [null]`, "trust.0", "without an issuer"},
		{"a second trust that is null", `"trust": [{"issuer": "a", "key": "a.pem", "audience": ["x"]}, null]`, "trust.1", "without an issuer"},
		{"a trust without a name", `"trust": [{"issuer": "", "audience": ["x"]}]`, "trust.0", "without an issuer"},
		{"no rule", `"allow": []`, "allow", "no allow"},
		{"a rule that is null", `"allow": [null]`, "allow.0", "nothing"},
		{"a rule that says nothing", `"allow": [{}]`, "allow.0", "exactly one"},
		{"a rule of nothing but from", `"allow": [{"from": "https://idp.example.com"}]`, "allow.0", "exactly one"},
		{"a rule of two kinds", `"allow": [{"self": true, "scope": "x"}]`, "allow.0", "exactly one"},
		{"a claim without a name", `"allow": [{"claim": {"name": "", "value": "x"}}]`, "allow.0", "name of a claim"},
		{"a claim without a value", `"allow": [{"claim": {"name": "x", "value": ""}}]`, "allow.0", "value it must have"},
		{"nobody protected", `"protect": []`, "protect", "names nobody"},
		{"an empty name protected", `"protect": [""]`, "protect", "cannot be a user id"},
		{"no audience", trust(`"audience": []`), "trust.0.audience", "no audience"},
		{"L1: a client_secret that is there itself", signIn(`"client_secret": "hunter2"`), "browser.sign_in", "is the client_secret itself"},
		{"L1: a client_secret around a placeholder", signIn(`"client_secret": "x{env.A}"`), "browser.sign_in", "is the client_secret itself"},
		{"no scopes", signIn(`"scopes": []`), "browser.sign_in", "names nothing"},
		{"no algorithms", trust(`"algorithms": []`), "trust.0.algorithms", "names nothing"},
		{"no types", trust(`"types": []`), "trust.0.types", "names nothing"},
		{"V15: negative leeway", trust(`"leeway": -1`), "trust.0.leeway", "leeway is -1ns"},
		{"V15: negative lifetime", trust(`"max_lifetime": -1`), "trust.0.max_lifetime", "max_lifetime is -1ns"},
		{"V20: a short secret", trust(`"secret": "hunter2-hunter2-hunter2-hunter2"`), "trust.0.secret", "has 31 bytes"},
		{"L1: a secret around a placeholder", trust(`"secret": "hunter2-{env.A}"`), "trust.0.secret", "not one placeholder"},
		{"L1: a secret with braces", trust(`"secret": "hunter2-hunter2-hunter2-hunter2-}"`), "trust.0.secret", "not one placeholder"},
		{"V4: two sets of public keys", trust(`"jwks": "a.json", "key": "a.pem"`), "trust.0.key", "jwks and key"},
		{"V4: HMAC alone beside a key", trust(`"secret": "{env.A}", "key": "a.pem", "algorithms": ["HS256"]`), "trust.0.algorithms", "none for the public keys"},
		{"V17: an audience of anybody", trust(`"audience": ["x", "*"]`), "trust.0.audience", "issued for other apps"},
		{"no client of logouts", trust(`"logout": []`), "trust.0.logout", "names nothing"},
		{"a client of logouts twice", trust(`"logout": ["a", "a"]`), "trust.0.logout", "twice"},
		{"V17: logouts of anybody", trust(`"logout": ["*"]`), "trust.0.logout", "meant for other apps"},
		{"no audience of events", trust(`"events": {}`), "trust.0.events", "no audience"},
		{"an empty audience of events", trust(`"events": {"audience": [""]}`), "trust.0.events.audience", "empty value"},
		{"V17: events of anybody", trust(`"events": {"audience": ["*"]}`), "trust.0.events.audience", "meant for other apps"},
		{"L1: the token of events", trust(`"events": {"audience": ["x"], "token": "hunter2"}`), "trust.0.events.token", "token itself"},
		{"L1: a token of events around a placeholder", trust(`"events": {"audience": ["x"], "token": "x{env.A}"}`), "trust.0.events.token", "token itself"},
		{"an action of nobody", trust(`"events": {"audience": ["x"], "account-purged": "revoked"}`), "trust.0.events.account-purged", "known actions are revoke, revoke-impersonations, log"},
		{"no audience claims", trust(`"audience_claim": []`), "trust.0.audience_claim", "names nothing"},
		{"no further issuers", trust(`"issuers": []`), "trust.0.issuers", "names nothing"},
		{"no tenants", trust(`"issuers": ["https://a/*"], "tenants": []`), "trust.0.tenants", "names nothing"},
		{"ID tokens of a negative age", trust(`"id_tokens": -1`), "trust.0.id_tokens", "id_tokens is -1ns"},
		{"only nothing", trust(`"only": [null]`), "trust.0.only.0", "and nothing else"},
		{"only users themselves", trust(`"only": [{"self": true}]`), "trust.0.only.0", "and nothing else"},
		{"only from somebody", trust(`"only": [{"scope": "a", "from": "https://idp.example.com"}]`), "trust.0.only.0", "and nothing else"},
		{"only two things at once", trust(`"only": [{"scope": "a", "expression": "true"}]`), "trust.0.only.0", "exactly one"},
		{"users if there are none", trust(`"users": false, "users_if": {"scope": "a"}`), "trust.0.users", "remove one"},
		{"L1: a bearer token that stands here", trust(`"jwks": "https://a.example.com/", "jwks_token": "hunter2"`), "trust.0.jwks_token", "this is the jwks_token itself"},
		{"a bearer token for a file", trust(`"jwks": "a.json", "jwks_token": "{env.A}"`), "trust.0.jwks_token", "URL of jwks"},
		{"no clients", `"oauth": {"clients": []}`, "oauth", "no client"},
		{"a client that is null", `"oauth": {"clients": [null]}`, "client.0", "without a name"},
		{"a second client that is null", `"oauth": {"clients": [{"id": "a", "public": true}, null]}`, "client.1", "without a name"},
		{"a client without a name", `"oauth": {"clients": [{"id": "", "public": true}]}`, "client.0", "without a name"},
		{"a client that has the name of our issuer", `"oauth": {"clients": [{"id": "https://app.example.com", "public": true}]}`, "client.0", "name of an issuer"},
		{"a secret twice", `"oauth": {"clients": [{"id": "a", "secrets": ["{env.A}", "{env.B}", "{env.A}"]}]}`, "client.0.secret", "the same secret is given twice"},
		{"a client of no kind", `"oauth": {"clients": [{"id": "a", "secrets": []}]}`, "client.0", "neither public"},
		{"a client's short secret", `"oauth": {"clients": [{"id": "a", "secrets": ["hunter2-hunter2-hunter2-hunter2"]}]}`, "client.0.secret", "has 31 bytes"},
		{"L1: a client's secret around a placeholder", `"oauth": {"clients": [{"id": "a", "secrets": ["hunter2-{env.A}"]}]}`, "client.0.secret", "not one placeholder"},
		{"an empty hash", `"oauth": {"clients": [{"id": "a", "secret_sha256": [""]}]}`, "client.0.secret_sha256", "64 hexadecimal digits"},
		{"a negative life", `"session": {"ttl": -1}`, "session.ttl", "ttl is -1ns"},
		{"a negative maximum", `"impersonation": {"max_ttl": -1}`, "impersonation.ttl", "ttl is -1ns"},
		{"a negative idle", `"session": {"idle": "-1h"}`, "session.idle", "idle is -1h"},
		{"a negative number of sessions", `"session": {"max_per_user": -1}`, "session.max_per_user", "max_per_user is -1"},
		{"a negative grace", `"refresh_token": {"grace": -1}`, "refresh_token.grace", "grace is -1ns"},
		{"a negative access token", `"access_token": {"ttl": -1}`, "access_token.ttl", "ttl is -1ns"},
		{"an access token for nobody", `"access_token": {"audience": []}`, "access_token.audience", "names nothing"},
		{"a negative rotation", `"signing_keys": {"rotate": -1}`, "signing_keys.rotate", "rotate is -1ns"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := configOf(t, tt.members).Check()
			var f *fault
			if !errors.As(err, &f) {
				t.Fatalf("error %v, want a fault", err)
			}
			if f.at != tt.at || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("at %s: %v; want at %s, %q", f.at, err, tt.at, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the secret is in the error: %v", err)
			}
		})
	}
}

func TestCheck_AcceptsASecretOfFullLength(t *testing.T) {
	h := configOf(t, `"trust": [{"issuer": "a", "audience": ["x"], "secret": "`+strings.Repeat("x", 32)+`"}]`)
	if err := h.Check(); err != nil {
		t.Error(err)
	}
}

// Where no algorithms are named, a secret has its own, and the public keys beside it theirs.
func TestCheck_AcceptsASecretBesidePublicKeys(t *testing.T) {
	for _, keys := range []string{`"key": "a.pem"`, `"jwks": "https://idp.example.com/jwks.json"`} {
		h := configOf(t, `"trust": [{"issuer": "https://idp.example.com", "audience": ["x"], "secret": "{env.A}", `+keys+`}]`)
		if err := h.Check(); err != nil {
			t.Errorf("%s: %v", keys, err)
		}
	}
}

func TestJSON_UnknownNamesAreRefused(t *testing.T) {
	for _, members := range []string{`{"isuer": "x"}`, `{"trust": [{"isuer": "x"}]}`, `{"impersonation": {"readonly": true}}`, `{"lifecycle": {}}`} {
		if err := caddy.StrictUnmarshalJSON([]byte(members), new(Block)); err == nil {
			t.Errorf("%s: no error", members)
		}
	}
}
