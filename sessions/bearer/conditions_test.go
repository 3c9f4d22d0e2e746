package bearer

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/http"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

func asRefusal(err error, into **Refusal) bool { return errors.As(err, into) }

func TestVerify_EveryTokenSatisfiesWhatItsTrustAsks(t *testing.T) {
	i := trust(t)
	i.Only = []sessions.Condition{sessions.HasClaim{Name: "is_anonymous", Value: "false"}, sessions.HasScope("a")}
	v := newVerifier(t, i)
	for name, test := range map[string]struct {
		changes object
		want    Reason
	}{
		"all of it":     {object{"is_anonymous": false, "scope": "a b"}, ""},
		"a part of it":  {object{"is_anonymous": false}, ReasonOnly},
		"the other":     {object{"scope": "a"}, ReasonOnly},
		"the contrary":  {object{"is_anonymous": true, "scope": "a"}, ReasonOnly},
		"nothing of it": {object{}, ReasonOnly},
	} {
		t.Run(name, func(t *testing.T) { expect(t, v, token(t, test.changes), test.want) })
	}
}

func TestVerify_UsersAreThoseOfWhomTheConditionHolds(t *testing.T) {
	i := trust(t)
	i.Users, i.UsersWhen = true, sessions.HasClaim{Name: "type", Value: "person"}
	v := newVerifier(t, i)
	for kind, want := range map[any]bool{"person": true, "workflow": false, any(absent): false} {
		got, err := v.Verify(t.Context(), token(t, object{"type": kind}))
		if err != nil || got.User != want || got.IsUser() != want {
			t.Errorf("%v: %+v, %v", kind, got, err)
		}
	}
}

// A machine's token does not stand in for its user, nor a user's for a machine, whatever
// claim names them.
func TestV25_AMachineThatGoesByAUsersNameIsNoUser(t *testing.T) {
	i := trust(t)
	i.Users, i.UserClaim, i.Unverified = true, "email", true
	v := newVerifier(t, i)
	for name, test := range map[string]struct {
		changes object
		user    bool
	}{
		"a person":                       {object{"sub": "1", "azp": "spa"}, true},
		"a client by its sub":            {object{"sub": "svc", "azp": "svc"}, false},
		"a client by its name":           {object{"sub": "1", "azp": "alice@example.com"}, false},
		"client credentials":             {object{"sub": "1", "gty": "client-credentials"}, false},
		"a client of Auth0":              {object{"sub": "svc@clients"}, false},
		"an app of Entra ID":             {object{"sub": "1", "idtyp": "app"}, false},
		"a service account of Keycloak":  {object{"sub": "1", "preferred_username": "service-account-desk"}, false},
		"a client that has no sub":       {object{"sub": "", "gty": "client_credentials"}, false},
		"a person whom nobody calls sub": {object{"sub": ""}, true},
	} {
		got, err := v.Verify(t.Context(), token(t, both(object{"client_id": absent, "email": "alice@example.com"}, test.changes)))
		if err != nil || got.Subject != "alice@example.com" || got.IsUser() != test.user {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestFind_ATokenInTheHeaderOfItsIssuer(t *testing.T) {
	access, other := trust(t), trust(t)
	access.Header = "cf-access-jwt-assertion"
	other.Name, other.Header = "https://iap.example.com", "X-Goog-Iap-Jwt-Assertion"
	plain := trust(t)
	plain.Name = "https://plain.example.com"
	own := trust(t)
	own.Name, own.Own = "https://app.example.com", true
	v := newVerifier(t, access, other, plain, own)
	good, fromPlain := token(t, nil), token(t, object{"iss": plain.Name})
	ours := token(t, object{"iss": own.Name, "sid": "s", "sid_iat": 1})
	const cf, iap = "Cf-Access-Jwt-Assertion", "X-Goog-Iap-Jwt-Assertion"
	for name, test := range map[string]struct {
		header http.Header
		found  error
		in     string
		want   Reason
	}{
		"in its header":                        {http.Header{cf: {good}}, nil, cf, ""},
		"in Authorization":                     {http.Header{"Authorization": {"Bearer " + good}}, nil, "", ""},
		"another's in Authorization":           {http.Header{"Authorization": {"Bearer " + fromPlain}, cf: {good}}, nil, "", ""},
		"beside credentials of another scheme": {http.Header{"Authorization": {"Basic YTpi"}, cf: {good}}, nil, cf, ""},
		"in another issuer's header":           {http.Header{iap: {good}}, nil, iap, ReasonUnknownIssuer},
		"of an issuer that has none":           {http.Header{cf: {fromPlain}}, nil, cf, ReasonUnknownIssuer},
		"a token of ours":                      {http.Header{cf: {ours}}, nil, cf, ReasonUnknownIssuer},
		"beside malformed credentials":         {http.Header{"Authorization": {"Bearer a b"}, cf: {good}}, ErrMalformed, "", ""},
		"twice":                                {http.Header{cf: {good, good}}, ErrMalformed, cf, ""},
		"in two headers":                       {http.Header{cf: {good}, iap: {good}}, ErrMalformed, "", ""},
		"with a scheme":                        {http.Header{cf: {"Bearer " + good}}, ErrMalformed, cf, ""},
		"with a blank":                         {http.Header{cf: {" " + good}}, ErrMalformed, cf, ""},
		"empty":                                {http.Header{cf: {""}}, ErrNoToken, "", ""},
		"nowhere":                              {http.Header{}, ErrNoToken, "", ""},
		"in a header that nobody named":        {http.Header{"X-Token": {good}}, ErrNoToken, "", ""},
	} {
		credential, err := v.Find(test.header)
		if !errors.Is(err, test.found) || test.in != "" && credential.Header != test.in {
			t.Errorf("%s: %q, %v", name, credential.Header, err)
		}
		if err != nil {
			continue
		}
		for range 2 { // the second is remembered
			if _, err := v.VerifyFound(t.Context(), credential); reasonOf(t, err) != test.want {
				t.Errorf("%s: %v, want %q", name, err, test.want)
			}
		}
	}
	// What was verified for one place is not good in another.
	if _, err := v.Verify(t.Context(), fromPlain); err != nil {
		t.Fatal(err)
	}
	if _, err := v.VerifyFound(t.Context(), Credential{fromPlain, cf}); reasonOf(t, err) != ReasonUnknownIssuer {
		t.Errorf("%v", err)
	}
}

// secretToken signs with HMAC.
func secretToken(t *testing.T, secret []byte, header, claims object) string {
	t.Helper()
	input := b64([]byte(encode(t, header))) + "." + b64([]byte(encode(t, claims)))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + b64(mac.Sum(nil))
}

// Algorithm confusion: where an issuer replaces its secret by keys, each verifies its
// own algorithms, whatever the other's kid is.
func TestV4_ASecretBesidePublicKeys(t *testing.T) {
	secret := bytes.Repeat([]byte("k"), 32)
	key, err := jose.NewSecret(secret, jose.HS256)
	must(t, err)
	i := trust(t)
	i.Secret, err = NewStatic(key)
	must(t, err)
	v := newVerifier(t, i)
	public := jwk(t, idpKey(), nil)
	for name, test := range map[string]struct {
		token string
		want  Reason
	}{
		"the key's":                        {token(t, nil), ""},
		"the secret's":                     {secretToken(t, secret, object{"alg": "HS256"}, claims(nil)), ""},
		"the secret's, by any kid":         {secretToken(t, secret, object{"alg": "HS256", "kid": "p1/q"}, claims(nil)), ""},
		"the secret's, by the key's kid":   {secretToken(t, secret, object{"alg": "HS256", "kid": idpKey().ID()}, claims(nil)), ""},
		"another secret's":                 {secretToken(t, []byte("another"), object{"alg": "HS256"}, claims(nil)), ReasonSignature},
		"an empty secret's":                {secretToken(t, nil, object{"alg": "HS256"}, claims(nil)), ReasonSignature},
		"the public JWK as a secret":       {secretToken(t, []byte(encode(t, public)), object{"alg": "HS256", "kid": idpKey().ID()}, claims(nil)), ReasonSignature},
		"the public DER as a secret":       {secretToken(t, derOf(t, public), object{"alg": "HS256", "kid": idpKey().ID()}, claims(nil)), ReasonSignature},
		"the secret's, as an ES256":        {secretToken(t, secret, object{"alg": "ES256", "kid": idpKey().ID()}, claims(nil)), ReasonSignature},
		"the secret's, of another HMAC":    {secretToken(t, secret, object{"alg": "HS512"}, claims(nil)), ReasonAlgorithm},
		"the key's, as an HS256":           {sign(t, idpKey(), header(idpKey(), object{"alg": "HS256"}), claims(nil)), ReasonSignature},
		"an ES256 of a key without kid":    {sign(t, keyOf("evil", jose.ES256), object{"alg": "ES256"}, claims(nil)), ReasonSignature},
		"none":                             {secretToken(t, secret, object{"alg": "none"}, claims(nil)), ReasonAlgorithm},
		"of another issuer with no secret": {secretToken(t, secret, object{"alg": "HS256"}, claims(object{"iss": "x"})), ReasonUnknownIssuer},
	} {
		t.Run(name, func(t *testing.T) { expect(t, v, test.token, test.want) })
	}
	without := newVerifier(t, trust(t))
	expect(t, without, secretToken(t, secret, object{"alg": "HS256"}, claims(nil)), ReasonAlgorithm)

	i.Secret = static(t, idpKey())
	if _, err := New(Config{Issuers: []Issuer{i}}); err == nil {
		t.Error("public keys are taken for a secret")
	}
}
