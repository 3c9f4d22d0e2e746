package bearer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"authsidecar/sessions/jose"
)

var b64 = base64.RawURLEncoding.EncodeToString

// spoil are tokens that differ from a good one in what the name says.
type spoil struct {
	name, token string
	want        Reason
}

func expectAll(t *testing.T, v *Verifier, tests []spoil) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Helper()
			expect(t, v, test.token, test.want)
			if test.want != "" && cached(v) != 0 {
				t.Error("a refused token is remembered")
			}
			purge(v)
		})
	}
}

func TestV1_OnlyCompactForm(t *testing.T) {
	good := token(t, nil)
	part := strings.Split(good, ".")
	signature := object{"protected": part[0], "signature": part[2]}
	expectAll(t, newVerifier(t, trust(t)), []spoil{
		{"flattened", encode(t, object{"protected": part[0], "payload": part[1], "signature": part[2]}), ReasonForm},
		{"general", encode(t, object{"payload": part[1], "signatures": []any{signature}}), ReasonForm},
		{"general with a bad and a good one", encode(t, object{"payload": part[1], "signatures": []any{object{"protected": part[0], "signature": "AA"}, signature}}), ReasonForm},
		{"leading space", " " + good, ReasonForm},
		{"newline at the end", good + "\n", ReasonForm},
		{"newline inside", part[0] + ".\n" + part[1] + "." + part[2], ReasonForm},
		{"padding", good + "==", ReasonForm},
		{"padding of the header", part[0] + "=." + part[1] + "." + part[2], ReasonForm},
		{"letters of plain base64", part[0] + "+/." + part[1] + "." + part[2], ReasonForm},
		{"claims alone", encode(t, claims(nil)), ReasonForm},
		{"empty", "", ReasonForm},
		{"two segments", part[0] + "." + part[1], ReasonForm},
		{"four segments", good + ".", ReasonForm},
		{"dots alone", "..", ReasonHeader},
		{"no header", "." + part[1] + "." + part[2], ReasonHeader},
		{"no claims", part[0] + ".." + part[2], ReasonClaims},
	})
}

func TestV2_OneSpellingOfAToken(t *testing.T) {
	good := token(t, nil)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	tests := make([]spoil, 0, 48)
	for spare := 1; spare < 16; spare++ { // 64 bytes leave four bits over
		tests = append(tests, spoil{"spare bits", good[:len(good)-1] + alphabet[last^spare:][:1], ReasonBase64})
	}
	expectAll(t, newVerifier(t, trust(t)), tests)
}

func TestV3_AlgorithmMustMatchKey(t *testing.T) {
	tests := make([]spoil, 0, 48)
	for _, alg := range []any{
		"none", "NoNe", "None", "NONE", "es256", "ES256K", "ES384", "ES512", "EdDSA", "RS256", "PS256", "HS256", "HS512", "foo",
		"", "ES256 ", absent, nil, 7,
		[]string{"ES256"},
	} {
		signed := sign(t, idpKey(), header(idpKey(), object{"alg": alg}), claims(nil))
		want := ReasonAlgorithm
		switch alg := alg.(type) {
		case nil, int, []string:
			want = ReasonHeader
		case string:
			if alg == "" {
				want = ReasonHeader
			}
		}
		tests = append(
			tests,
			spoil{"signed well", signed, want},
			spoil{"not signed", signed[:strings.LastIndex(signed, ".")+1], want},
		)
	}
	good := token(t, nil)
	tests = append(tests, spoil{"no signature", good[:strings.LastIndex(good, ".")+1], ReasonSignature})
	expectAll(t, newVerifier(t, trust(t)), tests)
}

func TestV4_APublicKeyIsNoSecret(t *testing.T) {
	public := jwk(t, idpKey(), nil)
	der := derOf(t, public)
	tests := make([]spoil, 0, 48)
	for name, secret := range map[string]string{
		"JWK":             encode(t, public),
		"JWK and newline": encode(t, public) + "\n",
		"JWKS":            jwks(t, public),
		"PEM":             string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"DER":             string(der),
		"nothing":         "",
	} {
		for _, kid := range []any{idpKey().ID(), absent} {
			input := b64([]byte(encode(t, header(idpKey(), object{"alg": "HS256", "kid": kid})))) + "." + b64([]byte(encode(t, claims(nil))))
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(input))
			tests = append(tests, spoil{name, input + "." + b64(mac.Sum(nil)), ReasonAlgorithm})
		}
	}
	expectAll(t, newVerifier(t, trust(t)), tests)
}

func TestV5_KeysOnlyFromTheConfiguration(t *testing.T) {
	var hits atomic.Int64
	evil := keyOf("evil", jose.ES256)
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		status(200, published(t, evil))(w, nil)
	})
	public := jwk(t, evil, nil)
	v := newVerifier(t, trust(t))
	for name, value := range map[string]any{
		"jwk": public, "jku": server.URL, "x5u": server.URL, "x5c": []string{"AAAA"}, "x5t": evil.ID(), "x5t#S256": evil.ID(), "cat": "cl_B7d4PD111AAA",
	} {
		expect(t, v, sign(t, idpKey(), header(idpKey(), object{name: value}), claims(nil)), "")
		expect(t, v, sign(t, evil, header(evil, object{name: value}), claims(nil)), ReasonUnknownKey)
		expect(t, v, sign(t, evil, header(idpKey(), object{name: value}), claims(nil)), ReasonSignature)
		expect(t, v, sign(t, evil, header(evil, object{name: value, "kid": absent}), claims(nil)), ReasonSignature)
	}
	if hits.Load() != 0 {
		t.Error("a header was followed")
	}
}

func TestV6_KeyIDIsNothingButAKey(t *testing.T) {
	i := trust(t)
	i.Keys = static(t, idpKey(), keyOf("second", jose.ES256))
	tests := make([]spoil, 0, 48)
	for _, test := range []struct {
		name string
		kid  any
		want Reason
	}{
		{"a path", "../../../../dev/null", ReasonUnknownKey},
		{"SQL", "' OR 1=1 --", ReasonUnknownKey},
		{"an URL", "https://evil.example.com/keys", ReasonUnknownKey},
		{"a command", "|/bin/sleep 9", ReasonUnknownKey},
		{"another case", strings.ToLower(idpKey().ID()) + "X", ReasonUnknownKey},
		{"256 bytes", strings.Repeat("k", 256), ReasonUnknownKey},
		{"257 bytes", strings.Repeat("k", 257), ReasonHeader},
		{"a megabyte", strings.Repeat("k", 1<<20), ReasonTooLarge},
		{"a number", 7, ReasonHeader},
		{"null", nil, ReasonHeader},
		{"an array", []string{idpKey().ID()}, ReasonHeader},
		{"absent, of two keys", absent, ReasonUnknownKey},
	} {
		tests = append(tests, spoil{test.name, sign(t, idpKey(), header(idpKey(), object{"kid": test.kid}), claims(nil)), test.want})
	}
	expectAll(t, newVerifier(t, i), tests)
	expect(t, newVerifier(t, trust(t)), sign(t, idpKey(), header(idpKey(), object{"kid": absent}), claims(nil)), "")
}

func TestV7V8_NoExtensions(t *testing.T) {
	tests := make([]spoil, 0, 48)
	for name, members := range map[string]object{
		"unknown":         {"crit": []string{"x"}, "x": 1},
		"empty":           {"crit": []string{}},
		"twice the same":  {"crit": []string{"x", "x"}, "x": 1},
		"no array":        {"crit": "exp"},
		"null":            {"crit": nil},
		"standard member": {"crit": []string{"alg"}},
	} {
		tests = append(tests, spoil{name, sign(t, idpKey(), header(idpKey(), members), claims(nil)), ReasonCritical})
	}
	for name, members := range map[string]object{
		"b64 false": {"b64": false},
		"b64 true":  {"b64": true},
	} {
		tests = append(tests, spoil{name, sign(t, idpKey(), header(idpKey(), members), claims(nil)), ReasonHeaderMember})
	}
	for _, value := range []string{"false", "true"} {
		h := `{"crit":["b64"],"b64":` + value + "," + encode(t, header(idpKey(), nil))[1:]
		tests = append(tests, spoil{"b64 " + value + " in crit", signRaw(t, idpKey(), h, encode(t, claims(nil))), ReasonCritical})
	}
	expectAll(t, newVerifier(t, trust(t)), tests)
}

func TestV9_NoEncryptedTokens(t *testing.T) {
	bomb := b64([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA","zip":"DEF"}`))
	expectAll(t, newVerifier(t, trust(t)), []spoil{
		{"five segments", bomb + ".AAAA.AAAA.AAAA.AAAA", ReasonEncrypted},
		{"direct key", b64([]byte(`{"alg":"dir","enc":"A128GCM"}`)) + "..AAAA.AAAA.AAAA", ReasonEncrypted},
	})
}

func TestV10_NoNestedTokens(t *testing.T) {
	inner := token(t, nil)
	h := encode(t, header(idpKey(), nil))
	withType := func(cty string) string { return encode(t, header(idpKey(), object{"cty": cty})) }
	expectAll(t, newVerifier(t, trust(t)), []spoil{
		{"payload is a token", signRaw(t, idpKey(), h, inner), ReasonClaims}, // nobody's: it names no issuer
		{"payload is a token in a string", signRaw(t, idpKey(), h, `"`+inner+`"`), ReasonClaims},
		{"cty says so", signRaw(t, idpKey(), withType("JWT"), inner), ReasonNested},
		{"cty says so in another case", signRaw(t, idpKey(), withType("jwt"), inner), ReasonNested},
		{"cty says so of claims", signRaw(t, idpKey(), withType("JWT"), encode(t, claims(nil))), ReasonNested},
	})
}

func TestV11_NoNameTwice(t *testing.T) {
	h, c := encode(t, header(idpKey(), nil)), encode(t, claims(nil))
	twice := func(text, member string) string { return "{" + member + "," + text[1:] }
	expectAll(t, newVerifier(t, trust(t)), []spoil{
		{"alg", signRaw(t, idpKey(), twice(h, `"alg":"none"`), c), ReasonHeader},
		{"alg, the same", signRaw(t, idpKey(), twice(h, `"alg":"ES256"`), c), ReasonHeader},
		{"alg, escaped", signRaw(t, idpKey(), twice(h, `"\u0061lg":"ES256"`), c), ReasonHeader},
		{"sub", signRaw(t, idpKey(), h, twice(c, `"sub":"root"`)), ReasonClaims},
		{"exp", signRaw(t, idpKey(), h, twice(c, `"exp":1`)), ReasonClaims},
		{"sub, escaped", signRaw(t, idpKey(), h, twice(c, `"s\u0075b":"root"`)), ReasonClaims},
		{"deep inside", signRaw(t, idpKey(), h, twice(c, `"org":{"a":[{"b":1,"b":2}]}`)), ReasonClaims},
	})
}

func TestV12_NamesOfHeadersAreCaseSensitive(t *testing.T) {
	expectAll(t, newVerifier(t, trust(t)), []spoil{
		{"Alg", sign(t, idpKey(), header(idpKey(), object{"alg": absent, "Alg": "ES256"}), claims(nil)), ReasonAlgorithm},
		{"typ", sign(t, idpKey(), header(idpKey(), object{"typ": "rt+jwt", "Typ": "JWT"}), claims(nil)), ReasonType},
		{"crit", sign(t, idpKey(), header(idpKey(), object{"crit": []string{"Alg"}, "Alg": "ES256"}), claims(nil)), ReasonCritical},
		{"ALG beside alg says nothing", sign(t, idpKey(), header(idpKey(), object{"ALG": "none"}), claims(nil)), ""},
		{"nor does Kid", sign(t, idpKey(), header(idpKey(), object{"Kid": "x"}), claims(nil)), ""},
		{"nor Typ", sign(t, idpKey(), header(idpKey(), object{"Typ": "rt+jwt"}), claims(nil)), ""},
	})
}

func TestV13_ClaimsAreOneStrictObject(t *testing.T) {
	h, good := encode(t, header(idpKey(), nil)), encode(t, claims(nil))
	with := func(member string) string { return "{" + member + "," + good[1:] }
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	tests := make([]spoil, 0, 48)
	for name, data := range map[string]string{
		"trailing data":        good + "{}",
		"trailing word":        good + " x",
		"byte order mark":      "\ufeff" + good,
		"invalid UTF-8":        with("\"x\":\"\xff\""),
		"UTF-8 of a surrogate": with("\"x\":\"\xed\xa0\x80\""),
		"overlong UTF-8":       with("\"x\":\"\xc0\xaf\""),
		"lone surrogate":       with(`"x":"\ud800"`),
		"surrogates, turned":   with(`"x":"\udc00\ud800"`),
		"an array":             "[" + good + "]",
		"null":                 "null",
		"empty":                "{",
		"a comma too many":     with(`"x":[1,]`),
		"single quotes":        with(`'x':1`),
		"a comment":            with(`"x":1/**/`),
		"a leading zero":       with(`"x":01`),
		"NaN":                  with(`"x":NaN`),
		"a raw newline":        with("\"x\":\"\n\""),
		"a hundred deep":       with(`"x":` + deep),
	} {
		tests = append(tests, spoil{name, signRaw(t, idpKey(), h, data), ReasonClaims})
	}
	tests = append(
		tests,
		spoil{"NUL in sub", token(t, object{"sub": "root\x00x"}), ReasonSubject},
		spoil{"white space around it", signRaw(t, idpKey(), h, " "+good+"\n"), ""},
	)
	expectAll(t, newVerifier(t, trust(t)), tests)
}

// publishedKeys is what an issuer has that publishes these keys.
type publishedKeys struct{ set *jose.Set }

func (p publishedKeys) Key(_ context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	return p.set.Lookup(kid, alg)
}

func (publishedKeys) Version() uint64 { return 1 }

func trustPublished(t *testing.T, keys ...any) Issuer {
	t.Helper()
	set, _, err := jose.ParseSet([]byte(jwks(t, keys...)), jose.KeyPolicy{})
	must(t, err)
	i := trust(t)
	i.Keys = publishedKeys{set}
	return i
}

// derOf is the PKIX form of a P-256 key.
func derOf(t *testing.T, jwk object) []byte {
	t.Helper()
	point := []byte{4}
	for _, name := range []string{"x", "y"} {
		part, err := base64.RawURLEncoding.DecodeString(jwk[name].(string))
		must(t, err)
		point = append(point, part...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(key)
	must(t, err)
	return der
}

// input is what is signed of a token.
func input(t *testing.T, alg, kid string) string {
	t.Helper()
	return b64([]byte(encode(t, object{"alg": alg, "kid": kid, "typ": "at+jwt"}))) + "." + b64([]byte(encode(t, claims(nil))))
}

func rsaJWK(key *rsa.PrivateKey, alg, kid string) object {
	return object{
		"kty": "RSA", "kid": kid, "alg": alg, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes()),
	}
}

func TestV20_WeakRSAKeysAreRefused(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it is to be refused
	must(t, err)
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	even := rsaJWK(strong, "RS256", "even")
	even["e"] = "AQAA" // 65536
	one := rsaJWK(strong, "RS256", "one")
	one["e"] = "AQ"
	v := newVerifier(t, trustPublished(t,
		rsaJWK(weak, "RS256", "weak"), even, one, rsaJWK(strong, "RS256", "strong"), rsaJWK(strong, "PS256", "pss"),
	))
	rs := func(key *rsa.PrivateKey, kid string) string {
		in := input(t, "RS256", kid)
		sum := sha256.Sum256([]byte(in))
		signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
		must(t, err)
		return in + "." + b64(signature)
	}
	ps := func(salt int) string {
		in := input(t, "PS256", "pss")
		sum := sha256.Sum256([]byte(in))
		signature, err := rsa.SignPSS(rand.Reader, strong, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: salt})
		must(t, err)
		return in + "." + b64(signature)
	}
	expectAll(t, v, []spoil{
		{"1024 bits", rs(weak, "weak"), ReasonUnknownKey},
		{"even exponent", rs(strong, "even"), ReasonUnknownKey},
		{"exponent 1", rs(strong, "one"), ReasonUnknownKey},
		{"no salt", ps(0), ReasonSignature},
		{"salt of 20 bytes", ps(20), ReasonSignature},
		{"salt of 33 bytes", ps(33), ReasonSignature},
		{"salt as long as may be", ps(rsa.PSSSaltLengthAuto), ReasonSignature},
	})
	expect(t, v, rs(strong, "strong"), "")
	expect(t, v, ps(32), "")
}

func TestV20_MalformedECDSAIsRefused(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	public := object{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k"}
	point, err := key.PublicKey.Bytes()
	must(t, err)
	public["x"], public["y"] = b64(point[1:33]), b64(point[33:])
	v := newVerifier(t, trustPublished(t, public, jwk(t, keyOf("p384", jose.ES384), object{"kid": "p384"})))

	in := input(t, "ES256", "k")
	sum := sha256.Sum256([]byte(in))
	der, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	must(t, err)
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	must(t, err)
	raw := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	good, zero, n := raw(r, s), new(big.Int), elliptic.P256().Params().N
	expectAll(t, v, []spoil{
		{"DER", in + "." + b64(der), ReasonSignature},
		{"r and s are zero", in + "." + b64(raw(zero, zero)), ReasonSignature},
		{"r is zero", in + "." + b64(raw(zero, s)), ReasonSignature},
		{"s is the order", in + "." + b64(raw(r, n)), ReasonSignature},
		{"a byte short", in + "." + b64(good[:63]), ReasonSignature},
		{"a byte long", in + "." + b64(append(good[:64:64], 0)), ReasonSignature},
		{"padded to P-521", in + "." + b64(append(append(make([]byte, 34), good[:32]...), append(make([]byte, 34), good[32:]...)...)), ReasonSignature},
		{"another curve's key", sign(t, keyOf("p384", jose.ES384), object{"alg": "ES256", "kid": "p384", "typ": "at+jwt"}, claims(nil)), ReasonAlgorithm},
	})
	expect(t, v, in+"."+b64(good), "")
}

func TestV20_WeakSecretsAreRefused(t *testing.T) {
	for alg, size := range map[jose.Algorithm]int{jose.HS256: 32, jose.HS384: 48, jose.HS512: 64} {
		if _, err := jose.NewSecret([]byte(strings.Repeat("ab3.", 16))[:size-1], alg); err == nil {
			t.Errorf("%s: %d bytes: accepted", alg, size-1)
		}
	}
}

func TestV21_KeysAreUsedForWhatTheyAreFor(t *testing.T) {
	key := keyOf("first", jose.ES256)
	good := sign(t, key, header(key, nil), claims(nil))
	for name, test := range map[string]struct {
		changes object
		want    Reason
	}{
		"use sig":            {object{"use": "sig"}, ""},
		"no use":             {object{"use": absent}, ""},
		"verify":             {object{"use": absent, "key_ops": []string{"verify"}}, ""},
		"use enc":            {object{"use": "enc"}, ReasonUnknownKey},
		"for signing":        {object{"use": absent, "key_ops": []string{"sign"}}, ReasonUnknownKey},
		"for encrypting":     {object{"use": absent, "key_ops": []string{"encrypt"}}, ReasonUnknownKey},
		"of another alg":     {object{"alg": "ES384"}, ReasonUnknownKey},
		"of no signing alg":  {object{"alg": "ECDH-ES"}, ReasonUnknownKey},
		"its alg is natural": {object{"alg": absent}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, newVerifier(t, trustPublished(t, jwk(t, key, test.changes))), good, test.want)
		})
	}
}

func TestV22_SizeIsBounded(t *testing.T) {
	v := newVerifier(t, trust(t))
	var within, over string // the last that fits, and the first that does not
	for n := 11000; over == ""; n++ {
		if got := token(t, object{"pad": strings.Repeat("x", n)}); len(got) <= jose.MaxTokenSize {
			within = got
		} else {
			over = got
		}
	}
	if len(over)-len(within) > 2 {
		t.Fatalf("from %d to %d bytes", len(within), len(over))
	}
	expect(t, v, within, "")
	expect(t, v, over, ReasonTooLarge)
	expect(t, v, strings.Repeat("a", 2<<20), ReasonTooLarge)
}

func FuzzVerify(f *testing.F) {
	key := keyOf("fuzz", jose.EdDSA) // no other signature of the same bytes is good
	i := trust(f)
	i.Keys = static(f, key)
	v := newVerifier(f, i)
	good := sign(f, key, header(key, nil), claims(nil))
	f.Add(good, encode(f, header(key, nil)), encode(f, claims(nil)))
	f.Add(token(f, nil), `{"alg":"none"}`, `{"iss":"`+idp+`","sub":"a","sub":"b"}`)
	f.Add("a.b.c", `{"alg":"EdDSA","crit":[]}`, encode(f, claims(object{"exp": json.RawMessage("1e300"), "aud": []any{app, 1}})))
	f.Fuzz(func(t *testing.T, foreign, header, claims string) {
		if _, err := v.Verify(t.Context(), foreign); err == nil && foreign != good {
			t.Errorf("accepted what nobody signed: %q", foreign)
		}
		v.IssuerOf(foreign)
		own, err := key.Sign([]byte(header), []byte(claims))
		if err != nil {
			return
		}
		caller, err := v.Verify(t.Context(), own)
		if err != nil {
			_ = reasonOf(t, err)
			return
		}
		if caller.Issuer != idp || caller.Subject == "" || caller.Own || caller.User ||
			!caller.ExpiresAt.After(noon) || caller.ExpiresAt.After(noon.Add(i.MaxLifetime)) {
			t.Errorf("accepted %q as %+v", claims, caller)
		}
	})
}
