package bearer

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
)

func TestVerify_TellsWhoIsCalling(t *testing.T) {
	v := newVerifier(t, trust(t))
	got, err := v.Verify(t.Context(), token(t, object{"scope": "a  b", "scp": "c"}))
	if err != nil {
		t.Fatal(err)
	}
	if got.Principal != (sessions.Principal{Issuer: idp, Subject: "alice"}) || got.ClientID != "desk" {
		t.Errorf("caller is %+v of %q", got.Principal, got.ClientID)
	}
	if !slices.Equal(got.Scopes, []string{"a", "b"}) {
		t.Errorf("scopes are %q", got.Scopes)
	}
	if got.User || got.Own || got.Acting || got.SessionID != "" {
		t.Errorf("taken for more than a caller: %+v", got)
	}
	if want := noon.Add(10 * time.Minute); !got.ExpiresAt.Equal(want) {
		t.Errorf("ends at %v, want %v", got.ExpiresAt, want)
	}
	if got.Claims["exp"] != any(noon.Unix()+600) {
		t.Errorf("exp is %T %[1]v", got.Claims["exp"])
	}
}

func TestVerify_ReadsClientAndScopes(t *testing.T) {
	v := newVerifier(t, trust(t))
	for name, test := range map[string]struct {
		changes object
		client  string
		scopes  []string
	}{
		"client_id before azp":    {object{"azp": "other"}, "desk", nil},
		"azp where no client_id":  {object{"client_id": absent, "azp": "other"}, "other", nil},
		"neither":                 {object{"client_id": absent}, "", nil},
		"scp as a string":         {object{"scp": "a b"}, "desk", []string{"a", "b"}},
		"scp as an array":         {object{"scp": []string{"a", "b"}}, "desk", []string{"a", "b"}},
		"scope before scp":        {object{"scope": "a", "scp": []string{"b"}}, "desk", []string{"a"}},
		"an empty scope is none":  {object{"scope": ""}, "desk", nil},
		"spaces are no scopes":    {object{"scope": "  a   "}, "desk", []string{"a"}},
		"a number is no scope":    {object{"scope": 7}, "desk", nil},
		"a number in scp is none": {object{"scp": []any{7, "a"}}, "desk", []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), token(t, test.changes))
			if err != nil {
				t.Fatal(err)
			}
			if got.ClientID != test.client || !slices.Equal(got.Scopes, test.scopes) {
				t.Errorf("client %q, scopes %q", got.ClientID, got.Scopes)
			}
		})
	}
	expect(t, v, token(t, object{"client_id": 7}), ReasonClaims)
	expect(t, v, token(t, object{"azp": []string{"desk"}}), ReasonClaims)
}

func TestV14_ExpiryIsRequiredAndANumber(t *testing.T) {
	v := newVerifier(t, trust(t))
	for exp, want := range map[string]Reason{
		`null`:                   ReasonClaims,
		`"123"`:                  ReasonClaims,
		`"2099-01-01T00:00:00Z"`: ReasonClaims,
		`true`:                   ReasonClaims,
		`[1]`:                    ReasonClaims,
		`{}`:                     ReasonClaims,
		`0`:                      ReasonExpired,
		`-1`:                     ReasonExpired,
		`-1e300`:                 ReasonExpired,
		`-9223372036854775808`:   ReasonExpired,
		`1e18`:                   ReasonLifetime,
		`1e300`:                  ReasonLifetime,
		`9223372036854775807`:    ReasonLifetime,
		`9223372036854775808`:    ReasonLifetime,
		`99999999999999999999`:   ReasonLifetime,
		`1e400`:                  ReasonClaims,
		`0x7fffffff`:             ReasonClaims,
	} {
		t.Run(exp, func(t *testing.T) {
			raw := claims(object{"exp": json.RawMessage(`"EXP"`)})
			text := strings.Replace(encode(t, raw), `"EXP"`, exp, 1)
			expect(t, v, signRaw(t, idpKey(), encode(t, header(idpKey(), nil)), text), want)
		})
	}
	expect(t, v, token(t, object{"exp": absent}), ReasonNoExpiry)
	expect(t, v, token(t, object{"exp": absent, "EXP": noon.Unix() + 600}), ReasonNoExpiry)
	expect(t, v, token(t, object{"exp": float64(noon.Unix()) + 0.5}), "")
	expect(t, v, token(t, object{"exp": float64(noon.Unix()) - 0.5}), ReasonExpired)
}

// Seconds from noon, and what must come out at each leeway.
func TestV15_TimesAreBounded(t *testing.T) {
	const hour = 3600
	for _, test := range []struct {
		claim  string
		leeway int64
		at     int64
		want   Reason
	}{
		{"exp", 0, -1, ReasonExpired},
		{"exp", 0, 0, ReasonExpired},
		{"exp", 0, 1, ""},
		{"exp", 30, -31, ReasonExpired},
		{"exp", 30, -30, ReasonExpired},
		{"exp", 30, -29, ""},
		{"exp", 300, -300, ReasonExpired},
		{"exp", 300, -299, ""},
		{"exp", 0, hour - 1, ""},
		{"exp", 0, hour, ""},
		{"exp", 0, hour + 1, ReasonLifetime},
		{"exp", 30, hour + 30, ""},
		{"exp", 30, hour + 31, ReasonLifetime},
		{"nbf", 0, -1, ""},
		{"nbf", 0, 0, ""},
		{"nbf", 0, 1, ReasonNotYet},
		{"nbf", 30, 30, ""},
		{"nbf", 30, 31, ReasonNotYet},
		{"iat", 0, -1, ""},
		{"iat", 0, 0, ""},
		{"iat", 0, 1, ReasonIssuedLater},
		{"iat", 30, 30, ""},
		{"iat", 30, 31, ReasonIssuedLater},
	} {
		i := trust(t)
		i.Leeway = time.Duration(test.leeway) * time.Second
		v := newVerifier(t, i)
		_, err := v.Verify(t.Context(), token(t, object{test.claim: noon.Unix() + test.at}))
		if got := reasonOf(t, err); got != test.want {
			t.Errorf("%s %+d s with a leeway of %d s: %q, want %q", test.claim, test.at, test.leeway, got, test.want)
		}
	}
	v := newVerifier(t, trust(t))
	for _, name := range []string{"nbf", "iat"} {
		for _, value := range []any{"1", nil, true, []int{1}} {
			expect(t, v, token(t, object{name: value}), ReasonClaims)
		}
		expect(t, v, token(t, object{name: absent}), "")
		expect(t, v, token(t, object{name: json.RawMessage("-1e300")}), "")
	}
	expect(t, v, token(t, object{"nbf": json.RawMessage("1e300")}), ReasonNotYet)
	expect(t, v, token(t, object{"iat": json.RawMessage("9223372036854775807")}), ReasonIssuedLater)
}

func TestV15_LifetimeIsADayUnlessConfigured(t *testing.T) {
	i := trust(t)
	i.MaxLifetime = 0
	v := newVerifier(t, i)
	expect(t, v, token(t, object{"exp": noon.Add(24 * time.Hour).Unix()}), "")
	expect(t, v, token(t, object{"exp": noon.Add(24*time.Hour).Unix() + 1}), ReasonLifetime)
}

func TestV16_IssuerIsExactAndOwnsItsKeys(t *testing.T) {
	const other = "https://other.example.com"
	otherKey := keyOf("other", idpKey().Algorithm())
	second := trust(t)
	second.Name, second.Keys = other, static(t, otherKey)
	v := newVerifier(t, trust(t), second)

	for name, test := range map[string]struct {
		iss  any
		want Reason
	}{
		"as configured":  {idp, ""},
		"trailing slash": {idp + "/", ReasonUnknownIssuer},
		"another case":   {strings.ToUpper(idp), ReasonUnknownIssuer},
		"no issuer":      {absent, ReasonUnknownIssuer},
		"empty":          {"", ReasonUnknownIssuer},
		"space":          {idp + " ", ReasonUnknownIssuer},
		"number":         {7, ReasonClaims},
		"null":           {nil, ReasonClaims},
		"array":          {[]string{idp}, ReasonClaims},
		"another":        {"https://evil.example.com", ReasonUnknownIssuer},
		"not whose key":  {other, ReasonUnknownKey},
	} {
		t.Run(name, func(t *testing.T) { expect(t, v, token(t, object{"iss": test.iss}), test.want) })
	}

	// The other issuer signs with its key and our issuer's name and key id.
	forged := sign(t, otherKey, header(idpKey(), nil), claims(nil))
	expect(t, v, forged, ReasonSignature)
	forged = sign(t, otherKey, header(otherKey, nil), claims(nil))
	expect(t, v, forged, ReasonUnknownKey)
	expect(t, v, sign(t, otherKey, header(otherKey, nil), claims(object{"iss": other})), "")

	twice := strings.Replace(encode(t, claims(nil)), `"iss"`, `"iss":"`+other+`","iss"`, 1)
	expect(t, v, signRaw(t, idpKey(), encode(t, header(idpKey(), nil)), twice), ReasonClaims)
}

func TestV17_AudienceMustBeOurs(t *testing.T) {
	i := trust(t)
	i.Audiences = []string{app, "second"}
	v := newVerifier(t, i)
	for name, test := range map[string]struct {
		aud  any
		want Reason
	}{
		"string":            {app, ""},
		"our second name":   {"second", ""},
		"array":             {[]string{"x", app}, ""},
		"missing":           {absent, ReasonAudience},
		"null":              {nil, ReasonAudience},
		"empty":             {"", ReasonAudience},
		"another":           {"https://other.example.com", ReasonAudience},
		"trailing slash":    {app + "/", ReasonAudience},
		"another case":      {strings.ToUpper(app), ReasonAudience},
		"part of ours":      {app[:len(app)-1], ReasonAudience},
		"empty array":       {[]string{}, ReasonAudience},
		"array of others":   {[]string{"x", "y"}, ReasonAudience},
		"nested array":      {[]any{[]string{app}}, ReasonAudience},
		"array with a null": {[]any{app, nil}, ReasonAudience},
		"object":            {object{app: true}, ReasonAudience},
		"number":            {7, ReasonAudience},
		"two in one string": {app + " x", ReasonAudience},
	} {
		t.Run(name, func(t *testing.T) { expect(t, v, token(t, object{"aud": test.aud}), test.want) })
	}
}

func TestV18_TypeIsExplicit(t *testing.T) {
	for name, test := range map[string]struct {
		types    []string
		own      bool
		accepted []any
	}{
		"default":     {nil, false, []any{"at+jwt", "application/at+jwt", "AT+JWT", "JWT", "jwt", "Application/JWT", absent}},
		"strict":      {[]string{"at+jwt"}, false, []any{"at+jwt", "application/at+jwt", "AT+JWT"}},
		"ours":        {nil, true, []any{"at+jwt", "application/at+jwt", "AT+JWT"}},
		"none alone":  {[]string{"none"}, false, []any{absent}},
		"one of many": {[]string{"application/vnd.x+jwt"}, false, []any{"vnd.x+jwt", "application/vnd.x+jwt"}},
	} {
		i := trust(t)
		i.Types, i.Own = test.types, test.own
		v := newVerifier(t, i)
		for _, typ := range []any{
			"at+jwt", "application/at+jwt", "AT+JWT", "JWT", "jwt", "Application/JWT", absent, "none", "application/none",
			"rt+jwt", "application/rt+jwt", "RT+JWT", "logout+jwt", "dpop+jwt", "secevent+jwt", "vnd.x+jwt",
			"application/vnd.x+jwt", "at+jwt ", "text/at+jwt", "application/application/at+jwt", "id+jwt", "JOSE",
		} {
			want := ReasonType
			if slices.Contains(test.accepted, typ) {
				want = ""
			}
			signed := sign(t, idpKey(), header(idpKey(), object{"typ": typ}), claims(object{"sid": "s", "sid_iat": 1}))
			if _, err := v.Verify(t.Context(), signed); reasonOf(t, err) != want {
				t.Errorf("%s: typ %v: %v, want %q", name, typ, err, want)
			}
		}
	}
}

func TestV19_SubjectIsRequired(t *testing.T) {
	v := newVerifier(t, trust(t))
	for name, test := range map[string]struct {
		sub  any
		want Reason
	}{
		"missing":            {absent, ReasonSubject},
		"null":               {nil, ReasonSubject},
		"number":             {7, ReasonSubject},
		"array":              {[]string{"alice"}, ReasonSubject},
		"empty":              {"", ReasonSubject},
		"NUL":                {"ali\x00ce", ReasonSubject},
		"newline":            {"alice\n", ReasonSubject},
		"delete":             {"alice\x7f", ReasonSubject},
		"C1 control":         {"alice\u0085", ReasonSubject},
		"255 bytes":          {strings.Repeat("a", 255), ""},
		"256 bytes":          {strings.Repeat("a", 256), ReasonSubject},
		"256 bytes of ä":     {strings.Repeat("ä", 128), ReasonSubject},
		"not only ASCII":     {"ålice", ""},
		"blanks at its ends": {" Alice ", ReasonSubject},
		"bidi":               {"ali\u202ece", ReasonSubject},
		"invisible":          {"ali\u200bce", ReasonSubject},
		"as it came":         {"Ali ce", ""},
		"a name of anybody":  {"root", ""},
	} {
		t.Run(name, func(t *testing.T) { expect(t, v, token(t, object{"sub": test.sub}), test.want) })
	}
	got, err := v.Verify(t.Context(), token(t, object{"sub": "Ali\u0301ce"}))
	if err != nil || got.Subject != "Ali\u0301ce" {
		t.Errorf("the subject was rewritten: %v, %v", got, err)
	}
}

func TestV25_TokensThatAreNotForCallingAreRefused(t *testing.T) {
	v := newVerifier(t, trust(t))
	expect(t, v, token(t, object{"cnf": object{"jkt": "x"}}), ReasonBound)
	expect(t, v, token(t, object{"typ": "ID"}), ReasonIDToken)
	expect(t, v, token(t, object{"typ": "Refresh"}), ReasonKind)
}

func TestVerify_TellsWhoActs(t *testing.T) {
	v := newVerifier(t, trust(t))
	for want, act := range map[sessions.Principal]object{
		{Issuer: idp, Subject: "bob"}:                      {"sub": "bob", "act": object{"sub": "eve"}},
		{Issuer: "https://other.example", Subject: "desk"}: {"sub": "desk", "iss": "https://other.example"},
	} {
		got, err := v.Verify(t.Context(), token(t, object{"act": act}))
		if err != nil || !got.Acting || got.Actor != want || got.Subject != "alice" {
			t.Errorf("%v: %+v, %v", act, got, err)
		}
	}
	for _, act := range []any{
		nil, "bob",
		[]any{object{"sub": "bob"}},
		object{},
		object{"client_id": "desk"},
		object{"sub": nil},
		object{"sub": ""},
		object{"sub": 7},
		object{"sub": "a\nb"},
		object{"sub": "bob", "iss": nil},
		object{"sub": "bob", "iss": ""},
		object{"sub": "bob", "iss": 7},
		object{"act": object{"sub": "bob"}},
	} {
		expect(t, v, token(t, object{"act": act}), ReasonActor)
	}
}

func TestV25_AMachinesTokenIsNoUsers(t *testing.T) {
	users := trust(t)
	users.Users = true
	v := newVerifier(t, users)
	for name, changes := range map[string]object{"its own client": {"azp": "alice"}, "client credentials": {"gty": "client-credentials"}, "an app": {"idtyp": "app"}} {
		if got, err := v.Verify(t.Context(), token(t, changes)); err != nil || got.IsUser() {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestVerify_UsersAndOwnAreTheIssuers(t *testing.T) {
	users, own := trust(t), trust(t)
	users.Users = true
	own.Name, own.Own = "https://app.example.com", true
	v := newVerifier(t, users, own)

	got, err := v.Verify(t.Context(), token(t, object{"sid": "s1"}))
	if err != nil || !got.User || got.Own || got.SessionID != "" {
		t.Errorf("a user's token: %+v, %v", got, err)
	}
	got, err = v.Verify(t.Context(), token(t, object{"iss": own.Name, "sid": "s1", "sid_iat": 1500}))
	if err != nil || got.User || !got.Own || got.SessionID != "s1" || got.SessionCreated.UnixMilli() != 1500 {
		t.Errorf("a token of ours: %+v, %v", got, err)
	}
	for _, sid := range []any{absent, nil, "", 7} {
		expect(t, v, token(t, object{"iss": own.Name, "sid": sid, "sid_iat": 1}), ReasonSession)
	}
	for _, created := range []any{absent, nil, "1", 1.5} {
		expect(t, v, token(t, object{"iss": own.Name, "sid": "s1", "sid_iat": created}), ReasonSession)
	}
	for _, store := range []any{nil, 1, object{}} {
		expect(t, v, token(t, object{"iss": own.Name, "sid": "s1", "sid_iat": 1, "store": store}), ReasonSession)
	}
	for _, act := range []any{nil, "x", object{}, object{"sub": "a"}, object{"iss": "a"}, object{"iss": "", "sub": "a"}, object{"iss": 1, "sub": "a"}} {
		expect(t, v, token(t, object{"iss": own.Name, "sid": "s1", "sid_iat": 1, "act": act}), ReasonActor)
	}
	got, err = v.Verify(t.Context(), token(t, object{"iss": own.Name, "sid": "s1", "sid_iat": 1, "act": object{"iss": "i", "sub": "a"}}))
	if err != nil || got.Actor != (sessions.Principal{Issuer: "i", Subject: "a"}) {
		t.Errorf("a token of an impersonation: %+v, %v", got, err)
	}
}

func TestV12_NamesOfClaimsAreCaseSensitive(t *testing.T) {
	v := newVerifier(t, trust(t))
	for name, want := range map[string]Reason{
		"iss": ReasonUnknownIssuer, "aud": ReasonAudience, "sub": ReasonSubject, "exp": ReasonNoExpiry,
	} {
		c := claims(nil)
		c[strings.ToUpper(name)] = c[name]
		delete(c, name)
		expect(t, v, sign(t, idpKey(), header(idpKey(), nil), c), want)
	}
	long := maps.Clone(claims(nil))
	long["\u017fub"] = "root" // folds to sub
	got, err := v.Verify(t.Context(), sign(t, idpKey(), header(idpKey(), nil), long))
	if err != nil || got.Subject != "alice" {
		t.Errorf("%+v, %v", got, err)
	}
}
