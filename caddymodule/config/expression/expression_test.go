package expression

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
)

func mustCompile(t testing.TB, src string) *Compiled {
	t.Helper()
	e, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestV26_ExpressionHoldsOnlyWhenItIsTrue(t *testing.T) {
	in := &sessions.RuleInput{
		Caller: &sessions.Caller{Claims: sessions.Claims{
			"dept": "support", "level": int64(4), "ratio": 0.5, "admin": true, "none": nil,
			"o": map[string]any{"per": "read,impersonate"}, "email": "Alice@EXAMPLE.com", "sub": "auth0|64c1f0", "nested": []any{[]any{"a"}, []any{"b"}},
			"urn:zitadel:iam:org:project:roles": map[string]any{"support": map[string]any{"1654": "demo.zitadel.cloud"}},
			"roles":                             []any{"support", "sales"}, "realm_access": map[string]any{"roles": []any{"desk"}},
		}},
		UserID: "alice", Reason: "ticket 4711", ClientID: "desk",
	}
	tests := []struct {
		src  string
		want bool
	}{
		{`true`, true},
		{`false`, false},
		{`caller.dept == "support" && !user_id.startsWith("vip-")`, true},
		{`caller["dept"] == "support"`, true},
		{`caller.dept == "sales"`, false},
		{`user_id == "alice" && reason.startsWith("ticket ") && client_id == "desk"`, true},
		{`"sales" in caller.roles`, true},
		{`caller.roles.exists(r, r == "sales")`, true},
		{`caller.realm_access.roles.exists(r, r == "desk")`, true},
		{`caller.level >= 4`, true},
		{`caller.level > 3.5`, true},
		{`caller.ratio < 1`, true},
		{`caller.admin == true`, true},
		{`has(caller.admin) && !has(caller.absent)`, true},
		{`caller.none == null`, true},
		{`user_id.matches("^[a-z]+$")`, true},
		// Claims as issuers write them.
		{`caller.o.per.split(",").exists(p, p == "impersonate")`, true},
		{`"impersonate" in caller.o.per.split(",")`, true},
		{`"imperson" in caller.o.per.split(",")`, false},
		{`"support" in caller["urn:zitadel:iam:org:project:roles"]`, true},
		{`"admin" in caller["urn:zitadel:iam:org:project:roles"]`, false},
		{`"1654" in caller["urn:zitadel:iam:org:project:roles"].support`, true},
		{`sets.contains(caller.roles, ["sales"])`, true},
		{`sets.intersects(caller.roles, ["admin", "support"])`, true},
		{`sets.equivalent(caller.roles, ["sales", "support"])`, true},
		{`sets.intersects(caller.roles, ["admin"])`, false},
		{`caller.email.lowerAscii().endsWith("@example.com")`, true},
		{`caller.email.split("@")[1] == "EXAMPLE.com"`, true},
		{`caller.email.trim().replace(" ", "").indexOf("@") == 5`, true},
		{`caller.sub.substring(0, caller.sub.indexOf("|")) == "auth0"`, true},
		{`caller.nested.flatten().exists(r, r == "b")`, true},
		{`caller.roles.slice(0, 1) == ["support"]`, true},
		{`caller.roles.distinct().size() == 2 && caller.roles.join("+") == "support+sales"`, true},
		{`caller.o.per.split(",").exists(p, p == caller.absent)`, false},
		// What cannot be judged is a no.
		{`caller.absent == "x"`, false},
		{`caller.absent != "x"`, false},
		{`!(caller.absent == "x")`, false},
		{`caller.dept.deeper == "x"`, false},
		{`caller.dept > 3`, false},
		{`caller.dept + 1 == 2`, false},
		{`caller.roles[7] == "x"`, false},
		{`"x" in caller.level`, false},
		{`user_id.matches(caller.dept + "(")`, false},
		{`1 / 0 == 1`, false},
		// One side that cannot be judged does not change what the other says.
		{`caller.absent == "x" || user_id == "alice"`, true},
	}
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			if got := mustCompile(t, tt.src).Holds(in); got != tt.want {
				t.Errorf("holds: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestExpression_NoClaimsIsANo(t *testing.T) {
	in := &sessions.RuleInput{Caller: &sessions.Caller{}, UserID: "alice"}
	if mustCompile(t, `caller.dept == "support"`).Holds(in) {
		t.Error("holds without claims")
	}
}

func TestExpression_IsRefused(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"no expression", ``, "CEL"},
		{"syntax", `caller.dept ==`, "Syntax error"},
		{"unknown variable", `request.path == "/"`, "undeclared reference to 'request'"},
		{"unknown function", `user_id.rot13() == ""`, "undeclared reference to 'rot13'"},
		{"of the network", `isIP(user_id)`, "undeclared reference to 'isIP'"},
		{"an order that nobody counts", `caller.roles.sort() == ["a"]`, "sort has a cost"},
		{"an order by something", `caller.roles.sortBy(r, r.name)[0].name == "a"`, "sortBy has a cost"},
		{"an order turned round", `caller.roles.exists(r, r.reverse() == "a")`, "reverse has a cost"},
		{"more digits than anybody reads", `"%.1000f".format([1.5]) == ""`, "precision"},
		{"types that never match", `user_id == 3`, "no matching overload"},
		{"a claim of unknown type", `caller.admin`, "gives dyn and not bool"},
		{"text", `"yes"`, "gives string and not bool"},
		{"too long", `user_id == "` + strings.Repeat("x", celSize) + `"`, "size exceeds limit"},
		{"too deep", strings.Repeat("(", 400) + "true" + strings.Repeat(")", 400), "recursion"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Compile(tt.src)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestExpression_ClaimsItLooksAt(t *testing.T) {
	tests := []struct {
		src  string
		want []string
		all  bool
	}{
		{`user_id == "alice"`, nil, false},
		{`caller.dept == "x"`, []string{"dept"}, false},
		{`caller["dept"] == "x"`, []string{"dept"}, false},
		{`has(caller.dept)`, []string{"dept"}, false},
		{`"dept" in caller`, []string{"dept"}, false},
		{`.caller.dept == "x"`, []string{"dept"}, false},
		{`caller.b.c == "x" || caller.a == "y" && caller.b.d == "z"`, []string{"a", "b"}, false},
		{`caller.roles.exists(r, r == "x")`, []string{"roles"}, false},
		{`[1].exists(caller, caller == 1)`, nil, true},
		{`caller[user_id] == "x"`, nil, true},
		{`user_id in caller`, nil, true},
		{`caller.exists(name, name == "x")`, nil, true},
		{`size(caller) > 3`, nil, true},
		{`caller == {"a": 1}`, nil, true},
		{`[caller].exists(c, c.dept == "x")`, nil, true},
		{`dyn(caller).dept == "x"`, nil, true},
		{`{"a": caller}.a.dept == "x"`, nil, true},
		{`(user_id == "x" ? caller : {"dept": "y"}).dept == "x"`, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			names, all := mustCompile(t, tt.src).Claims()
			if all != tt.all || !all && !slices.Equal(names, tt.want) {
				t.Errorf("claims %v, all %v; want %v, %v", names, all, tt.want, tt.all)
			}
		})
	}
}

func hugeCaller() *sessions.RuleInput {
	roles := make([]any, 2400) // the most that a token of 16 KiB holds
	for i := range roles {
		roles[i] = fmt.Sprint(i)
	}
	return &sessions.RuleInput{Caller: &sessions.Caller{Claims: sessions.Claims{
		"roles": roles, "text": strings.Repeat("a", 6000), "pattern": strings.Repeat("(a|aa)*", 100) + "b", "format": "%.1000000000f",
	}}}
}

// A caller's own claims cannot make an expression burn time: it is given up, and
// that is a no.
func TestV22_ExpressionHasALimit(t *testing.T) {
	in := hugeCaller()
	for _, src := range []string{
		`caller.roles.all(a, caller.roles.all(b, a + b != "x"))`,
		`caller.roles.all(a, caller.roles.all(b, caller.roles.all(c, true)))`,
		`!caller.text.matches(caller.pattern)`,
		`caller.roles.map(a, caller.text + caller.text).size() == 2400`,
		`caller.roles.map(a, caller.text.replace("a", "aaaaaaaaaa")).size() == 2400`,
		`caller.text.replace("a", caller.text).size() > 0`,
		`caller.roles.map(a, caller.roles.join(",")).size() == 2400`,
		`caller.roles.map(a, caller.text.split("")).size() == 2400`,
		`caller.roles.map(a, caller.text.lowerAscii()).size() == 2400`,
		`sets.contains(caller.roles, caller.roles)`,
		`caller.roles.map(a, caller.roles.distinct()).size() == 2400`,
		`caller.roles.map(a, caller.roles.flatten()).size() == 2400`,
		`caller.roles.map(a, caller.roles.slice(0, 2400)).size() == 2400`,
		`caller.roles.map(a, caller.text.indexOf("b")).size() == 2400`,
		`caller.roles.map(a, caller.text.substring(1)).size() == 2400`,
		`lists.range(1000000000).size() > 0`,
		`lists.range(int(caller.roles[2000]) * 1000000).size() > 0`,
		`caller.format.format([1.5]).size() > 0`,
	} {
		start := time.Now()
		if mustCompile(t, src).Holds(in) {
			t.Errorf("%s: went through to the end", src)
		}
		t.Logf("%s: given up after %v", src, time.Since(start))
	}
	for _, src := range []string{`caller.roles.exists(r, r == "2399")`, `"2399" in caller.roles`, `sets.contains(caller.roles, ["2399"])`, `caller.text.lowerAscii().endsWith("a")`} {
		if !mustCompile(t, src).Holds(in) {
			t.Errorf("%s: a long claim cannot be searched", src)
		}
	}
}

func BenchmarkExpression(b *testing.B) {
	e := mustCompile(b, `caller.dept == "support" && !user_id.startsWith("vip-")`)
	in := &sessions.RuleInput{Caller: &sessions.Caller{Claims: sessions.Claims{"dept": "support"}}, UserID: "alice"}
	b.ReportAllocs()
	for b.Loop() {
		if !e.Holds(in) {
			b.Fatal("does not hold")
		}
	}
}

// Of whom a part of an expression that looks at the caller alone says no, it holds for no session.
func TestExpression_MayHoldForSomeSessionsOfACaller(t *testing.T) {
	t.Parallel()
	support, other, nobody := sessions.Claims{"dept": "support", "groups": []any{"a"}}, sessions.Claims{"dept": "sales", "groups": []any{"b"}}, sessions.Claims{}
	for src, want := range map[string][3]bool{
		`caller.dept == "support" && user_id.startsWith("eu-")`:        {true, false, false},
		`user_id != "x" && (caller.dept == "support" && reason != "")`: {true, false, false},
		`caller.dept == "support" || user_id.startsWith("eu-")`:        {true, true, true},
		`user_id.startsWith("eu-")`:                                    {true, true, true},
		`has(caller.dept) && client_id == caller.dept`:                 {true, true, false},
		`"a" in caller.groups && user_id != ""`:                        {true, false, false},
	} {
		e := mustCompile(t, src)
		for i, claims := range []sessions.Claims{support, other, nobody} {
			if got := e.MayHold(&sessions.Caller{Claims: claims}); got != want[i] || !e.PerSession() {
				t.Errorf("%s of %v: %v", src, claims, got)
			}
		}
	}
}

// A rule that is the same for everybody is found whatever else stands in it.
func TestConstant(t *testing.T) {
	for src, want := range map[string]struct{ value, constant bool }{
		`true`:                           {true, true},
		`1 > 2`:                          {false, true},
		`[1, 2].exists(x, x > 1)`:        {true, true},
		`caller.dept == "a" || true`:     {true, true},
		`false && user_id == "alice"`:    {false, true},
		`caller.dept == "a"`:             {},
		`has(caller.dept)`:               {},
		`user_id == user_id`:             {},
		`reason != "" && client_id > ""`: {},
		`1 / 0 == 1`:                     {},
		`no_such_variable`:               {},
		``:                               {},
	} {
		if value, constant := Constant(src); value != want.value || constant != want.constant {
			t.Errorf("%s: %v, %v", src, value, constant)
		}
	}
}
