package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// wantSecret expects that nothing of a token is in a text that could be used again:
// neither it nor its signature nor its other parts.
func wantSecret(t testing.TB, got outcome, token string) {
	t.Helper()
	for _, part := range append(strings.Split(token, "."), token) {
		if len(part) > 8 && strings.Contains(got.out+got.err, part) {
			t.Errorf("a part of the token is in\n%s%s", got.out, got.err)
		}
	}
}

// An explanation is what --json prints.
type explanation struct {
	Issuer, Verdict, Reason string
	Checks                  []struct{ Check, Result, Reason, Detail, Mend string }
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

func (s *sidecar) explain(token string, args ...string) (outcome, explanation) {
	s.t.Helper()
	got := s.sessionsCommand(token, append([]string{"explain", "--json"}, args...)...)
	var e explanation
	if err := json.Unmarshal([]byte(got.out), &e); err != nil {
		s.t.Fatalf("%v in %+v", err, got)
	}
	wantSecret(s.t, got, token)
	return got, e
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
	provider, stranger := newIDP(t, "https://idp.example.com"), newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.write("Caddyfile", s.render(provider.site(s, echo(t).URL, "")))
	now := time.Now().Unix()
	good := provider.token("alice", nil)
	signed := func(header string) string {
		token, err := provider.key.Sign([]byte(header), []byte(`{"iss":"https://idp.example.com"}`))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	typed := func(typ string) string {
		claims := `{"iss":"https://idp.example.com","sub":"alice","aud":"` + audience + `","exp":` + jsonOf(now+600) + `}`
		token, err := provider.key.Sign([]byte(`{"alg":"ES256","kid":"`+provider.key.ID()+`","typ":"`+typ+`"}`), []byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	stolen := strings.Join(append(strings.Split(good, ".")[:2], strings.Split(provider.token("bob", nil), ".")[2]), ".")
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
		{"of another algorithm", signed(`{"alg":"EdDSA","kid":"` + provider.key.ID() + `"}`), "key algorithm"},
		{"of another issuer", provider.token("alice", map[string]any{"iss": "https://idp.example.com/"}), "issuer unknown_issuer"},
		{"claims that are none", signed2(t, provider, `[]`), "issuer claims"},
		{"of another key", stranger.token("alice", nil), "key unknown_key"},
		{"another's signature", stolen, "signature signature"},
		{"a refresh token", typed("rt+jwt"), "type type"},
		{"an ID token", provider.token("alice", map[string]any{"nonce": "x"}), "type id_token"},
		{"a bound one", provider.token("alice", map[string]any{"cnf": map[string]any{"jkt": "x"}}), "type bound"},
		{"for somebody else", provider.token("alice", map[string]any{"aud": "https://else.example.com"}), "audience audience"},
		{"without end", provider.token("alice", map[string]any{"exp": nil}), "times no_expiry"},
		{"over", provider.token("alice", map[string]any{"exp": now - 3600}), "times expired"},
		{"for too long", provider.token("alice", map[string]any{"exp": now + 90*86400}), "times lifetime"},
		{"not yet", provider.token("alice", map[string]any{"nbf": now + 3600}), "times not_yet"},
		{"issued in the future", provider.token("alice", map[string]any{"iat": now + 3600}), "times issued_later"},
		{"without subject", provider.token("alice", map[string]any{"sub": nil}), "subject subject"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, e := s.explain(test.token, "--config", s.dir+"/Caddyfile", "--offline")
			if e.refusing() != test.want || got.ok != (test.want == "") || (e.Verdict == "accepted") != got.ok {
				t.Errorf("refused by %q, want %q\n%s%s", e.refusing(), test.want, got.out, got.err)
			}
			for _, c := range e.Checks {
				if (c.Result == "refused") != (c.Mend != "") {
					t.Errorf("%s is %s, and the mend %q", c.Check, c.Result, c.Mend)
				}
			}
			if len(e.Checks) != 9 || test.want != "" && !strings.Contains(got.err, strings.Fields(test.want)[1]) {
				t.Errorf("%d checks, error %s", len(e.Checks), got.err)
			}
			table := s.sessionsCommand(test.token, "explain", "--config", s.dir+"/Caddyfile", "--offline")
			wantSecret(t, table, strings.TrimSpace(test.token))
			wantIn(t, table.out, "CHECK", "subject")
		})
	}
	s.kill()
}

func jsonOf(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}

func signed2(t *testing.T, provider *idp, claims string) string {
	t.Helper()
	token, err := provider.key.Sign([]byte(`{"alg":"ES256","kid":"`+provider.key.ID()+`"}`), []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// With a user, the rules are asked.
func TestExplain_TellsWhichRuleWouldHold(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.write("Caddyfile", s.render(provider.site(s, echo(t).URL, "allow claim dept support\n\t\tprotect user root\n\t\timpersonation {\n\t\t\trequire_reason\n\t\t}")))
	alice, desk := provider.token("alice", nil), provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
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
		{"a token with act", provider.token("carol", map[string]any{"act": map[string]any{"sub": "x"}}), []string{"--user", "carol"}, "", "acts for somebody else", ""},
		{"by a claim", provider.token("dora", map[string]any{"dept": "support"}), []string{"--user", "alice", "--reason", "x"}, "claim dept support", "", "claim dept support "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, e := s.explain(test.token, append(test.args, "--config", s.dir+"/Caddyfile", "--offline")...)
			if e.Session == nil || e.Session.Rule != test.rule || e.Session.Allowed != (test.rule != "") || got.ok != e.Session.Allowed || !strings.Contains(e.Session.Why, test.why) {
				t.Fatalf("%s%s", got.out, got.err)
			}
			holds := ""
			for _, rule := range e.Session.Rules {
				if rule.Holds {
					holds += rule.Rule + " "
				}
			}
			if holds != test.holds || len(e.Session.Rules) != 3 || (e.Session.Mend == "") != e.Session.Allowed {
				t.Errorf("%q hold, want %q: %+v", holds, test.holds, e.Session)
			}
			table := s.sessionsCommand(test.token, append([]string{"explain", "--config", s.dir + "/Caddyfile", "--offline"}, test.args...)...)
			wantIn(t, table.out, "RULE", "sessions:impersonate", map[bool]string{true: "Allowed by " + test.rule, false: "Denied: "}[e.Session.Allowed])
		})
	}
	if got := s.sessionsCommand(alice, "explain", "--user", " ", "--config", s.dir+"/Caddyfile"); got.ok || !strings.Contains(got.err, "--user is no user id") {
		t.Errorf("%+v", got)
	}
}

// Keys of a URL are the running server's, else those that were remembered; where there
// are none, nobody can tell, and it says so.
func TestExplain_KeysOfAURL(t *testing.T) {
	provider, stranger := newIDP(t, "https://idp.example.com"), newIDP(t, "https://idp.example.com")
	jwks := newServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(provider.jwks())) })
	s := newSidecar(t, t.TempDir())
	config := strings.Replace(provider.site(s, echo(t).URL, ""), "jwks DIR/jwks.json", "jwks "+jwks, 1)
	s.write("Caddyfile", s.render(config))
	good, file := provider.token("alice", nil), s.dir+"/Caddyfile"
	expired := provider.token("alice", map[string]any{"exp": 1})

	check := func(token, verdict, detail string, args ...string) {
		t.Helper()
		got, e := s.explain(token, append(args, "--config", file)...)
		if e.Verdict != verdict || !strings.Contains(e.Checks[3].Detail, detail) || got.ok != (verdict == "accepted") {
			t.Errorf("%s, want %s and %q\n%s%s", e.Verdict, verdict, detail, got.out, got.err)
		}
	}
	check(good, "unknown", "not at hand")
	check(expired, "refused", "not at hand") // whatever the keys are
	s.inForce(config)
	wantStatus(t, s.ask("POST", "keys/refresh"), 200)
	check(good, "accepted", "of the running server")
	check(stranger.token("alice", nil), "refused", "")
	if got := s.sessionsCommand(good, "explain", "--address", s.admin); !got.ok {
		t.Errorf("by the configuration of the server: %+v", got)
	}
	check(good, "accepted", "remembered", "--offline")
	s.stop()
	check(good, "accepted", "remembered")
	check(stranger.token("alice", nil), "unknown", "there may be newer ones")
}

// Our own access token is one of ours, and makes no sessions; our refresh token is
// none for calling.
func TestExplain_OurOwnTokens(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.inForce(provider.site(s, echo(t).URL, ""))
	session := create(t, s.url, provider.token("alice", nil), `{"user_id":"alice"}`)
	file := s.dir + "/Caddyfile"
	for _, offline := range []string{"--offline=false", "--offline=true"} {
		_, e := s.explain(session.text("access_token"), "--config", file, "--user", "alice", offline)
		if e.Verdict != "accepted" || e.Session == nil || !strings.Contains(e.Session.Why, "one of our own") {
			t.Errorf("%s: %+v", offline, e)
		}
	}
	if _, e := s.explain(session.text("refresh_token"), "--config", file); e.Verdict != "refused" || !strings.Contains(e.Checks[5].Mend, "current/refresh") {
		t.Errorf("%+v", e)
	}
}

func TestExplain_FindsTheBlock(t *testing.T) {
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	one := provider.site(s, echo(t).URL, "")
	two := strings.NewReplacer("SITE", "http://:"+freePort(t), "issuer https://app", "issuer https://other", "trust https://idp", "trust https://idp2").Replace(one)
	twin := strings.NewReplacer("SITE", "http://:"+freePort(t), "issuer https://app", "issuer https://twin").Replace(one)
	s.write("two", s.render(one+two))
	s.write("three", s.render(one+two+twin))
	s.write("none", s.render("SITE {\n\trespond ok\n}\n"))
	s.write("wrong", s.render(strings.Replace(one, "allow self", "", 1)))
	token := provider.token("alice", nil)
	run := func(args ...string) outcome {
		t.Helper()
		return s.sessionsCommand(token, append([]string{"explain", "--adapter", "caddyfile", "--offline"}, args...)...)
	}
	if got := run("--config", s.dir+"/two"); !got.ok {
		t.Errorf("one trusts it: %+v", got)
	}
	if got := run("--config", s.dir+"/three"); got.ok || !strings.Contains(got.err, "by --issuer which block the token is for: there are https://app.example.com, https://other.example.com, https://twin.example.com") {
		t.Errorf("two trust it: %+v", got)
	}
	if got := run("--config", s.dir+"/three", "--issuer", "https://twin.example.com"); !got.ok {
		t.Errorf("named: %+v", got)
	}
	if got := run("--config", s.dir+"/none"); got.ok || !strings.Contains(got.err, "no auth_sessions block") {
		t.Errorf("none: %+v", got)
	}
	if got := run("--config", s.dir+"/gone"); got.ok || !strings.Contains(got.err, "no such file") {
		t.Errorf("gone: %+v", got)
	}
	if got := s.sessionsCommand("", "explain", "--config", s.dir+"/two", "--adapter", "caddyfile"); got.ok || !strings.Contains(got.err, "standard input is empty") {
		t.Errorf("nothing: %+v", got)
	}
	if err := os.Remove(s.dir + "/jwks.json"); err != nil {
		t.Fatal(err)
	}
	if got := run("--config", s.dir+"/two"); got.ok || !strings.Contains(got.err, "jwks.json") {
		t.Errorf("without its key file: %+v", got)
	}
}
