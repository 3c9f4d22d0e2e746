package bearer

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestV19_TheTrustSaysWhichClaimNamesTheCaller(t *testing.T) {
	for claim, tests := range map[string]map[string]struct {
		changes object
		subject string // "" where it is refused
	}{
		"oid": {
			"is there":                   {object{"oid": "690222be"}, "690222be"},
			"beside an empty sub":        {object{"oid": "o", "sub": ""}, "o"},
			"without a sub":              {object{"oid": "o", "sub": absent}, "o"},
			"beside a sub of any type":   {object{"oid": "o", "sub": []int{1}}, "o"},
			"is missing":                 {object{}, ""},
			"is empty":                   {object{"oid": ""}, ""},
			"is null":                    {object{"oid": nil}, ""},
			"is a list":                  {object{"oid": []string{"o"}}, ""},
			"has a control character":    {object{"oid": "a\nb"}, ""},
			"is too long":                {object{"oid": strings.Repeat("a", 256)}, ""},
			"is in another case":         {object{"OID": "o"}, ""},
			"is a number":                {object{"oid": 1234567890123456789}, "1234567890123456789"},
			"is a negative number":       {object{"oid": -7}, "-7"},
			"is a fraction":              {object{"oid": 1.5}, ""},
			"is a number beyond 64 bits": {object{"oid": json.RawMessage("92233720368547758080")}, ""},
			"is a number in other words": {object{"oid": json.RawMessage("1e3")}, "1000"},
			"is true":                    {object{"oid": true}, ""},
		},
		"sub": {
			"is a number": {object{"sub": 42}, "42"},
			"is text":     {object{}, "alice"},
		},
		"/user/ids/0": {
			"is there":   {object{"user": object{"ids": []any{"a", "b"}}}, "a"},
			"is missing": {object{"user": object{"ids": []any{}}}, ""},
			"is beside":  {object{"/user/ids/0": "x"}, ""},
		},
	} {
		i := trust(t)
		i.UserClaim = claim
		v := newVerifier(t, i)
		for name, test := range tests {
			got, err := v.Verify(t.Context(), token(t, test.changes))
			switch {
			case test.subject == "" && reasonOf(t, err) != ReasonSubject:
				t.Errorf("%s %s: %+v, %v", claim, name, got, err)
			case test.subject != "" && (err != nil || got.Subject != test.subject || got.Issuer != idp):
				t.Errorf("%s %s: %+v, %v", claim, name, got, err)
			}
		}
	}
}

// Whoever can write another's address into their profile would be them.
func TestV19_AnEmailAddressNamesNobodyUntilItIsVerified(t *testing.T) {
	for _, test := range []struct {
		claim    string
		changes  object
		verified bool
	}{
		{"email", object{"email_verified": true}, true},
		{"email", object{"email_verified": "true"}, true}, // of Apple
		{"email", object{"xms_edov": true}, true},         // of Entra ID
		{"email", object{"xms_edov": "1"}, true},
		{"email", object{"xms_edov": 1}, true},
		{"email", object{"email_verified": true, "xms_edov": false}, true},
		{"email", nil, false},
		{"email", object{"email_verified": false}, false},
		{"email", object{"email_verified": "false"}, false},
		{"email", object{"email_verified": nil}, false},
		{"email", object{"email_verified": "TRUE"}, false},
		{"email", object{"email_verified": []any{true}}, false},
		{"email", object{"email_verified": false, "xms_edov": true}, false},
		{"email", object{"xms_edov": false}, false},
		{"email", object{"Email_Verified": true}, false},
		{"email", object{"user": object{"email_verified": true}}, false},
		{"/user/email", object{"user": object{"email": "a@example.com", "email_verified": true}}, true},
		{"/user/email", object{"user": object{"email": "a@example.com"}, "email_verified": true}, false},
		{"https://example.com/email", object{"https://example.com/email": "a@example.com", "https://example.com/email_verified": true}, true},
		{"https://example.com/email", object{"https://example.com/email": "a@example.com", "email_verified": true}, false},
	} {
		i := trust(t)
		i.UserClaim = test.claim
		signed := token(t, both(object{"email": "a@example.com"}, test.changes))
		want := map[bool]Reason{false: ReasonUnverified}[test.verified]
		expect(t, newVerifier(t, i), signed, want)
		i.Unverified = true
		got, err := newVerifier(t, i).Verify(t.Context(), signed)
		if err != nil || got.Subject != "a@example.com" {
			t.Errorf("unverified %s of %v: %+v, %v", test.claim, test.changes, got, err)
		}
	}
}
