package bearer

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

const (
	login = "https://login.example.com/"
	home  = login + "home/v2.0"
	open  = login + "*/v2.0"
)

// tenanted trusts all tenants, of which home and branch have users.
func tenanted(t *testing.T) Issuer {
	t.Helper()
	i := trust(t)
	i.Issuers, i.Tenants, i.Users = []string{open, "idp.example.com"}, []string{"home", "branch"}, true
	return i
}

func TestV16_SpellingsAndTenantsOfAnIssuer(t *testing.T) {
	v := newVerifier(t, tenanted(t))
	for iss, want := range map[string]struct {
		rules string // what rules call it; "" where it is refused
		users bool
	}{
		idp:                      {idp, true},
		"idp.example.com":        {idp, true},
		home:                     {home, true},
		login + "branch/v2.0":    {login + "branch/v2.0", true},
		login + "foreign/v2.0":   {login + "foreign/v2.0", false},
		login + "HOME/v2.0":      {login + "HOME/v2.0", false},
		login + "a-b_c.d~1/v2.0": {login + "a-b_c.d~1/v2.0", false},

		login + "/v2.0":                                {},
		login + "../v2.0":                              {},
		login + "./v2.0":                               {},
		login + "*/v2.0":                               {},
		login + "home/x/v2.0":                          {},
		login + "home%2Fx/v2.0":                        {},
		login + "home?x=/v2.0":                         {},
		login + "home#/v2.0":                           {},
		login + "home;x/v2.0":                          {},
		login + "home@x/v2.0":                          {},
		login + "h:o/v2.0":                             {},
		login + " home/v2.0":                           {},
		login + "hömé/v2.0":                            {},
		login + "home\x00/v2.0":                        {},
		login + "home/v2.0/":                           {},
		login + "home/V2.0":                            {},
		login + "home":                                 {},
		"https://LOGIN.example.com/home/v2.0":          {},
		"http://login.example.com/home/v2.0":           {},
		"https://evil.example.com/home/v2.0":           {},
		"https://login.example.com.evil.net/home/v2.0": {},
		"https://login.example.com:8443/home/v2.0":     {},
		login + strings.Repeat("t", 129) + "/v2.0":     {},
		"https://idp.example.com/":                     {},
		"IDP.example.com":                              {},
		"xidp.example.com":                             {},
		open + "x":                                     {},
		"https://evil/" + home:                         {},
	} {
		got, err := v.Verify(t.Context(), token(t, object{"iss": iss}))
		if want.rules == "" {
			if reasonOf(t, err) != ReasonUnknownIssuer || v.Trust(iss) != nil {
				t.Errorf("%s: %+v, %v", iss, got, err)
			}
			continue
		}
		if err != nil || got.Issuer != iss || got.From() != want.rules || got.User != want.users {
			t.Errorf("%s: %+v, %v", iss, got, err)
		}
		if again := v.Trust(iss); again == nil || again.Name != want.rules || again.Users != want.users {
			t.Errorf("%s, asked later: %+v", iss, again)
		}
	}
	if v.Trust("https://other.example.com") != nil {
		t.Error("trust in somebody else")
	}
}

// The administrator of a tenant can give themselves any role in it: a rule for one
// tenant, or for the issuer, says nothing of another's callers.
func TestV25_AForeignTenantsAdministratorIsNobodyHere(t *testing.T) {
	v := newVerifier(t, tenanted(t))
	policy := sessions.Policy{AllowSelf: true, Allow: []sessions.Rule{
		{Name: "home", From: home, When: sessions.HasClaim{Name: "roles", Value: "admin"}},
		{Name: "issuer", From: idp, When: sessions.HasClaim{Name: "roles", Value: "admin"}},
		{Name: "pattern", From: open, When: sessions.HasClaim{Name: "roles", Value: "admin"}},
	}}
	for iss, want := range map[string]string{home: "home", idp: "issuer", "idp.example.com": "issuer", login + "branch/v2.0": "", login + "foreign/v2.0": ""} {
		caller, err := v.Verify(t.Context(), token(t, object{"iss": iss, "roles": []string{"admin"}, "tid": "home"}))
		must(t, err)
		decision, err := policy.Decide(&sessions.RuleInput{Caller: caller, UserID: "bob"})
		if decision.Rule != want || (err == nil) != (want != "") {
			t.Errorf("%s may by %q, %v", iss, decision.Rule, err)
		}
	}
	foreign, err := v.Verify(t.Context(), token(t, object{"iss": login + "foreign/v2.0"}))
	must(t, err)
	if _, err := policy.Decide(&sessions.RuleInput{Caller: foreign, UserID: "alice"}); err == nil || foreign.IsUser() {
		t.Error("alice of another tenant is alice")
	}
}

// Key confusion: nobody has keys for a name that is another's.
func TestV16_APatternTakesInNobodyElsesName(t *testing.T) {
	other := func(name string, issuers ...string) Issuer {
		return Issuer{Name: name, Issuers: issuers, Keys: static(t, keyOf("other", jose.ES256)), Audiences: []string{app}}
	}
	own := other("https://app.example.com")
	own.Own = true
	for name, test := range map[string]struct {
		issuers []Issuer
		ok      bool
	}{
		"apart":                           {[]Issuer{other("a", login+"*/v2.0"), other("b", login+"*/v1.0")}, true},
		"its own name":                    {[]Issuer{other(home, open)}, true},
		"another one's name":              {[]Issuer{other("a", open), other(home)}, false},
		"another one's name, before":      {[]Issuer{other(home), other("a", open)}, false},
		"another one's spelling":          {[]Issuer{other("a", open), other("b", home)}, false},
		"the same spelling":               {[]Issuer{other("a", "x"), other("b", "x")}, false},
		"a spelling that is another":      {[]Issuer{other("a"), other("b", "a")}, false},
		"its own name again":              {[]Issuer{other("a", "a")}, false},
		"a spelling twice":                {[]Issuer{other("a", "x", "x")}, false},
		"the same pattern":                {[]Issuer{other("a", open), other("b", open)}, false},
		"the same pattern twice":          {[]Issuer{other("a", open, open)}, false},
		"patterns that cross":             {[]Issuer{other("a", login+"*/v2.0"), other("b", login+"home/*")}, false},
		"patterns that cross, of one":     {[]Issuer{other("a", login+"*/v2.0", login+"home/*")}, false},
		"patterns that cannot cross":      {[]Issuer{other("a", login+"*/v2.0"), other("b", login+"home/*/x")}, true},
		"our own name":                    {[]Issuer{own, other("a", "https://app.example.com/*")}, true},
		"a name that is below ours":       {[]Issuer{{Name: "https://app.example.com/x", Keys: own.Keys, Audiences: own.Audiences, Own: true}, other("a", "https://app.example.com/*")}, false},
		"the whole host":                  {[]Issuer{other("a", "https://*/v2.0")}, false},
		"a part of the host":              {[]Issuer{other("a", "https://*.example.com/v2.0")}, false},
		"a part of a segment":             {[]Issuer{other("a", login+"t-*/v2.0")}, false},
		"two segments":                    {[]Issuer{other("a", login+"*/*")}, false},
		"any number of segments":          {[]Issuer{other("a", login+"**")}, false},
		"no URL":                          {[]Issuer{other("a", "*")}, false},
		"a path alone":                    {[]Issuer{other("a", "/x/*")}, false},
		"no host":                         {[]Issuer{other("a", "https:///*")}, false},
		"the end of the path":             {[]Issuer{other("a", login+"*")}, true},
		"the end of the path, and a host": {[]Issuer{other("a", "https://login.example.com*")}, false},
	} {
		if _, err := New(Config{Issuers: test.issuers}); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, spoil := range map[string]func(*Issuer){
		"tenants without a pattern": func(i *Issuer) { i.Issuers = []string{"x"} },
		"an empty spelling":         func(i *Issuer) { i.Issuers = append(i.Issuers, "") },
		"an empty tenant":           func(i *Issuer) { i.Tenants = []string{""} },
		"a tenant that is none":     func(i *Issuer) { i.Tenants = []string{"a/b"} },
		"any tenant":                func(i *Issuer) { i.Tenants = []string{"*"} },
	} {
		i := tenanted(t)
		spoil(&i)
		if _, err := New(Config{Issuers: []Issuer{i}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestVerify_TheIssuerOfATokenIsTheOneThatItNames(t *testing.T) {
	v := newVerifier(t, tenanted(t))
	got, err := v.Verify(t.Context(), token(t, object{"iss": home, "act": object{"sub": "bob"}}))
	if err != nil || got.Issuer != home || got.Actor != (sessions.Principal{Issuer: home, Subject: "bob"}) {
		t.Errorf("%+v, %v", got, err)
	}
	refusal := new(Refusal)
	if _, err := v.Verify(t.Context(), token(t, object{"iss": login + "foreign/v2.0", "aud": "x"})); !asRefusal(err, &refusal) || refusal.Issuer != idp || refusal.Claimed != "" {
		t.Errorf("%+v", err)
	}
}

// sharedSet is a set as several issuers share it: each key by its name, and of the
// issuer that it says, if any.
func sharedSet(t *testing.T, issuers map[string]any) *Static {
	t.Helper()
	keys := make([]any, 0, len(issuers))
	for name, issuer := range issuers {
		keys = append(keys, jwk(t, keyOf(name, jose.ES256), object{"issuer": issuer}))
	}
	set, _, err := jose.ParseSet([]byte(jwks(t, keys...)), jose.KeyPolicy{})
	must(t, err)
	s, err := NewStatic(set.Keys()...)
	must(t, err)
	return s
}

// Key confusion: one set has the keys of all tenants, and those of other issuers, whose
// users anybody may be. What a key says of its issuer is held to.
func TestV25_AKeyThatNamesItsIssuerVerifiesNoOthersTokens(t *testing.T) {
	i := trust(t)
	i.Name, i.Tenants, i.Users = home, []string{"branch"}, true
	i.Issuers = []string{open, "https://sts.example.net/home/", "https://sts.example.net/*/"}
	i.Keys = sharedSet(t, map[string]any{
		"tenants": login + "{tenantid}/v2.0", "consumers": login + "consumers/v2.0", "home": home, "old": "https://sts.example.net/{tenantid}/", "all": absent,
		"elsewhere": login + "home/{tenantid}", "part": login + "h{tenantid}/v2.0", "twice": login + "{tenantid}/{tenantid}", "host": "https://{tenantid}/home/v2.0", "any": "{tenantid}", "star": open,
		"number": 7, "null": nil, "list": []string{home}, "object": object{}, "empty": "",
	})
	v := newVerifier(t, i)
	names := map[string]string{
		home: "home", "https://sts.example.net/home/": "home",
		login + "branch/v2.0": "branch", "https://sts.example.net/branch/": "branch",
		login + "consumers/v2.0": "consumers",
	}
	good := map[string][]string{
		"tenants": {"home", "branch", "consumers"}, "old": {"home", "branch", "consumers"}, "all": {"home", "branch", "consumers"},
		"home": {"home"}, "consumers": {"consumers"},
		"elsewhere": {"home"}, // it says that it is of home/v2.0 too; but no pattern has its tenant there
		"part":      nil, "twice": nil, "host": nil, "any": nil, "star": nil, "number": nil, "null": nil, "list": nil, "object": nil, "empty": nil,
	}
	for name, tenants := range good {
		key := keyOf(name, jose.ES256)
		for iss, tenant := range names {
			var want Reason
			if !slices.Contains(tenants, tenant) {
				want = ReasonUnknownKey
			}
			signed := sign(t, key, header(key, nil), claims(object{"iss": iss}))
			if _, err := v.Verify(t.Context(), signed); reasonOf(t, err) != want {
				t.Errorf("%s signed by %s: %v, want %q", iss, name, err, want)
			}
			if got := reasonOf(t, v.Explain(t.Context(), signed).Refused()); got != want {
				t.Errorf("%s signed by %s: explained as %q, want %q", iss, name, got, want)
			}
		}
	}
}

// FuzzPatterns: no token is of two issuers, however their names are made.
func FuzzPatterns(f *testing.F) {
	for _, names := range [][3]string{
		{open, open, home},
		{open, login + "home/*", home},
		{open, home, home},
		{login + "*/*", login + "a/*", login + "a/b"},
		{login + "*", login + "*/x", login + "a"},
		{"https://a/*/b/c", "https://a/b/*/c", "https://a/b/b/c"},
		{"a://b/*", "a://b/*c", "a://b/c"},
	} {
		f.Add(names[0], names[1], names[2])
	}
	keys := static(f, keyOf("a", jose.ES256))
	f.Fuzz(func(t *testing.T, first, second, name string) {
		v, err := New(Config{Issuers: []Issuer{
			{Name: "first", Issuers: []string{first}, Keys: keys, Audiences: []string{app}},
			{Name: "second", Issuers: []string{second}, Keys: keys, Audiences: []string{app}},
		}})
		if err != nil {
			return
		}
		owners := map[*issuer]bool{}
		if i := v.issuers[name]; i != nil {
			owners[i] = true
		}
		for i := range v.patterns {
			if tenant, ok := v.patterns[i].tenant(name); ok {
				owners[v.patterns[i].issuer] = true
				if !isTenant(tenant) || strings.Count(name, "/") != strings.Count(v.patterns[i].before+v.patterns[i].after, "/") {
					t.Errorf("%q is taken for one of %q*%q", name, v.patterns[i].before, v.patterns[i].after)
				}
			}
		}
		if len(owners) > 1 {
			t.Errorf("%q is of %q and of %q", name, first, second)
		}
	})
}

func TestCheckNames_SaysWhichIssuerIsInTheWay(t *testing.T) {
	one, two := Issuer{Name: "https://one.example.com"}, Issuer{Name: "https://two.example.com"}
	named := func(names ...string) Issuer { return Issuer{Name: "https://named.example.com", Issuers: names} }
	for _, c := range []struct {
		name    string
		issuers []Issuer
		at      int
		pattern bool // what is wrong is the pattern
	}{
		{"none", nil, -1, false},
		{"each has its own", []Issuer{one, two, named("named.example.com", "https://login.example.com/*")}, -1, false},
		{"one twice", []Issuer{one, two, one}, 2, false},
		{"another's name", []Issuer{one, named(two.Name), two}, 2, false},
		{"another's, among the further ones", []Issuer{one, named(one.Name)}, 1, false},
		{"a * in a host", []Issuer{named("https://*.example.com/"), one}, 0, true},
	} {
		at, err := CheckNames(c.issuers)
		if at != c.at || (err != nil) != (at >= 0) || errors.Is(err, ErrPattern) != c.pattern {
			t.Errorf("%s: %d, %v", c.name, at, err)
		}
	}
}
