package caddymodule_test

import (
	"fmt"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A chain is a site with two blocks, one behind the other: of app.example.com, and of
// other.example.com below /other.
type chain struct {
	*sidecar
	idp      *sidecartest.IDP
	own, imp sidecartest.Answer // alice's session in the first, and one of carol's for her
	bob, act sidecartest.Answer // the same for bob in the second
}

// newChain starts one, with more words in the first block and in the second. What comes
// through it says what placeholders and the matcher say.
func newChain(t *testing.T, first, second string) *chain {
	t.Helper()
	c := &chain{sidecar: newSidecar(t), idp: sidecartest.NewIDP(t, "https://idp.example.com")}
	site := c.idp.Site(c.Sidecar, sidecartest.Echo(t), "lifecycle\n\t\tMORE")
	before, block, _ := strings.Cut(site, "\tauth_sessions {")
	block, after, _ := strings.Cut("\tauth_sessions {"+block, "\treverse_proxy")
	other := strings.NewReplacer("issuer https://app.", "issuer https://other.", "lifecycle", "lifecycle\n\t\tpath /other/auth/sessions", "MORE", second)
	c.Start(before + "\tlog\n\troute {\n" + strings.Replace(block, "MORE", first, 1) + other.Replace(block) + `
		@imp impersonated
		request_header @imp X-Impersonated yes
		request_header X-Seen "{http.auth.user.id} {http.auth.user.session_id} {http.auth_sessions.user.actor} {http.auth_sessions.id}"
	}
	reverse_proxy` + after)
	session := func(base, caller, user string) sidecartest.Answer {
		got := c.CreateAt(c.URL+base, c.idp.Token(caller, map[string]any{"scope": "sessions:impersonate"}), fmt.Sprintf(`{"user_id":%q}`, user))
		sidecartest.WantStatus(t, got, 200)
		return got
	}
	c.own, c.imp = session("", "alice", "alice"), session("", "carol", "alice")
	c.bob, c.act = session("/other", "bob", "bob"), session("/other", "carol", "bob")
	return c
}

// wantWho wants headers, placeholders, matcher and access log to agree on whose request
// it was.
func (c *chain) wantWho(what string, got sidecartest.Answer, session sidecartest.Answer, user, actor string) {
	c.t.Helper()
	sidecartest.WantStatus(c.t, got, 200)
	id, impersonated := session.Text("session_id"), ""
	if actor != "" {
		impersonated = "yes"
	}
	wantTold(c.t, got, "X-Auth-User", user)
	wantTold(c.t, got, "X-Auth-Session", id)
	wantTold(c.t, got, "X-Auth-Actor", actor)
	wantTold(c.t, got, "X-Impersonated", impersonated)
	wantTold(c.t, got, "X-Seen", strings.TrimSpace(user+" "+id+" "+actor+" "+user))
	if id != "" {
		c.WaitLog(`"session_id":"` + id + `","session_user":"` + user + `"`)
	}
	if c.t.Failed() {
		c.t.Fatal(what)
	}
}

// What a block decided, no later one replaces or hides.
func TestSeveral_WhatABlockDecidedStays(t *testing.T) {
	t.Parallel()
	for name, words := range map[string][2]string{
		"as they are":                  {"identity", "identity"},
		"with headers of others":       {"identity", "identity {\n\t\t\theader X-Other-User user_id\n\t\t}"},
		"with cookies":                 {"identity {\n\t\t\tcookie a\n\t\t}", "identity {\n\t\t\tcookie b\n\t\t}"},
		"with the same cookie":         {"identity {\n\t\t\tcookie a\n\t\t}", "identity {\n\t\t\tcookie a\n\t\t}"},
		"the second a shadow":          {"identity", "identity {\n\t\t\tshadow\n\t\t}"},
		"the second with an assertion": {"identity", "identity {\n\t\t\tassertion\n\t\t}"},
		"the second exempt":            {"identity", "identity {\n\t\t\trequire\n\t\t\texempt /app\n\t\t}"},
		"the second without identity":  {"identity", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, words[0], words[1])
			forged := []string{"X-Auth-User", "root", "X-Auth-Actor", "root"}
			ask := func(authorization string) sidecartest.Answer {
				return c.through("GET", "/app", append(forged, "Authorization", authorization)...)
			}
			c.wantWho("an own session", ask(bearerOf(c.own)), c.own, "alice", "")
			c.wantWho("an impersonation", ask(bearerOf(c.imp)), c.imp, "alice", "carol")
			c.wantWho("nobody", c.through("GET", "/app", forged...), sidecartest.Answer{}, "", "")
		})
	}
}

// A block that knows whose request it is decides it where those before know nobody.
func TestSeveral_ALaterBlockDecidesWhatNobodyDid(t *testing.T) {
	c := newChain(t, "identity", "identity\n\t\timpersonation {\n\t\t\tdeny /billing/*\n\t\t}")
	c.wantWho("an own session", c.through("GET", "/app", "Authorization", bearerOf(c.bob), "X-Auth-Actor", "root"), c.bob, "bob", "")
	c.wantWho("an impersonation", c.through("POST", "/app", "Authorization", bearerOf(c.act)), c.act, "bob", "carol")
	sidecartest.WantStatus(t, c.through("GET", "/billing/x", "Authorization", bearerOf(c.act)), 403)
	sidecartest.WantStatus(t, c.through("GET", "/app", "Authorization", bearerOf(c.bob)+"x"), 401)
}

// Each impersonated request has its one line in the audit, by the block that decided.
func TestSeveral_OneLineInTheAudit(t *testing.T) {
	c := newChain(t, "identity", "identity")
	sidecartest.WantStatus(t, c.through("POST", "/first", "Authorization", bearerOf(c.imp)), 200)
	sidecartest.WantStatus(t, c.through("POST", "/second", "Authorization", bearerOf(c.act)), 200)
	c.WaitLog(`"path":"/second","status":200}`)
	lines := c.actLines()
	if len(lines) != 2 || lines[0]["session_id"] != c.imp.Text("session_id") || lines[1]["session_id"] != c.act.Text("session_id") || lines[1]["issuer"] != "https://other.example.com" {
		t.Errorf("lines %v", lines)
	}
}

// A later block that requires a token of its own is not content with another's.
func TestSeveral_EachRequiresItsOwn(t *testing.T) {
	c := newChain(t, "identity", "identity {\n\t\t\trequire\n\t\t}")
	for _, a := range []sidecartest.Answer{c.own, c.imp} {
		sidecartest.WantStatus(t, c.through("GET", "/app", "Authorization", bearerOf(a)), 401)
	}
	c.wantWho("of the second", c.through("GET", "/app", "Authorization", bearerOf(c.bob)), c.bob, "bob", "")
}

func TestSeveral_TwoIdentitiesAreRefused(t *testing.T) {
	c := newChain(t, "identity {\n\t\t\tcookie a\n\t\t}", "identity {\n\t\t\tcookie b\n\t\t}")
	cookies := func(a, b sidecartest.Answer) string {
		return "keep=1; a=" + a.Text("access_token") + "; b=" + b.Text("access_token")
	}
	for what, cookie := range map[string]string{
		"own sessions": cookies(c.own, c.bob), "an impersonation first": cookies(c.imp, c.bob), "an impersonation second": cookies(c.own, c.act), "of the same actor": cookies(c.imp, c.act),
	} {
		got := c.through("GET", "/app", "Cookie", cookie)
		if got.Status != 400 || !strings.Contains(got.Body, `"code":"two_identities"`) {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
	}
	c.WaitLog(`"session_decision":"denied:two_identities"`)
	c.WaitLog(`"msg":"session refused","issuer":"https://app.example.com","session_id":"` + c.own.Text("session_id"))
	c.wantWho("the first", c.through("GET", "/app", "Cookie", "a="+c.own.Text("access_token")), c.own, "alice", "")
	c.wantWho("the second", c.through("GET", "/app", "Cookie", "b="+c.bob.Text("access_token")), c.bob, "bob", "")

	// A bad token of the second's is refused as ever, and its refresh token goes nowhere.
	bad := c.bob.Text("access_token")[:len(c.bob.Text("access_token"))-4] + "AAAA"
	sidecartest.WantStatus(t, c.through("POST", "/app", "Cookie", "a="+c.own.Text("access_token")+"; b="+bad, "Sec-Fetch-Site", "same-origin"), 401)
	got := c.through("GET", "/app", "Authorization", bearerOf(c.own), "Cookie", "keep=1; r="+c.bob.Text("refresh_token"))
	c.wantWho("beside a refresh token of the second", got, c.own, "alice", "")
	wantTold(t, got, "Cookie", "keep=1")
}

// One person by the same token is one identity, however many blocks accept it.
func TestSeveral_TheSamePersonTwiceIsOne(t *testing.T) {
	c := newChain(t, "identity {\n\t\t\taccept callers\n\t\t}", "identity {\n\t\t\taccept callers\n\t\t\theader X-Other-User user_id\n\t\t}")
	got := c.through("GET", "/app", "Authorization", "Bearer "+c.idp.Token("alice", nil), "X-Other-User", "root")
	c.wantWho("alice", got, sidecartest.Answer{}, "alice", "")
	wantTold(t, got, "X-Other-User", "")
}

// The first, in shadow mode, sets no headers: those that a client sends are the second's to remove.
func TestSeveral_TheFirstAsAShadowKeepsNoForgedHeader(t *testing.T) {
	c := newChain(t, "identity {\n\t\t\tshadow\n\t\t}", "identity")
	for _, a := range []sidecartest.Answer{c.own, c.imp, {}} {
		got := c.through("GET", "/app", "Authorization", bearerOf(a), "X-Auth-User", "root", "X-Auth-Actor", "root")
		if strings.Contains(got.Body, "root") {
			t.Errorf("the app gets\n%s", got.Body)
		}
	}
}

// A block that is in the chain twice, as by an import, decides once.
func TestSeveral_TheSameBlockTwiceIsOne(t *testing.T) {
	t.Parallel()
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := p.Site(s.Sidecar, sidecartest.Echo(t), "lifecycle\n\t\tidentity {\n\t\t\tassertion\n\t\t}")
	before, block, _ := strings.Cut(site, "\tauth_sessions {")
	block, after, _ := strings.Cut("\tauth_sessions {"+block, "\treverse_proxy")
	s.Start(before + "\troute {\n" + block + block + "\t}\n\treverse_proxy" + after)
	imp := s.Create(p.Token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice"}`)
	got := s.through("POST", "/app", "Authorization", bearerOf(imp))
	sidecartest.WantStatus(t, got, 200)
	wantTold(t, got, "X-Auth-Actor", "carol")
	s.WaitLog(`"path":"/app","status":200}`)
	if lines := s.actLines(); len(lines) != 1 {
		t.Errorf("lines %v", lines)
	}
}
