package sessions

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const (
	idp     = "https://idp.example.com"
	ci      = "https://ci.example.com"
	service = "support-desk"
)

func user(sub string, scopes ...string) *Caller {
	return &Caller{
		Principal: Principal{Issuer: idp, Subject: sub}, User: true, Scopes: scopes,
		Claims: Claims{"sub": sub, "roles": []any{"staff", "support"}, "level": int64(3), "org": map[string]any{"teams": []any{"a", "b"}}},
	}
}

type brokenCondition struct{}

func (brokenCondition) Holds(*RuleInput) bool    { return false }
func (brokenCondition) Claims() ([]string, bool) { return nil, true }
func (brokenCondition) PerSession() bool         { return true }

func TestPolicy_WhoIsWho(t *testing.T) {
	scopeRule := Rule{Name: "scope impersonate", From: idp, When: HasScope("impersonate")}
	claim := func(name, value string) []Rule {
		return []Rule{{Name: "claim", From: idp, When: HasClaim{Name: name, Value: value}}}
	}
	foreign := &Caller{Principal: Principal{Issuer: ci, Subject: "alice"}, Scopes: []string{"impersonate"}}
	tests := []struct {
		name   string
		policy Policy
		caller *Caller
		user   string
		reason string
		want   error
		imp    bool
	}{
		{"the zero policy allows nothing", Policy{}, user("alice"), "alice", "", errNoRule, false},
		{"a user is himself", Policy{AllowSelf: true}, user("alice"), "alice", "", nil, false},
		{"ids are compared byte for byte", Policy{AllowSelf: true}, user("alice"), "Alice", "", errNoRule, false},
		{"self allows nobody else", Policy{AllowSelf: true}, user("alice"), "bob", "", errNoRule, false},
		{"the same subject of another issuer is another caller", Policy{AllowSelf: true}, foreign, "alice", "", errNoRule, false},
		{"a scope does not imply self, but may impersonate the same name", Policy{Allow: []Rule{scopeRule}}, user("alice", "impersonate"), "alice", "", nil, true},
		{"a scope lets impersonate", Policy{Allow: []Rule{scopeRule}}, user("carol", "impersonate"), "alice", "", nil, true},
		{"a longer scope is another scope", Policy{Allow: []Rule{scopeRule}}, user("carol", "impersonate2"), "alice", "", errNoRule, false},
		{"a scope means nothing from an issuer that no rule names", Policy{Allow: []Rule{scopeRule}}, foreign, "bob", "", errNoRule, false},
		{"a claim in an array", Policy{Allow: claim("roles", "support")}, user("carol"), "alice", "", nil, true},
		{"a claim that is a number", Policy{Allow: claim("level", "3")}, user("carol"), "alice", "", nil, true},
		{"a claim by JSON pointer", Policy{Allow: claim("/org/teams", "b")}, user("carol"), "alice", "", nil, true},
		{"a claim by JSON pointer into an array", Policy{Allow: claim("/org/teams/0", "a")}, user("carol"), "alice", "", nil, true},
		{"a pointer index with a leading zero is none", Policy{Allow: claim("/org/teams/00", "a")}, user("carol"), "alice", "", errNoRule, false},
		{"an absent claim is a no", Policy{Allow: claim("dept", "support")}, user("carol"), "alice", "", errNoRule, false},
		{"an object is no value", Policy{Allow: claim("org", "map[teams:[a b]]")}, user("carol"), "alice", "", errNoRule, false},
		{"a condition that cannot be evaluated is a no", Policy{Allow: []Rule{{From: idp, When: brokenCondition{}}}}, user("carol"), "alice", "", errNoRule, false},
		{"a protected user is never impersonated", Policy{Allow: []Rule{scopeRule}, Protect: []string{"root"}}, user("carol", "impersonate"), "root", "", errProtected, false},
		{"protection sees through case", Policy{Allow: []Rule{scopeRule}, Protect: []string{"root"}}, user("carol", "impersonate"), "ROOT", "", errProtected, false},
		{"protection sees through full width letters", Policy{Allow: []Rule{scopeRule}, Protect: []string{"root"}}, user("carol", "impersonate"), "ｒｏｏｔ", "", errProtected, false},
		{"protection sees through the long s", Policy{Allow: []Rule{scopeRule}, Protect: []string{"sys"}}, user("carol", "impersonate"), "ſyſ", "", errProtected, false},
		{"a pattern protects", Policy{Allow: []Rule{scopeRule}, Protect: []string{"admin-*"}}, user("carol", "impersonate"), "Admin-1", "", errProtected, false},
		{"a protected user is still himself", Policy{AllowSelf: true, Protect: []string{"root"}}, user("root"), "root", "", nil, false},
		{"a reason is asked for", Policy{Allow: []Rule{scopeRule}, RequireReason: true}, user("carol", "impersonate"), "alice", "", ErrReasonRequired, false},
		{"blanks are no reason", Policy{Allow: []Rule{scopeRule}, RequireReason: true}, user("carol", "impersonate"), "alice", " \u00a0\u2003", ErrReasonRequired, false},
		{"with a reason", Policy{Allow: []Rule{scopeRule}, RequireReason: true}, user("carol", "impersonate"), "alice", "ticket", nil, true},
		{"who may not, is not asked for a reason", Policy{Allow: []Rule{scopeRule}, RequireReason: true}, user("carol"), "alice", "", errNoRule, false},
		{"oneself needs no reason", Policy{AllowSelf: true, RequireReason: true}, user("alice"), "alice", "", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.policy.Decide(&RuleInput{Caller: tt.caller, UserID: tt.user, Reason: tt.reason})
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if tt.want != nil && !errors.Is(tt.want, ErrReasonRequired) && !errors.Is(err, ErrDenied) {
				t.Errorf("%v is not ErrDenied", err)
			}
			if got.Impersonation != tt.imp {
				t.Errorf("impersonation %v, want %v", got.Impersonation, tt.imp)
			}
		})
	}
}

func TestV25_NeitherServicesNorActorsNorOurTokensAreUsers(t *testing.T) {
	everything := Policy{AllowSelf: true, Allow: []Rule{{From: idp, When: HasScope("impersonate")}}}
	change := func(f func(*Caller)) *Caller {
		c := user("alice", "impersonate")
		f(c)
		return c
	}
	tests := []struct {
		name   string
		caller *Caller
		user   string
		want   error
	}{
		{"our own token", change(func(c *Caller) { c.Own = true }), "alice", errCallerOwn},
		{"a token that acts for its subject", change(func(c *Caller) { c.Acting = true }), "alice", errCallerActing},
		{"a token that acts, for another user", change(func(c *Caller) { c.Acting = true }), "bob", errCallerActing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := everything.Decide(&RuleInput{Caller: tt.caller, UserID: tt.user}); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	for name, claims := range map[string]Claims{"client_id": {"client_id": "alice"}, "azp": {"azp": "alice", "client_id": "x"}} {
		t.Run("a service named like a user by "+name, func(t *testing.T) {
			p := Policy{AllowSelf: true}
			caller := &Caller{Principal: Principal{idp, "alice"}, User: true, Claims: claims}
			if _, err := p.Decide(&RuleInput{Caller: caller, UserID: "alice"}); !errors.Is(err, errNoRule) {
				t.Errorf("error %v, want %v", err, errNoRule)
			}
		})
	}
}

func TestPolicy_KeepsOnlyTheClaimsThatRulesLookAt(t *testing.T) {
	p := Policy{Allow: []Rule{
		{From: idp, When: HasClaim{Name: "/org/teams", Value: "b"}},
		{From: ci, When: brokenCondition{}},
	}}
	var row Session
	p.record(&row, user("carol"))
	if len(row.ActorClaims) != 1 || row.ActorClaims["org"] == nil || len(row.ActorAbsent) != 0 || row.ActorWhole {
		t.Errorf("kept %+v, want org alone", row)
	}
	p.Allow = append(p.Allow, Rule{From: idp, When: HasScope("x")}, Rule{From: idp, When: HasScope("y")})
	p.record(&row, user("carol"))
	if len(row.ActorClaims) != 1 || !slices.Equal(row.ActorAbsent, scopeClaims) || row.ActorWhole {
		t.Errorf("kept %+v, want that there is no scope", row)
	}
	p.Allow = append(p.Allow, Rule{From: idp, When: brokenCondition{}})
	p.record(&row, user("carol"))
	if len(row.ActorClaims) != 4 || len(row.ActorAbsent) != 0 || !row.ActorWhole {
		t.Errorf("kept %+v, want all", row)
	}
}

func TestPolicy_KeepsTheClaimsThatFurtherConditionsLookAt(t *testing.T) {
	p := Policy{Allow: []Rule{{From: idp, When: HasClaim{Name: "/org/teams", Value: "b"}}}}
	further := make([]Condition, 2, 4)
	further[0], further[1] = HasClaim{Name: "email", Value: "x"}, HasClaim{Name: "mfa", Value: "true"}
	var row Session
	p.record(&row, &Caller{Principal: Principal{Issuer: idp}, Claims: Claims{"org": "o", "email": "e", "sub": "s"}}, further...)
	if len(row.ActorClaims) != 2 || row.ActorClaims["email"] != any("e") || !slices.Equal(row.ActorAbsent, []string{"mfa"}) || further[:3][2] != nil {
		t.Errorf("kept %v, absent %v, and wrote %v", row.ActorClaims, row.ActorAbsent, further[:3])
	}
}

func TestHasClaim_MatchesAKeyOfAnObject(t *testing.T) {
	claims := Claims{"roles": map[string]any{
		"support": map[string]any{"1654": "demo"}, "admin": true, "empty": map[string]any{}, "zero": int64(0), "no": false, "none": nil, "support,admin": "x",
	}}
	for value, want := range map[string]bool{"support": true, "admin": true, "empty": true, "zero": true, "no": false, "none": false, "Support": false, "suppor": false, "1654": false, "demo": false} {
		for name, claims := range map[string]Claims{"roles": claims, "/a/roles": {"a": map[string]any(claims)}} {
			if got := (HasClaim{Name: name, Value: value}).Holds(&RuleInput{Caller: &Caller{Claims: claims}}); got != want {
				t.Errorf("%s %s: %v", name, value, got)
			}
		}
	}
}

func TestScopes_AnEmptyClaimHidesNoOther(t *testing.T) {
	for _, tt := range []struct {
		claims Claims
		want   []string
	}{
		{Claims{"scope": "a b", "scp": "c", "scopes": "d"}, []string{"a", "b"}},
		{Claims{"scope": "", "scp": []any{"c"}}, []string{"c"}},
		{Claims{"scope": []any{}, "scp": "", "scopes": []any{"d"}}, []string{"d"}},
		{Claims{"scope": nil, "scopes": " d  e "}, []string{"d", "e"}},
		{Claims{"scope": int64(7), "scp": "c"}, []string{"c"}},
		{Claims{"scope": []any{"", int64(1), "a b"}}, []string{"a b"}},
		{Claims{"Scope": "a"}, nil},
		{Claims{}, nil},
	} {
		if got := tt.claims.Scopes(); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.claims, got, tt.want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"a", "a", true},
		{"a", "ab", false},
		{"*", "", true},
		{"admin-*", "admin-", true},
		{"admin-*", "admin", false},
		{"*-admin", "x-admin", true},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "acb", false},
		{"a*a", "a", false},
		{"a*b*b", "ab", false},
	} {
		if got := glob(tt.pattern, tt.s); got != tt.want {
			t.Errorf("glob(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
}

func TestH2_UserIDsArePrintableText(t *testing.T) {
	good := []string{"a", "Alice@example.com", "名前", "user with blanks", "a/b;c%20", strings.Repeat("x", 255), "null", "é", "e\u0301"}
	for _, id := range good {
		if err := CheckUserID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	bad := map[string]string{
		"empty": "", "too long": strings.Repeat("x", 256), "NUL": "a\x00b", "newline": "a\nb", "delete": "a\x7f",
		"escape": "a\x1b[31m", "C1 control": "a\u0085b", "bidi override": "a\u202eb", "bidi isolate": "a\u2066b",
		"zero width joiner": "a\u200db", "byte order mark": "\ufeffa", "soft hyphen": "a\u00adb", "leading blank": " a",
		"trailing blank": "a ", "trailing no-break space": "a\u00a0", "line separator": "a\u2028b", "not UTF-8": "a\xff",
		"replacement character": "a\ufffdb", "private use": "a\ue000b", "unassigned": "a\U000e0fff", "tag": "a\U000e0041",
	}
	for name, id := range bad {
		if err := CheckUserID(id); !errors.Is(err, ErrUserID) {
			t.Errorf("%s: %v, want ErrUserID", name, err)
		}
	}
}

// forClients holds for requests of these clients, anyButClients of all but them.
type (
	forClients    []string
	anyButClients []string
)

func (f forClients) Holds(in *RuleInput) bool     { return slices.Contains(f, in.ClientID) }
func (forClients) Claims() ([]string, bool)       { return nil, false }
func (forClients) PerSession() bool               { return true }
func (a anyButClients) Holds(in *RuleInput) bool  { return !slices.Contains(a, in.ClientID) }
func (anyButClients) Claims() ([]string, bool)    { return nil, false }
func (anyButClients) PerSession() bool            { return true }
func ruleOf(name string, when Condition) (r Rule) { return Rule{Name: name, From: idp, When: when} }

func TestPolicy_AnotherClientNeedsARuleThatHoldsByIt(t *testing.T) {
	scope, console := ruleOf("scope", HasScope("impersonate")), ruleOf("console", forClients{"console"})
	desk := user("carol", "impersonate")
	for _, tt := range []struct {
		name   string
		policy Policy
		caller *Caller
		user   string
		client string
		want   error
		rule   string
	}{
		{"a rule for all clients", Policy{Allow: []Rule{scope}}, desk, "alice", "console", ErrClient, ""},
		{"a rule for that client", Policy{Allow: []Rule{console}}, desk, "alice", "console", nil, "console"},
		{"a rule for that client after one for all", Policy{Allow: []Rule{scope, console}}, desk, "alice", "console", nil, "console"},
		{"a rule for that client before one for all", Policy{Allow: []Rule{console, scope}}, desk, "alice", "console", nil, "console"},
		{"a rule for another client", Policy{Allow: []Rule{console}}, desk, "alice", "billing", errNoRule, ""},
		{"a rule for another client, and one for all", Policy{Allow: []Rule{scope, console}}, desk, "alice", "billing", ErrClient, ""},
		{"a rule that spares a client says yes to none", Policy{Allow: []Rule{ruleOf("", anyButClients{"console"})}}, desk, "alice", "billing", ErrClient, ""},
		{"oneself", Policy{AllowSelf: true}, user("alice"), "alice", "console", ErrClient, ""},
		{"oneself, where a rule would impersonate", Policy{AllowSelf: true, Allow: []Rule{console}}, user("alice"), "alice", "console", ErrClient, ""},
		{"nobody's rule", Policy{}, desk, "alice", "console", errNoRule, ""},
		{"a protected user", Policy{Allow: []Rule{scope}, Protect: []string{"root"}}, desk, "root", "console", errProtected, ""},
		{"a reason that is missing too", Policy{Allow: []Rule{console}, RequireReason: true}, desk, "alice", "console", ErrReasonRequired, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.policy.Decide(&RuleInput{Caller: tt.caller, UserID: tt.user, ClientID: tt.client, OtherClient: true})
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) || got.Rule != tt.rule {
				t.Errorf("rule %q, error %v; want %q, %v", got.Rule, err, tt.rule, tt.want)
			}
		})
	}
}
