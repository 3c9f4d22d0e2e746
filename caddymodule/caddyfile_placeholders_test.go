package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule"
)

// lines are what stands in a block, by its first word: %s is where text goes.
type lines map[string][]string

// grammar is the directive, block by block. What the parser knows beside it fails the
// test: say here where its texts are.
var grammar = map[string]lines{
	"": {
		"issuer": {"issuer %s"}, "path": {"path %s"}, "health": {"health %s"}, "trust": {"trust %s {\naudience x\n}"},
		"allow":         {"allow scope %s", "allow claim %s x", "allow claim x %s", "allow expression `caller.x == \"%s\"`", "allow scope x from %s"},
		"shadow":        {"shadow allow scope %s", "shadow allow claim x %s", "shadow allow expression `caller.x == \"%s\"`"},
		"manage":        {"lifecycle\nmanage scope %s", "lifecycle\nmanage claim x %s", "lifecycle\nmanage expression `caller.x == \"%s\"`"},
		"report_client": {"report_client scope %s", "report_client claim x %s", "report_client expression `caller.x == \"%s\"`"},
		"protect":       {"protect user %s", "protect user root %s"}, "audit": {"audit file %s"}, "store": {"store pebble %s", "store pebble %s/db"}, "lifecycle": {"lifecycle"},
		"claims": {"claims %s", "claims groups %s"}, "discovery": {"discovery"}, "cors": {"cors %s"}, "openapi": {"openapi"},
	},
	"oauth": {"path": {"client a {\npublic\n}\npath /%s"}, "client": {"client %s {\npublic\n}"}},
	"oauth {\nclient a": {
		"public": {"public"}, "secret": {"secret %s", "secret {env.X} %s"}, "secret_sha256": {"secret_sha256 %s"}, "jwks": {"jwks %s"},
		"ca": {"jwks https://client.example.com/jwks.json\nca %s"}, "insecure_http": {"jwks http://client.example.com/jwks.json\ninsecure_http"},
	},
	"trust https://idp.example.com": {
		"jwks": {"jwks %s"}, "key": {"key %s"}, "secret": {"secret %s"}, "audience": {"audience %s", "audience x %s"},
		"algorithms": {"algorithms %s"}, "types": {"types %s"}, "leeway": {"leeway %s"}, "max_lifetime": {"max_lifetime %s"},
		"users": {"users", "users scope %s", "users claim %s x", "users claim x %s", "users expression `caller.x == \"%s\"`"},
		"only":  {"only scope %s", "only claim %s x", "only claim x %s", "only expression `caller.x == \"%s\"`"},
		"ca":    {"ca %s"}, "insecure_http": {"insecure_http"}, "jwks_token": {"jwks https://idp.example.com/jwks\njwks_token %s"},
		"issuers": {"issuers %s"}, "tenants": {"issuers https://idp.example.com/*/v2\ntenants %s"},
		"audience_claim": {"audience_claim %s"}, "user_claim": {"user_claim %s"}, "id_tokens": {"id_tokens", "id_tokens %s"}, "token_header": {"token_header %s"},
		"logout": {"logout %s", "logout x %s"}, "events": {"events {\naudience %s\n}", "events {\naudience x %s\n}"},
	},
	"trust https://idp.example.com {\nevents": {
		"audience": {"audience %s"}, "token": {"audience x\ntoken %s"},
		"session-revoked": {"audience x\nsession-revoked %s"}, "credential-change": {"audience x\ncredential-change %s"}, "account-disabled": {"audience x\naccount-disabled %s"},
		"account-purged": {"audience x\naccount-purged %s"}, "sessions-revoked": {"audience x\nsessions-revoked %s"},
	},
	"session":       {"ttl": {"ttl %s"}, "max_ttl": {"max_ttl %s"}, "idle": {"idle %s"}, "max_per_user": {"max_per_user %s"}},
	"impersonation": {"ttl": {"ttl %s"}, "max_ttl": {"max_ttl %s"}, "idle": {"idle %s"}, "require_reason": {"require_reason"}, "read_only": {"read_only"}, "deny": {"deny %s", "deny /x/%s"}},
	"refresh_token": {"grace": {"grace %s"}, "algorithm": {"algorithm %s"}, "key": {"key %s"}},
	"access_token":  {"ttl": {"ttl %s"}, "algorithm": {"algorithm %s"}, "key": {"key %s"}, "audience": {"audience %s"}},
	"signing_keys":  {"rotate": {"rotate %s"}},
	"claims groups": {"max_age": {"max_age %s"}},
	"identity": {
		"require": {"require"}, "optional": {"optional"}, "shadow": {"shadow"}, "exempt": {"require\nexempt %s", "require\nexempt /x/%s"},
		"header": {"header %s user_id", "header X-Auth-User %s"}, "accept": {"accept callers"}, "cookie": {"cookie %s"}, "login": {"require\nlogin /%s"},
		"assertion": {"assertion %s"}, "end_streams": {"end_streams"}, "path_headers": {"path_headers trusted"},
	},
	"browser": {
		"cookie": {"cookie %s"}, "link": {"link %s"}, "impersonate_on": {"impersonate_on %s"}, "console": {"console %s"}, "expire_cookies": {"expire_cookies %s", "expire_cookies x %s"}, "sign_out": {"sign_out %s", "sign_out /x/%s"},
		"sign_in": {"sign_in %s {\nclient_id x\n}"}, "banner": {"banner"},
	},
	"browser {\nsign_in https://idp.example.com": {
		"client_id": {"client_id %s"}, "client_secret": {"client_id x\nclient_secret %s"}, "scopes": {"client_id x\nscopes %s"},
	},
}

// base is a block that has all that is needed, by first words.
var base = map[string]string{
	"issuer": "issuer https://app.example.com", "trust": "trust https://idp.example.com {\naudience https://app.example.com/auth/sessions\n}", "allow": "allow self",
}

// blockWith puts a line into the directive, or into a block of it.
func blockWith(block, line string) string {
	word := line
	if block != "" {
		line = block + " {\n" + line + "\n}" + strings.Repeat("\n}", strings.Count(block, "{"))
		word = block
	}
	first, _, _ := strings.Cut(word, " ")
	rest := maps.Clone(base)
	if first != "allow" {
		delete(rest, first)
	}
	if strings.HasPrefix(block, "trust") && (!strings.Contains(line, "audience") || strings.Contains(line, "events {")) {
		line = strings.Replace(line, "{\n", "{\naudience x\n", 1)
	}
	if block == "impersonation" {
		line += "\nidentity"
	}
	if strings.HasPrefix(block, "browser") {
		line += "\nlifecycle\nidentity"
	}
	return "http://a.example.com {\nauth_sessions {\n" + strings.Join(slices.Sorted(maps.Values(rest)), "\n") + "\n" + line + "\n}\n}\n"
}

// Each word of the Caddyfile replaces placeholders when it is provisioned, or refuses them
// in its line with the mend.
func TestPlaceholders_EachWordOfTheCaddyfile(t *testing.T) {
	t.Setenv("PH_VALUE", "value")
	for block, words := range grammar {
		for word, examples := range words {
			for _, example := range examples {
				for at := range strings.Count(example, "%s") {
					line := strings.Replace(example, "%s", "{env.PH_VALUE}", at+1)
					t.Run(block+" "+line, func(t *testing.T) { wantNoPlaceholder(t, word, blockWith(block, line)) })
				}
			}
		}
	}
}

// wantNoPlaceholder expects that a Caddyfile is refused for its placeholder, or that this
// is replaced.
func wantNoPlaceholder(t *testing.T, word, text string) {
	t.Helper()
	config, _, err := adapt(text)
	if err != nil {
		mends := regexp.MustCompile(`\{\$NAME\}|\{env\.NAME\}`)
		if !mends.MatchString(err.Error()) || !strings.Contains(err.Error(), ", at Caddyfile:") {
			t.Errorf("refused without the mend: %v\n%s", err, text)
		}
		return
	}
	if !strings.Contains(string(config), "{env.PH_VALUE}") {
		t.Fatalf("the placeholder is gone before it is provisioned:\n%s", config)
	}
	h, store := new(caddymodule.Handler), new(caddymodule.PebbleStore)
	if err := caddy.StrictUnmarshalJSON(findHandlers(t, config)[0], h); err != nil {
		t.Fatal(err)
	}
	if h.StoreRaw != nil {
		if err := json.Unmarshal(h.StoreRaw, store); err != nil {
			t.Fatal(err)
		}
		if err := store.Provision(caddy.Context{}); err != nil {
			t.Error(err)
		}
		h.StoreRaw = nil
	}
	if err := h.Prepare(); err != nil && strings.Contains(err.Error(), "{") {
		t.Errorf("adapted, and then refused for a brace: %v", err)
	}
	if word == "secret" || word == "jwks_token" || word == "token" { // they stay until they are used
		h.Trust[0].Secret, h.Trust[0].JWKSToken = "", ""
		if h.Trust[0].Events != nil {
			h.Trust[0].Events.Token = ""
		}
		if h.OAuth != nil {
			h.OAuth.Clients[0].Secrets = nil
		}
	}
	if word == "client_secret" {
		h.Browser.SignIn.ClientSecret = ""
	}
	left, err := json.Marshal(struct {
		*caddymodule.Handler
		Store *caddymodule.PebbleStore
	}{h, store})
	if err != nil || strings.Contains(string(left), "{env.") {
		t.Errorf("%v: a placeholder stays: %s", err, left)
	}
}

// The grammar of this test is the parser's: a new word is here or fails it.
func TestPlaceholders_TheGrammarIsWhole(t *testing.T) {
	for block, words := range grammar {
		_, _, err := adapt(blockWith(block, "no_such_word"))
		_, list, ok := strings.Cut(fmt.Sprint(err), "known are ")
		if !ok {
			t.Fatalf("%s: %v", block, err)
		}
		list, _, _ = strings.Cut(list, ", at Caddyfile")
		for word := range strings.SplitSeq(list, ", ") {
			_, isBlock := grammar[word]
			if words[word] == nil && !isBlock {
				t.Errorf("%s: the word %s is new: say here where its texts are", block, word)
			}
		}
	}
	for _, kind := range []string{"allow", "shadow allow", "manage", "report_client"} {
		_, _, err := adapt(blockWith("", kind+" no_such_word"))
		_, list, _ := strings.Cut(fmt.Sprint(err), "known are ")
		list, _, _ = strings.Cut(list, ", at Caddyfile")
		for form := range strings.SplitSeq(list, ", ") {
			if form != "self" && !strings.Contains(strings.Join(grammar[""][strings.Fields(kind)[0]], "\n"), kind+" "+form) {
				t.Errorf("%s: the form %s is new: say here where its texts are", kind, form)
			}
		}
	}
}
