package bearer

import (
	"testing"
	"time"
)

func idTokens(t *testing.T, age time.Duration) Issuer {
	t.Helper()
	i := trust(t)
	i.IDTokens = age
	return i
}

func TestV18_WhatSaysThatItIsForSomethingElseIsRefused(t *testing.T) {
	logout := object{"http://schemas.openid.net/event/backchannel-logout": object{}}
	accepting := newVerifier(t, idTokens(t, time.Hour))
	for name, test := range map[string]struct {
		changes object
		want    Reason
	}{
		"an ID token of Cognito":               {object{"token_use": "id"}, ReasonIDToken},
		"an ID token of Keycloak":              {object{"typ": "ID"}, ReasonIDToken},
		"an ID token in another case":          {object{"typ": "id"}, ReasonIDToken},
		"an ID token with a scope":             {object{"typ": "ID", "scope": "openid"}, ReasonIDToken},
		"two words that differ":                {object{"typ": "Bearer", "token_use": "id"}, ReasonIDToken},
		"a refresh token of Keycloak":          {object{"typ": "Refresh"}, ReasonKind},
		"an offline token of Keycloak":         {object{"typ": "Offline"}, ReasonKind},
		"a logout token of Keycloak":           {object{"typ": "Logout"}, ReasonKind},
		"a logout token that has no typ":       {object{"events": logout}, ReasonKind},
		"a refresh token":                      {object{"token_use": "refresh"}, ReasonKind},
		"a refresh token that says Bearer too": {object{"token_use": "refresh", "typ": "Bearer"}, ReasonKind},
	} {
		t.Run(name, func(t *testing.T) {
			signed := sign(t, idpKey(), header(idpKey(), object{"typ": "JWT"}), claims(test.changes))
			expect(t, newVerifier(t, trust(t)), signed, test.want)
			want := test.want
			if want == ReasonIDToken {
				want = ""
			}
			expect(t, accepting, sign(t, idpKey(), header(idpKey(), object{"typ": "JWT"}), claims(both(test.changes, object{"client_id": absent, "azp": app}))), want)
		})
	}
}

// Dex, authentik and older Keycloak put nonce and at_hash into access tokens; Apple,
// Google and Firebase issue ID tokens and nothing else. Neither says so: whose token it
// is meant for decides.
func TestV18_WhatDoesNotSayWhatItIsForIsDecidedByItsAudience(t *testing.T) {
	v := newVerifier(t, trust(t))
	for _, changes := range []object{
		{"nonce": "x"},
		{"at_hash": "x"},
		{"c_hash": "x"},
		{"nonce": nil},
		{"nonce": "x", "at_hash": "x", "c_hash": "x", "auth_time": 1},
		{"typ": "Bearer", "nonce": "x"},
		{"token_use": "access"},
		{"typ": "anything"},
		{"typ": 7},
		{"events": []string{"opened"}},
	} {
		for _, typ := range []any{"at+jwt", "JWT", absent} {
			signed := func(changes object) string {
				return sign(t, idpKey(), header(idpKey(), object{"typ": typ}), claims(changes))
			}
			expect(t, v, signed(changes), "")
			expect(t, v, signed(both(changes, object{"aud": "desk"})), ReasonAudience)
		}
	}
}

// A token that reports events is for no caller, whatever the header calls it.
func TestV18_ATypeOfTheHeaderDoesNotHideThatATokenReportsEvents(t *testing.T) {
	v := newVerifier(t, trust(t))
	for _, typ := range []any{"at+jwt", "application/at+jwt", "AT+JWT", "JWT", absent} {
		for _, events := range []object{{}, {"a": 1}, {"http://schemas.openid.net/event/backchannel-logout": object{}}} {
			expect(t, v, sign(t, idpKey(), header(idpKey(), object{"typ": typ}), claims(object{"events": events})), ReasonKind)
		}
	}
}

func TestV18_IDTokensAreForAClientOfOursAndFresh(t *testing.T) {
	i := idTokens(t, 10*time.Minute)
	i.Audiences = []string{app, "phone"}
	i.Leeway = 30 * time.Second
	v := newVerifier(t, i)
	for name, test := range map[string]struct {
		changes object
		want    Reason
	}{
		"fresh":                                 {nil, ""},
		"as old as it may be":                   {object{"iat": noon.Unix() - 629}, ""},
		"too old":                               {object{"iat": noon.Unix() - 630}, ReasonIDTokenAge},
		"of no known age":                       {object{"iat": absent}, ReasonIDTokenAge},
		"from the future":                       {object{"iat": noon.Unix() + 31}, ReasonIssuedLater},
		"asked for by a client of ours":         {object{"azp": "phone"}, ""},
		"asked for by another client":           {object{"azp": "evil"}, ReasonAudience},
		"asked for by something":                {object{"azp": 7}, ReasonAudience},
		"for several, and a client of ours":     {object{"aud": []string{app, "evil"}, "azp": app}, ""},
		"for several, and another client":       {object{"aud": []string{app, "evil"}, "azp": "evil"}, ReasonAudience},
		"for several, and nobody says for whom": {object{"aud": []string{app, "evil"}}, ReasonAudience},
		"for one in a list":                     {object{"aud": []string{app}}, ""},
		"for somebody else":                     {object{"aud": "evil"}, ReasonAudience},
	} {
		for _, says := range []object{{"token_use": "id"}, {"typ": "ID"}, {"nonce": "x"}, {}} {
			signed := sign(t, idpKey(), header(idpKey(), object{"typ": "JWT"}), claims(both(both(object{"client_id": absent}, says), test.changes)))
			if _, err := v.Verify(t.Context(), signed); reasonOf(t, err) != test.want {
				t.Errorf("%s, %v: %v, want %q", name, says, err, test.want)
			}
		}
	}
	for _, access := range []object{{"token_use": "access"}, {"typ": "Bearer"}, {"scope": "a"}, {"scp": []string{"a"}}} {
		old := both(access, object{"iat": noon.Unix() - 3600, "azp": "spa"})
		expect(t, v, sign(t, idpKey(), header(idpKey(), object{"typ": "JWT"}), claims(old)), "")
	}
	expect(t, v, token(t, object{"iat": noon.Unix() - 3600, "azp": "spa"}), "") // at+jwt
}

// What was verified when it was fresh is not remembered for longer than that.
func TestV18_AnIDTokenIsForgottenWhenItIsTooOld(t *testing.T) {
	now := noon
	v, err := New(Config{Issuers: []Issuer{idTokens(t, 10*time.Minute)}, Now: func() time.Time { return now }})
	must(t, err)
	signed := token(t, object{"typ": "ID", "iat": noon.Unix(), "exp": noon.Unix() + 3600, "client_id": absent})
	for _, step := range []struct {
		after time.Duration
		want  Reason
	}{{0, ""}, {10*time.Minute - 1, ""}, {10 * time.Minute, ReasonIDTokenAge}} {
		now = noon.Add(step.after)
		if _, err := v.Verify(t.Context(), signed); reasonOf(t, err) != step.want {
			t.Errorf("after %v: %v, want %q", step.after, err, step.want)
		}
	}
}
