package bearer

import "testing"

func TestV17_TheAudienceOfATokenWithoutAudIsLookedForWhereTheTrustSays(t *testing.T) {
	i := trust(t)
	i.AudienceClaims = []string{"client_id", "azp", "/context/app"}
	i.Audiences = []string{app, "spa"}
	v, without := newVerifier(t, i), newVerifier(t, trust(t))
	for name, test := range map[string]struct {
		changes object
		want    Reason
	}{
		"in client_id":                    {object{"client_id": "spa"}, ""},
		"in azp":                          {object{"client_id": absent, "azp": "spa"}, ""},
		"in a list":                       {object{"client_id": absent, "azp": absent, "context": object{"app": []string{"x", "spa"}}}, ""},
		"by a pointer":                    {object{"client_id": absent, "context": object{"app": "spa"}}, ""},
		"nowhere":                         {object{"client_id": absent}, ReasonAudience},
		"in a claim that nobody named":    {object{"client_id": absent, "cid": "spa"}, ReasonAudience},
		"another's":                       {object{"client_id": "evil"}, ReasonAudience},
		"the first that is there decides": {object{"client_id": "evil", "azp": "spa"}, ReasonAudience},
		"the first that is there, though it is null": {object{"client_id": absent, "azp": nil, "context": object{"app": "spa"}}, ReasonAudience},
		"as a number": {object{"client_id": absent, "azp": absent, "context": object{"app": 7}}, ReasonAudience},
	} {
		for shape, aud := range map[string]any{"no aud": absent, "an empty aud": "", "an empty list": []string{}} {
			signed := token(t, both(test.changes, object{"aud": aud}))
			_, err := v.Verify(t.Context(), signed)
			if got := reasonOf(t, err); got != test.want {
				t.Errorf("%s, %s: %q, want %q", name, shape, got, test.want)
			}
			expect(t, without, signed, ReasonAudience)
		}
	}
}

// Audience confusion: a token for another service is that service's to use, whoever
// asked for it.
func TestV17_ATokenForSomebodyElseStaysTheirs(t *testing.T) {
	i := trust(t)
	i.Audiences, i.AudienceClaims = []string{"spa"}, []string{"client_id", "azp"}
	v := newVerifier(t, i)
	for _, aud := range []any{"https://billing.example.com", []string{"billing"}, []any{""}, []any{nil}, nil, " ", 7, object{}, []any{[]any{}}, "*"} {
		expect(t, v, token(t, object{"aud": aud, "client_id": "spa", "azp": "spa"}), ReasonAudience)
	}
	expect(t, v, token(t, object{"aud": "spa", "client_id": "other"}), "")
	expect(t, v, token(t, object{"aud": absent, "AUD": "billing", "client_id": "spa"}), "") // names are case-sensitive
}
