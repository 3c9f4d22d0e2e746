package caddymodule_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	why "authsidecar/caddymodule/cli/explain"
	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// An adviceCase is a token that is refused for a reason. What explain says to write makes it good,
// or it says why nothing can; either way it names what is wrong.
type adviceCase struct {
	reason bearer.Reason
	token  string
	words  string // of the trust block, beside its keys and audience
	names  string // what the advice or the detail names
	cured  bool   // by what it says to write
}

func adviceCases(t *testing.T, provider *sidecartest.IDP) []adviceCase {
	t.Helper()
	now := time.Now().Unix()
	with := func(claims map[string]any) string { return provider.Token("alice", claims) }
	signed := func(header, claims string) string {
		token, err := provider.Key.Sign([]byte(header), []byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	kid, claims := provider.Key.ID(), `{"iss":"https://idp.example.com","sub":"alice","aud":"`+sidecartest.Audience+`","exp":`+jsonOf(now+600)+`}`
	good := with(nil)
	other := sidecartest.NewIDP(t, "https://idp.example.com")
	return []adviceCase{
		// The first: when the others are through they may be good, on a slow machine.
		{bearer.ReasonNotYet, with(map[string]any{"nbf": now + 280}), "", "nbf", true},
		{bearer.ReasonIssuedLater, with(map[string]any{"iat": now + 280}), "", "iat", true},
		{bearer.ReasonTooLarge, good + strings.Repeat("A", 17000), "", "bytes", false},
		{bearer.ReasonForm, "opaque", "", "parts between dots: 1", false},
		{bearer.ReasonEncrypted, "a.b.c.d.e", "", "parts between dots: 5", false},
		{bearer.ReasonBase64, good[:len(good)-1] + "_", "", "", false},
		{bearer.ReasonHeader, signed(`{"alg":"ES256","alg":"ES256"}`, claims), "", "header is malformed", false},
		{bearer.ReasonHeaderMember, signed(`{"alg":"ES256","b64":false}`, claims), "", "b64 false", false},
		{bearer.ReasonCritical, signed(`{"alg":"ES256","crit":["x"]}`, claims), "", `crit ["x"]`, false},
		{bearer.ReasonNested, signed(`{"alg":"ES256","cty":"JWT"}`, claims), "", `cty "JWT"`, false},
		{bearer.ReasonAlgorithm, signed(`{"alg":"none"}`, claims), "", "ever accepted", false},
		{bearer.ReasonAlgorithm, signed(`{"alg":"ES256K"}`, claims), "", `alg "ES256K"`, false},
		{bearer.ReasonAlgorithm, signed(`{"alg":"EdDSA","kid":"`+kid+`"}`, claims), "", kid, false},
		{bearer.ReasonUnknownKey, other.Token("alice", nil), "", other.Key.ID(), false},
		{bearer.ReasonUnknownKey, rawHMACToken(`{"alg":"HS256"}`, claims), "", "HS256", true}, // signed with a secret that is not configured
		{bearer.ReasonAlgorithm, rawHMACToken(`{"alg":"HS256","kid":"`+kid+`"}`, claims), "", "HS256", true},
		{bearer.ReasonUnknownKey, good, "algorithms EdDSA", "ES256", true},
		{bearer.ReasonUnknownIssuer, with(map[string]any{"iss": nil}), "", "iss", false},
		{bearer.ReasonUnknownIssuer, with(map[string]any{"iss": "https://idp.example.com/"}), "", "another spelling of https://idp.example.com", true},
		{bearer.ReasonUnknownIssuer, with(map[string]any{"iss": "https://idp2.example.com"}), "", "trust", true},
		{bearer.ReasonUnknownIssuer, with(map[string]any{"iss": "https://idp2.example.com", "aud": nil, "client_id": "spa"}), "", "trust", true},
		{bearer.ReasonUnknownIssuer, with(map[string]any{"iss": "https://idp2.example.com\n}"}), "", "trust", false},
		{bearer.ReasonSignature, strings.Join(append(strings.Split(good, ".")[:2], strings.Split(other.Token("bob", nil), ".")[2]), "."), "", "", false},
		{bearer.ReasonClaims, signed(`{"alg":"ES256","kid":"`+kid+`"}`, `[]`), "", "JSON object", false},
		{bearer.ReasonClaims, with(map[string]any{"exp": "tomorrow"}), "", `exp as a number of seconds`, false},
		{bearer.ReasonClaims, with(map[string]any{"azp": 7}), "", `azp as text`, false},
		{bearer.ReasonType, signed(`{"alg":"ES256","kid":"`+kid+`","typ":"rt+jwt"}`, claims), "", "rt+jwt", false},
		{bearer.ReasonType, signed(`{"alg":"ES256","kid":"`+kid+`","typ":"application/okta-internal-at+jwt"}`, claims), "", "okta-internal", true},
		{bearer.ReasonType, signed(`{"alg":"ES256","kid":"`+kid+`"}`, claims), "types at+jwt", "none", true},
		{bearer.ReasonKind, with(map[string]any{"typ": "Refresh"}), "", `typ ("Refresh")`, false},
		{bearer.ReasonKind, with(map[string]any{"events": map[string]any{}}), "", "events", false},
		{bearer.ReasonIDToken, with(map[string]any{"token_use": "id"}), "", "token_use", true},
		{bearer.ReasonIDTokenAge, with(map[string]any{"typ": "ID", "iat": now - 7000}), "id_tokens", "issued 1h", true},
		{bearer.ReasonIDTokenAge, signed(`{"alg":"ES256","kid":"`+kid+`"}`, strings.Replace(claims, "}", `,"iat":`+jsonOf(now-7000)+`}`, 1)), "id_tokens", "not marked as an ID token", true}, // Dex
		{bearer.ReasonIDTokenAge, with(map[string]any{"typ": "ID", "iat": nil}), "id_tokens", "iat is nothing", false},
		{bearer.ReasonIDTokenAge, with(map[string]any{"typ": "ID", "iat": now - 90000}), "id_tokens", "iat", false},
		{bearer.ReasonBound, with(map[string]any{"cnf": map[string]any{"jkt": "x"}}), "", "cnf", false},
		{bearer.ReasonAudience, with(map[string]any{"aud": "spa"}), "", `"spa"`, true},
		{bearer.ReasonAudience, with(map[string]any{"aud": []any{"spa", 7}}), "", "spa", false},
		{bearer.ReasonAudience, with(map[string]any{"aud": "spa\n\t\t} #"}), "", "spa", false},
		{bearer.ReasonAudience, with(map[string]any{"aud": nil, "client_id": "spa"}), "", "client", true}, // Amazon Cognito
		{bearer.ReasonAudience, with(map[string]any{"aud": []any{}, "client_id": nil, "cid": "spa"}), "audience_claim client_id", "client", true},
		{bearer.ReasonAudience, with(map[string]any{"aud": nil, "client_id": "spa"}), `audience_claim "the \"client\""`, "client", true},
		{bearer.ReasonAudience, with(map[string]any{"aud": nil, "client_id": nil}), "", "aud is nothing", false},
		{bearer.ReasonAudience, with(map[string]any{"azp": "spa", "typ": "ID"}), "id_tokens", `"spa" (azp)`, true},
		{bearer.ReasonAudience, with(map[string]any{"aud": []any{sidecartest.Audience, "x"}, "typ": "ID"}), "id_tokens", "azp", false},
		{bearer.ReasonNoExpiry, with(map[string]any{"exp": nil}), "", "exp", false},
		{bearer.ReasonExpired, with(map[string]any{"exp": now - 3600}), "", "it expired 1h", false},
		{bearer.ReasonLifetime, with(map[string]any{"exp": now + 89*86400 + 43200}), "", "valid for another 89d1", true},
		{bearer.ReasonLifetime, with(map[string]any{"exp": now + 20*366*86400}), "", "10 years", false},
		{bearer.ReasonNotYet, with(map[string]any{"nbf": now + 3600}), "", "nbf", false},
		{bearer.ReasonSubject, with(map[string]any{"sub": nil, "oid": "690222be"}), "", `oid "690222be"`, true},
		{bearer.ReasonSubject, with(map[string]any{"sub": 4711}), "", "sub 4711", true},
		{bearer.ReasonSubject, with(map[string]any{"client_id": nil}), "user_claim uid", `uid is nothing`, true},
		{bearer.ReasonSubject, with(map[string]any{"sub": nil, "client_id": nil}), "", "sub is nothing", false},
		{bearer.ReasonUnverified, with(map[string]any{"email": "alice@example.com"}), "user_claim email", "email_verified is nothing", true},
		{bearer.ReasonOnly, with(map[string]any{"groups": []any{"guests"}}), "only scope x\nonly claim groups staff", `only claim groups staff, and its groups is ["guests"]`, false},
		{bearer.ReasonActor, with(map[string]any{"act": map[string]any{}}), "", "act", false},
	}
}

func rawHMACToken(header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString
	input := text([]byte(header)) + "." + text([]byte(claims))
	mac := hmac.New(sha256.New, []byte(sharedSecret))
	_, _ = mac.Write([]byte(input)) // a hash never fails
	return input + "." + text(mac.Sum(nil))
}

const sharedSecret = "the secret of a client, 32 bytes or more"

func TestExplain_EachAdviceWorksOrSaysWhyNothingCan(t *testing.T) {
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	t.Setenv("IDP_SECRET", sharedSecret)
	site := provider.Site(s, "http://localhost:1", "")
	s.Write("jwks.json", twoKeys(t, provider))
	missing := make(map[bearer.Reason]bool)
	for reason := range why.Mends {
		missing[reason] = true
	}
	delete(missing, bearer.ReasonSession) // of our own tokens alone
	for _, c := range adviceCases(t, provider) {
		delete(missing, c.reason)
		t.Run(string(c.reason)+" "+c.names, func(t *testing.T) {
			config := strings.Replace(site, "jwks DIR/jwks.json\n", "jwks DIR/jwks.json\n"+c.words+"\n", 1)
			run := func() explanation {
				file := s.Write("Caddyfile-"+string(c.reason), s.Render(config))
				_, e := explainHere(t, c.token, "--offline", "--config", file, "--adapter", "caddyfile")
				return e
			}
			e := run()
			if e.Reason != string(c.reason) {
				t.Fatalf("refused for %s: %+v", e.Reason, e.Checks)
			}
			said := e.advised(t, c.reason)
			if !strings.Contains(said.Detail+said.Mend, c.names) {
				t.Errorf("%q is not named in %q and %q", c.names, said.Detail, said.Mend)
			}
			for range 3 {
				lines := said.Lines
				if len(lines) == 0 {
					break
				}
				config = applied(config, lines)
				if e = run(); e.Outcome == "accepted" {
					break
				}
				said = e.advised(t, bearer.Reason(e.Reason))
			}
			if (e.Outcome == "accepted") != c.cured {
				t.Errorf("%s, want cured %v:\n%s\n%+v", e.Outcome, c.cured, config, e.Checks)
			}
		})
	}
	if len(missing) > 0 {
		t.Errorf("no token is refused for %v", missing)
	}
}

// oneCommand is held by the command that runs in this process: Caddy runs one in each.
var oneCommand sync.Mutex

// sessionsHere is Sidecar.Sessions in this process: the configuration, the modules and the command
// are the same, and of many calls none waits for a process.
func sessionsHere(stdin string, args ...string) sidecartest.Outcome {
	oneCommand.Lock()
	defer oneCommand.Unlock()
	var out, errs bytes.Buffer
	cmd := &cobra.Command{SilenceUsage: true}
	caddycmd.Commands()["auth-sessions"].CobraFunc(cmd)
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	err := cmd.Execute()
	return sidecartest.Outcome{Out: out.String(), Err: errs.String(), OK: err == nil}
}

// mustSessionsHere is Sidecar.MustSessions in this process.
func mustSessionsHere(t *testing.T, s *sidecartest.Sidecar, args ...string) string {
	t.Helper()
	got := sessionsHere("", append([]string{args[0], "--address", s.Admin}, args[1:]...)...)
	if !got.OK {
		t.Fatalf("%v: %+v", args, got)
	}
	return got.Out
}

// explainHere is explain in this process.
func explainHere(t *testing.T, token string, args ...string) (sidecartest.Outcome, explanation) {
	t.Helper()
	got := sessionsHere(token, append([]string{"explain", "--json"}, args...)...)
	return got, explained(t, got, token)
}

// twoKeys is a key set with the provider's key and one that it does not sign with.
func twoKeys(t *testing.T, provider *sidecartest.IDP) string {
	t.Helper()
	unused, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := unused.Public().PublicJWK()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(provider.JWKS(), `{"keys":[`, `{"keys":[`+string(jwk)+`,`, 1)
}

// advised is the check that refuses the token for that reason.
func (e *explanation) advised(t *testing.T, reason bearer.Reason) explainedCheck {
	t.Helper()
	for _, c := range e.Checks {
		if c.Reason == string(reason) {
			return c
		}
	}
	t.Fatalf("no check refuses it for %s: %+v", reason, e.Checks)
	return explainedCheck{}
}

// applied is a Caddyfile with the lines that were advised: a block of its own, or words of the
// trust block in place of those that it has.
func applied(config string, lines []string) string {
	before, rest, _ := strings.Cut(config, "trust ")
	block, after, _ := strings.Cut(rest, "}\n")
	if strings.HasPrefix(lines[0], "trust ") && len(lines) > 1 {
		lines = slices.Insert(slices.Clone(lines), 1, "jwks DIR/jwks.json", "users")
		after = strings.Replace(after, "allow scope sessions:impersonate", "allow scope sessions:impersonate from https://idp.example.com", 1)
		return before + strings.Join(lines, "\n") + "\ntrust " + block + "}\n" + after
	}
	kept := strings.Split(strings.TrimSpace(block), "\n")
	for _, line := range lines {
		word, value, _ := strings.Cut(line, " ")
		if word == "trust" {
			kept[0] = value + " {"
			continue
		}
		kept = slices.DeleteFunc(kept, func(have string) bool {
			return slices.Contains(strings.Fields(have), word) && strings.Fields(have)[0] == word
		})
		kept = append(kept, line)
	}
	return before + "trust " + strings.Join(kept, "\n") + "\n}\n" + after
}

// Nobody has to start a server to be told why keys cannot be had: the issuer is asked.
func TestExplain_EachAdviceOnKeysThatCannotBeHadWorks(t *testing.T) {
	t.Parallel()
	var document string
	var provider *sidecartest.IDP
	server := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/.well-known/openid-configuration" && document != "":
			_, _ = w.Write([]byte(document))
		case r.URL.Path == "/.well-known/jwks.json", r.URL.Path == "/guarded" && r.Header.Get("Authorization") == "Bearer jwks-token":
			_, _ = w.Write([]byte(provider.JWKS()))
		case r.URL.Path == "/guarded":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			http.NotFound(w, r)
		}
	})
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(provider.JWKS())) }))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // whoever does not believe it hangs up
	secure.StartTLS()
	t.Cleanup(secure.Close)
	provider = sidecartest.NewIDP(t, server)
	s := sidecartest.New(t)
	token := provider.Token("alice", nil)
	tests := []struct {
		name, document, jwks, says string
		change                     func(line string) string
	}{
		{name: "no discovery document", says: "it answers 404"},
		{name: "a document of another issuer", document: `{"issuer":"https://other.example.com","jwks_uri":"` + server + `/.well-known/jwks.json"}`, says: `"https://other.example.com"`},
		{name: "a server that asks who wants them", jwks: server + "/guarded", says: "bearer token", change: func(string) string { return "jwks_token {file." + s.Write("token", "jwks-token") + "}" }},
		{name: "a certificate that nobody knows", jwks: secure.URL, says: "certificate authority", change: func(string) string {
			return "ca " + s.Write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			document = test.document
			jwks := ""
			if test.jwks != "" {
				jwks = "jwks " + test.jwks + "\n"
			}
			config := strings.Replace(provider.Site(s, "http://localhost:1", ""), "jwks DIR/jwks.json\n", jwks, 1)
			run := func() explanation {
				_, e := explain(t, s, token, "--config", s.Write("Caddyfile", s.Render(config)))
				return e
			}
			e := run()
			said := e.Checks[3]
			if e.Outcome != "unknown" || len(said.Lines) != 1 || !strings.Contains(said.Mend, test.says) {
				t.Fatalf("%s: %+v", e.Outcome, said)
			}
			line := said.Lines[0]
			if test.change != nil {
				line = test.change(line)
				if word, _, _ := strings.Cut(said.Lines[0], " "); !strings.HasPrefix(line, word+" ") {
					t.Errorf("advised is %s", said.Lines[0])
				}
			}
			config = applied(config, []string{line})
			if e = run(); e.Outcome != "accepted" {
				t.Errorf("%s with %s: %+v", e.Outcome, line, e.Checks)
			}
		})
	}
}

// The token of one issuer is no other issuer's business.
func TestExplain_AsksTheIssuerOfTheTokenAlone(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	other := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.NotFound(w, r)
	})
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	config := strings.NewReplacer("\t\tallow self\n", "\t\ttrust "+other+" {\n\t\t\taudience x\n\t\t\tusers\n\t\t}\n\t\tallow self\n",
		"sessions:impersonate", "sessions:impersonate from https://idp.example.com").Replace(provider.Site(s, "http://localhost:1", ""))
	file := s.Write("Caddyfile", s.Render(config))
	if _, e := explain(t, s, provider.Token("alice", nil), "--config", file); e.Outcome != "accepted" || asked.Load() > 0 {
		t.Errorf("%s, asked %d times: %+v", e.Outcome, asked.Load(), e.Checks)
	}
	theirs := sidecartest.NewIDP(t, other)
	if _, e := explain(t, s, theirs.Token("alice", nil), "--config", file, "--offline"); e.Outcome == "accepted" || asked.Load() > 0 {
		t.Errorf("offline: %s, asked %d times", e.Outcome, asked.Load())
	}
	if _, e := explain(t, s, theirs.Token("alice", nil), "--config", file); e.Outcome == "accepted" || asked.Load() == 0 {
		t.Errorf("%s, asked %d times", e.Outcome, asked.Load())
	}
}

// An issuer that calls itself otherwise than the trust does is named as it does.
func TestExplain_NamesTheIssuerThatDiscoveryNames(t *testing.T) {
	t.Parallel()
	var provider *sidecartest.IDP
	server := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_, _ = w.Write([]byte(provider.JWKS()))
			return
		}
		base := "http://" + r.Host
		_, _ = w.Write([]byte(`{"issuer":"` + base + `/","jwks_uri":"` + base + `/keys"}`))
	})
	provider = sidecartest.NewIDP(t, server+"/")
	s := sidecartest.New(t)
	site := strings.Replace(provider.Site(s, "http://localhost:1", ""), "jwks DIR/jwks.json\n", "", 1)
	config := strings.Replace(site, "trust "+server+"/ {", "trust "+server+" {", 1)
	token := provider.Token("alice", nil)
	_, e := explain(t, s, token, "--config", s.Write("Caddyfile", s.Render(config)))
	said := e.advised(t, bearer.ReasonUnknownIssuer)
	if !slices.Equal(said.Lines, []string{"trust " + server + "/"}) {
		t.Fatalf("%+v", said)
	}
	if _, e = explain(t, s, token, "--config", s.Write("Caddyfile", s.Render(applied(config, said.Lines)))); e.Outcome != "accepted" {
		t.Errorf("%+v", e.Checks)
	}
}

func TestExplain_EnvFileIsReadAsCaddyReadsIt(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	config := strings.Replace(provider.Site(s, "http://localhost:1", ""), "jwks DIR/jwks.json", "secret {env.IDP_TEST_SECRET}", 1)
	file := s.Write("Caddyfile", s.Render(config))
	token := rawHMACToken(`{"alg":"HS256"}`, `{"iss":"https://idp.example.com","sub":"alice","aud":"`+sidecartest.Audience+`","exp":`+jsonOf(time.Now().Unix()+600)+`}`)
	if got := s.Sessions(token, "explain", "--offline", "--config", file); got.OK || !strings.Contains(got.Err, "IDP_TEST_SECRET") {
		t.Errorf("without: %+v", got)
	}
	text := "# the secret\n\nexport IDP_TEST_SECRET=\"" + sharedSecret + "\"\nA_TEST=b # c\nB_TEST='x\\'\ny'\nC_TEST=\n  D_TEST=a=b\n"
	env := s.Write("env", text)
	if _, e := explain(t, s, token, "--offline", "--config", file, "--envfile", env); e.Outcome != "accepted" {
		t.Errorf("%+v", e.Checks)
	}
	out, err := s.Command("environ", "--envfile", env).Output()
	if err != nil {
		t.Fatal(err)
	}
	// A test of the command holds that it reads these of the same file.
	for name, value := range map[string]string{"IDP_TEST_SECRET": sharedSecret, "A_TEST": "b", "B_TEST": "x'\ny", "C_TEST": "", "D_TEST": "a=b"} {
		if !strings.Contains(string(out), "\n"+name+"="+value+"\n") {
			t.Errorf("caddy itself has not %s=%q", name, value)
		}
	}
	for _, wrong := range []string{"A", "=x", "A B=x", "A= x"} {
		if got := s.Sessions(token, "explain", "--offline", "--config", file, "--envfile", s.Write("wrong", wrong)); got.OK || !strings.Contains(got.Err, "line 1 is not as NAME=value") {
			t.Errorf("%q: %+v", wrong, got)
		}
	}
	if got := s.Sessions(token, "explain", "--config", file, "--envfile", s.Dir+"/gone"); got.OK || !strings.Contains(got.Err, os.ErrNotExist.Error()) && !strings.Contains(got.Err, "no such file") {
		t.Errorf("%+v", got)
	}
}
