package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// wantSecret expects that nothing of a token is in a text that could be used again:
// neither it nor its signature nor its other parts.
func wantSecret(t testing.TB, got sidecartest.Outcome, token string) {
	t.Helper()
	for _, part := range append(strings.Split(token, "."), token) {
		if len(part) > 8 && strings.Contains(got.Out+got.Err, part) {
			t.Errorf("a part of the token is in\n%s%s", got.Out, got.Err)
		}
	}
}

// An explanation is what --json prints.
type explanation struct {
	Issuer, Outcome, Reason string
	Trust, Section          string
	Checks                  []explainedCheck
	Session                 *struct {
		Allowed       bool
		Impersonation bool `json:"is_impersonation"`
		Rule          string
		Rules         []struct {
			Rule  string
			Holds bool
		}
		Why, Mend string
	}
}

type explainedCheck struct {
	Check, Result, Reason, Detail, Mend string
	Lines                               []string
}

func explain(t *testing.T, s *sidecartest.Sidecar, token string, args ...string) (sidecartest.Outcome, explanation) {
	t.Helper()
	got := s.Sessions(token, append([]string{"explain", "--json"}, args...)...)
	return got, explained(t, got, token)
}

func explained(t *testing.T, got sidecartest.Outcome, token string) (e explanation) {
	t.Helper()
	if err := json.Unmarshal([]byte(got.Out), &e); err != nil {
		t.Fatalf("%v in %+v", err, got)
	}
	wantSecret(t, got, token)
	return e
}

// refusing is the check that says no first, with its reason; "" where none does.
func (e *explanation) refusing() string {
	for _, c := range e.Checks {
		if c.Result == "refused" {
			return c.Check + " " + c.Reason
		}
	}
	return ""
}

// Offline, with the keys of a file, each check says what it refuses and how to mend it.
func TestExplain_TellsWhichCheckRefuses(t *testing.T) {
	t.Parallel()
	provider, stranger := sidecartest.NewIDP(t, "https://idp.example.com"), sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Write("Caddyfile", s.Render(provider.Site(s, sidecartest.Echo(t), "")))
	now := time.Now().Unix()
	good := provider.Token("alice", nil)
	signed := func(header string) string {
		token, err := provider.Key.Sign([]byte(header), []byte(`{"iss":"https://idp.example.com"}`))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	typed := func(typ string) string {
		claims := `{"iss":"https://idp.example.com","sub":"alice","aud":"` + sidecartest.Audience + `","exp":` + jsonOf(now+600) + `}`
		token, err := provider.Key.Sign([]byte(`{"alg":"ES256","kid":"`+provider.Key.ID()+`","typ":"`+typ+`"}`), []byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	stolen := strings.Join(append(strings.Split(good, ".")[:2], strings.Split(provider.Token("bob", nil), ".")[2]), ".")
	tests := []struct{ name, token, want string }{
		{"a good one", good, ""},
		{"with the scheme before it", "Bearer " + good + "\n", ""},
		{"of a header field", "Authorization: bearer " + good, ""},
		{"no token", "hello", "form form"},
		{"too large", strings.Repeat("a", 17000), "form too_large"},
		{"encrypted", "a.b.c.d.e", "form encrypted"},
		{"cut", good[:len(good)-1] + "_", "form base64"},
		{"a header that is none", "bm8" + good[strings.IndexByte(good, '.'):], "header header"},
		{"a payload as it stands", signed(`{"alg":"ES256","b64":false}`), "header header_member"},
		{"critical", signed(`{"alg":"ES256","crit":["x"]}`), "header critical"},
		{"of no algorithm", signed(`{"alg":"none"}`), "header algorithm"},
		{"nested", signed(`{"alg":"ES256","cty":"JWT"}`), "header nested"},
		{"of another algorithm", signed(`{"alg":"EdDSA","kid":"` + provider.Key.ID() + `"}`), "key algorithm"},
		{"of another issuer", provider.Token("alice", map[string]any{"iss": "https://idp.example.com/"}), "issuer unknown_issuer"},
		{"claims that are none", signWithoutType(t, provider, `[]`), "issuer claims"},
		{"of another key", stranger.Token("alice", nil), "key unknown_key"},
		{"another's signature", stolen, "signature signature"},
		{"a refresh token", typed("rt+jwt"), "type type"},
		{"an ID token", provider.Token("alice", map[string]any{"typ": "ID"}), "type id_token"},
		{"a bound one", provider.Token("alice", map[string]any{"cnf": map[string]any{"jkt": "x"}}), "type bound"},
		{"for somebody else", provider.Token("alice", map[string]any{"aud": "https://else.example.com"}), "audience audience"},
		{"without end", provider.Token("alice", map[string]any{"exp": nil}), "times no_expiry"},
		{"over", provider.Token("alice", map[string]any{"exp": now - 3600}), "times expired"},
		{"for too long", provider.Token("alice", map[string]any{"exp": now + 90*86400}), "times lifetime"},
		{"not yet", provider.Token("alice", map[string]any{"nbf": now + 3600}), "times not_yet"},
		{"issued in the future", provider.Token("alice", map[string]any{"iat": now + 3600}), "times issued_later"},
		{"without subject", provider.Token("alice", map[string]any{"sub": nil}), "subject subject"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, e := explainHere(t, test.token, "--config", s.Dir+"/Caddyfile", "--offline")
			if e.refusing() != test.want || got.OK != (test.want == "") || (e.Outcome == "accepted") != got.OK {
				t.Errorf("refused by %q, want %q\n%s%s", e.refusing(), test.want, got.Out, got.Err)
			}
			for _, c := range e.Checks {
				if (c.Result == "refused") != (c.Mend != "") {
					t.Errorf("%s is %s, and the mend %q", c.Check, c.Result, c.Mend)
				}
			}
			if len(e.Checks) != 9 || test.want != "" && !strings.Contains(got.Err, strings.Fields(test.want)[1]) {
				t.Errorf("%d checks, error %s", len(e.Checks), got.Err)
			}
			table := sessionsHere(test.token, "explain", "--config", s.Dir+"/Caddyfile", "--offline")
			wantSecret(t, table, strings.TrimSpace(test.token))
			sidecartest.WantIn(t, table.Out, "CHECK", "subject")
		})
	}
	// As a process it says and ends the same, and its log shows no more of the token.
	for _, token := range []string{good, stolen} {
		here, e := explainHere(t, token, "--config", s.Dir+"/Caddyfile", "--offline")
		got, same := explain(t, s, token, "--config", s.Dir+"/Caddyfile", "--offline")
		if same.refusing() != e.refusing() || got.OK != here.OK || got.OK != (token == good) || !strings.Contains(got.Err, strings.TrimSpace(here.Err)) {
			t.Errorf("%+v, in this process %+v", got, here)
		}
	}
}

func jsonOf(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}

func signWithoutType(t *testing.T, provider *sidecartest.IDP, claims string) string {
	t.Helper()
	token, err := provider.Key.Sign([]byte(`{"alg":"ES256","kid":"`+provider.Key.ID()+`"}`), []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// With a user, the rules are asked.
func TestExplain_TellsWhichRuleWouldHold(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Write("Caddyfile", s.Render(provider.Site(s, sidecartest.Echo(t), "allow claim dept support\n\t\tallow expression `client_id == \"console\" && caller.dept == \"ops\"`\n\t\tprotect user root\n\t\timpersonation {\n\t\t\trequire_reason\n\t\t}")))
	alice, desk := provider.Token("alice", nil), provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	ops, byClient := provider.Token("eve", map[string]any{"dept": "ops"}), `expression client_id == "console" && caller.dept == "ops"`
	tests := []struct {
		name, token string
		args        []string
		rule, why   string
		holds       string
	}{
		{"a user, himself", alice, []string{"--user", "alice"}, "self", "", "self "},
		{"a user, another", alice, []string{"--user", "bob", "--reason", "x"}, "", "no rule allows it", ""},
		{"the desk, a user", desk, []string{"--user", "alice", "--reason", "x"}, "scope sessions:impersonate", "", "scope sessions:impersonate "},
		{"the desk, without reason", desk, []string{"--user", "alice"}, "", "needs a reason", "scope sessions:impersonate "},
		{"the desk, root", desk, []string{"--user", "ROOT", "--reason", "x"}, "", "protected", "scope sessions:impersonate "},
		{"a token with act", provider.Token("carol", map[string]any{"act": map[string]any{"sub": "x"}}), []string{"--user", "carol"}, "", "acts for somebody else", ""},
		{"by a claim", provider.Token("dora", map[string]any{"dept": "support"}), []string{"--user", "alice", "--reason", "x"}, "claim dept support", "", "claim dept support "},
		{"by a client", ops, []string{"--user", "alice", "--reason", "x", "--client", "console"}, byClient, "", byClient + " "},
		{"by a client, without it", ops, []string{"--user", "alice", "--reason", "x"}, "", "no rule allows it", ""},
		{"another client, for no reason", desk, []string{"--user", "alice", "--reason", "x", "--client", "other"}, "", "another client requires a rule", "scope sessions:impersonate "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, e := explainHere(t, test.token, append(test.args, "--config", s.Dir+"/Caddyfile", "--offline")...)
			if e.Session == nil || e.Session.Rule != test.rule || e.Session.Allowed != (test.rule != "") || got.OK != e.Session.Allowed || !strings.Contains(e.Session.Why, test.why) {
				t.Fatalf("%s%s", got.Out, got.Err)
			}
			holds := ""
			for _, rule := range e.Session.Rules {
				if rule.Holds {
					holds += rule.Rule + " "
				}
			}
			if holds != test.holds || len(e.Session.Rules) != 4 || (e.Session.Mend == "") != e.Session.Allowed {
				t.Errorf("%q hold, want %q: %+v", holds, test.holds, e.Session)
			}
			table := sessionsHere(test.token, append([]string{"explain", "--config", s.Dir + "/Caddyfile", "--offline"}, test.args...)...)
			sidecartest.WantIn(t, table.Out, "RULE", "sessions:impersonate", map[bool]string{true: "Allowed by " + test.rule, false: "Denied: "}[e.Session.Allowed])
		})
	}
	if got := sessionsHere(alice, "explain", "--user", " ", "--config", s.Dir+"/Caddyfile"); got.OK || !strings.Contains(got.Err, "--user is not a user id") {
		t.Errorf("%+v", got)
	}
}

// Keys of a URL are the running server's, else those that the issuer gives, else those that were
// remembered; where there are none, nobody can tell, and it says so.
func TestExplain_KeysOfAURL(t *testing.T) {
	t.Parallel()
	provider, stranger := sidecartest.NewIDP(t, "https://idp.example.com"), sidecartest.NewIDP(t, "https://idp.example.com")
	var gone atomic.Bool
	jwks := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(provider.JWKS()))
	})
	s := sidecartest.New(t)
	config := strings.Replace(provider.Site(s, sidecartest.Echo(t), ""), "jwks DIR/jwks.json", "jwks "+jwks, 1)
	s.Write("Caddyfile", s.Render(config))
	good, file := provider.Token("alice", nil), s.Dir+"/Caddyfile"
	expired := provider.Token("alice", map[string]any{"exp": 1})

	check := func(token, outcome, detail string, args ...string) {
		t.Helper()
		got, e := explain(t, s, token, append(args, "--config", file)...)
		if e.Outcome != outcome || !strings.Contains(e.Checks[3].Detail, detail) || got.OK != (outcome == "accepted") {
			t.Errorf("%s, want %s and %q\n%s%s", e.Outcome, outcome, detail, got.Out, got.Err)
		}
	}
	check(good, "unknown", "not available", "--offline")
	check(expired, "refused", "not available", "--offline") // whatever the keys are
	check(good, "accepted", "of the issuer, got just now")
	s.Start(config)
	sidecartest.WantStatus(t, s.Ask("POST", "keys/refresh"), 200)
	check(good, "accepted", "of the running server")
	check(stranger.Token("alice", nil), "refused", "")
	if got := s.Sessions(good, "explain", "--address", s.Admin); !got.OK {
		t.Errorf("by the configuration of the server: %+v", got)
	}
	check(good, "accepted", "remembered", "--offline")
	s.Stop()
	check(good, "accepted", "remembered", "--offline")
	check(stranger.Token("alice", nil), "unknown", "there may be newer ones", "--offline")
	check(stranger.Token("alice", nil), "refused", "of the issuer, got just now")
	gone.Store(true)
	check(good, "accepted", "remembered")
}

// Our own access token is one of ours, and makes no sessions; our refresh token is
// none for calling.
func TestExplain_OurOwnTokens(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), ""))
	session := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
	file := s.Dir + "/Caddyfile"
	for _, offline := range []string{"--offline=false", "--offline=true"} {
		_, e := explain(t, s, session.Text("access_token"), "--config", file, "--user", "alice", offline)
		if e.Outcome != "accepted" || e.Session == nil || !strings.Contains(e.Session.Why, "one of our own") {
			t.Errorf("%s: %+v", offline, e)
		}
	}
	if _, e := explain(t, s, session.Text("refresh_token"), "--config", file); e.Outcome != "refused" || e.Reason != "type" || len(e.Checks) != 1 || !strings.Contains(e.Checks[0].Mend, "current/refresh") {
		t.Errorf("%+v", e)
	}
}

func TestExplain_FindsTheBlock(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	one := provider.Site(s, sidecartest.Echo(t), "")
	two := strings.NewReplacer("SITE", "http://:"+sidecartest.Port(t), "issuer https://app", "issuer https://other", "trust https://idp", "trust https://idp2").Replace(one)
	twin := strings.NewReplacer("SITE", "http://:"+sidecartest.Port(t), "issuer https://app", "issuer https://twin").Replace(one)
	s.Write("two", s.Render(one+two))
	s.Write("three", s.Render(one+two+twin))
	s.Write("none", s.Render("SITE {\n\trespond ok\n}\n"))
	s.Write("wrong", s.Render(strings.Replace(one, "allow self", "", 1)))
	token := provider.Token("alice", nil)
	run := func(args ...string) sidecartest.Outcome {
		t.Helper()
		return sessionsHere(token, append([]string{"explain", "--adapter", "caddyfile", "--offline"}, args...)...)
	}
	if got := run("--config", s.Dir+"/two"); !got.OK {
		t.Errorf("one trusts it: %+v", got)
	}
	if got := run("--config", s.Dir+"/three"); got.OK || !strings.Contains(got.Err, "name the block that the token is for with --issuer: there are https://app.example.com, https://other.example.com, https://twin.example.com") {
		t.Errorf("two trust it: %+v", got)
	}
	if got := run("--config", s.Dir+"/three", "--issuer", "https://twin.example.com"); !got.OK {
		t.Errorf("named: %+v", got)
	}
	if got := run("--config", s.Dir+"/none"); got.OK || !strings.Contains(got.Err, "no auth_sessions block") {
		t.Errorf("none: %+v", got)
	}
	if got := run("--config", s.Dir+"/gone"); got.OK || !strings.Contains(got.Err, "no such file") {
		t.Errorf("gone: %+v", got)
	}
	if got := sessionsHere("", "explain", "--config", s.Dir+"/two", "--adapter", "caddyfile"); got.OK || !strings.Contains(got.Err, "standard input is empty") {
		t.Errorf("nothing: %+v", got)
	}
	if err := os.Remove(s.Dir + "/jwks.json"); err != nil {
		t.Fatal(err)
	}
	if got := run("--config", s.Dir+"/two"); got.OK || !strings.Contains(got.Err, "jwks.json") {
		t.Errorf("without its key file: %+v", got)
	}
}

// Whoever has a token and no configuration is told which section of the page about issuers to
// read, and that nothing was checked.
func TestExplain_ShowsTheSectionOfABareToken(t *testing.T) {
	t.Parallel()
	s := sidecartest.New(t)
	for issuer, want := range map[string]string{
		"https://example.eu.auth0.com/": "section Auth0", "https://idp.example.com": "look through caddymodule/docs/issuers.md", "evil\n\x1b[31m": `"evil\n\x1b[31m"`,
	} {
		token := sidecartest.NewIDP(t, issuer).Token("alice", nil)
		got := sessionsHere(token, "explain", "--offline")
		wantSecret(t, got, token)
		if got.OK || !strings.Contains(got.Out, want) || !strings.Contains(got.Err, "nothing was checked") || !strings.Contains(got.Err, "--config") {
			t.Errorf("%s: %+v", issuer, got)
		}
	}
	if got := sessionsHere("no token", "explain", "--offline"); got.OK || !strings.Contains(got.Out, "is no JWT") {
		t.Errorf("no token: %+v", got)
	}
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	if got := s.Sessions(provider.Token("alice", nil), "explain", "--address", s.Admin); got.OK || !strings.Contains(got.Err, "no server answers at "+s.Admin) || !strings.Contains(got.Err, "by --address") {
		t.Errorf("no server: %+v", got)
	}
	file := s.Write("Caddyfile", s.Render(provider.Site(s, sidecartest.Echo(t), "")))
	token := sidecartest.NewIDP(t, "https://sso.example.com/realms/demo").Token("alice", nil)
	_, e := explain(t, s, token, "--offline", "--config", file, "--adapter", "caddyfile")
	if e.Reason != "unknown_issuer" || e.Section != "Keycloak" || e.Trust != "https://sso.example.com/realms/demo" {
		t.Errorf("another issuer: %+v", e)
	}
}
