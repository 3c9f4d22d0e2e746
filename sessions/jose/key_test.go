package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"

	"authsidecar/sessions/strictjson"
)

func jwks(t testing.TB, keys ...any) []byte {
	t.Helper()
	return []byte(text(t, object{"keys": keys}))
}

func octKey(size int, changes object) object {
	return with(object{"kty": "oct", "alg": "HS256", "kid": "secret", "k": b64(strings.Repeat("k", size))}, changes)
}

func TestV3_AlgorithmsAreKnownByTheirExactName(t *testing.T) {
	for _, alg := range append(Asymmetric(), symmetric...) {
		if got, err := ParseAlgorithm(string(alg)); err != nil || got != alg {
			t.Errorf("%s: %s, %v", alg, got, err)
		}
		if alg.Symmetric() != strings.HasPrefix(string(alg), "HS") {
			t.Errorf("%s: symmetric is %v", alg, alg.Symmetric())
		}
	}
	for _, name := range []string{"", "none", "None", "es256", "ES256K", "ES256 ", "EDDSA", "HS1", "RSA-OAEP", "dir"} {
		_, err := ParseAlgorithm(name)
		expect(t, name, err, ErrAlgorithm)
		if Algorithm(name).Symmetric() {
			t.Errorf("%q is symmetric", name)
		}
	}
	if len(kinds) != len(asymmetric)+len(symmetric) || slices.ContainsFunc(Asymmetric(), Algorithm.Symmetric) {
		t.Error("the lists are not complete")
	}
	Asymmetric()[0] = "none"
	if Asymmetric()[0] != ES256 {
		t.Error("a caller can change the list")
	}
}

func TestV3_KeysOutsideTheAllowListAreSkipped(t *testing.T) {
	es, ed, rs := publicOf(t, keyOf("good", ES256)), publicOf(t, keyOf("good", EdDSA)), publicOf(t, keyOf("good", RS256))
	set, skipped, err := ParseSet(jwks(t, es, ed, rs), KeyPolicy{Algorithms: []Algorithm{EdDSA}})
	if err != nil || set.Len() != 1 || set.Keys()[0].Algorithm() != EdDSA || len(skipped) != 2 {
		t.Fatalf("%v, %v, %v", set, skipped, err)
	}
	for i, want := range []object{es, rs} {
		if s := skipped[i]; s.Index != 2*i || s.KeyID != want["kid"] || !errors.Is(s.Err, ErrAlgorithm) {
			t.Errorf("%+v", s)
		}
	}
	if set, _, err := ParseSet(jwks(t, es, ed, rs), KeyPolicy{Algorithms: []Algorithm{}}); err != nil || set.Len() != 0 {
		t.Errorf("an empty list allows %d keys, %v", set.Len(), err)
	}
}

func TestTheErrorOfAKeySaysWhichAlgorithmsItIsFor(t *testing.T) {
	ed := KeyPolicy{Algorithms: []Algorithm{EdDSA}}
	for _, c := range []struct {
		key  object
		want string
	}{
		{publicOf(t, keyOf("good", ES256)), "algorithm is not allowed: the key is for ES256"},
		{with(publicOf(t, keyOf("good", RS256)), object{"alg": absent}), "algorithm is not allowed: the key is for RS256 RS384 RS512 PS256 PS384 PS512"},
		{with(publicOf(t, keyOf("good", ES256)), object{"alg": "ECDH-ES"}), "algorithm is not allowed"},
	} {
		_, skipped, err := ParseSet(jwks(t, c.key), ed)
		if err != nil || len(skipped) != 1 || skipped[0].Err.Error() != c.want {
			t.Errorf("%v: %v, %v", c.key["alg"], skipped, err)
		}
	}
}

func TestV4_NoSymmetricKeysBesideAsymmetricOnes(t *testing.T) {
	es := keyOf("good", ES256)
	secret, err := NewSecret(bytes.Repeat([]byte("k"), 32), HS256)
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewSet(es.Public(), secret)
	expect(t, "a set", err, ErrMixedKeys)
	_, err = NewSet(secret, es.Public())
	expect(t, "a set in another order", err, ErrMixedKeys)
	for name, policy := range map[string]KeyPolicy{"all": {Symmetric: true}, "HMAC alone": {Symmetric: true, Algorithms: symmetric}, "the other alone": {Symmetric: true, Algorithms: asymmetric}} {
		fromSet, _, err := ParseSet(jwks(t, publicOf(t, es), octKey(32, nil)), policy)
		fromFile, skipped, fileErr := ParseKeys(jwks(t, octKey(32, nil), privateOf(t, es)), policy)
		if err != nil || fileErr != nil {
			t.Fatal(name, err, fileErr)
		}
		for _, key := range append(fromSet.Keys(), fromFile.Keys()...) {
			if key.Algorithm().Symmetric() {
				t.Errorf("%s: %v beside a public key", name, key)
			}
		}
		if want := map[bool]error{true: ErrAlgorithm, false: ErrMixedKeys}[name == "the other alone"]; !errors.Is(skipped[0].Err, want) {
			t.Errorf("%s: %v", name, skipped)
		}
	}
	set, skipped, err := ParseSet(jwks(t, octKey(32, nil), publicOf(t, es)), KeyPolicy{})
	if err != nil || set.Len() != 1 || len(skipped) != 1 || !errors.Is(skipped[0].Err, ErrSymmetricKey) {
		t.Errorf("without leave: %v, %v, %v", set, skipped, err)
	}
	if set, skipped, err = ParseSet(jwks(t, octKey(32, nil), octKey(64, object{"kid": "b", "alg": "HS512"})), KeyPolicy{Symmetric: true}); err != nil || set.Len() != 2 || len(skipped) != 0 {
		t.Errorf("with leave: %v, %v, %v", set, skipped, err)
	}
	_, _, err = ParseKeys([]byte(text(t, octKey(32, nil))), KeyPolicy{})
	expect(t, "a file without leave", err, ErrSymmetricKey)
}

// Whoever takes the public key for a secret is lost; nothing here does.
func TestV4_APublicKeyIsNoSecret(t *testing.T) {
	for _, alg := range []Algorithm{ES256, RS256, EdDSA} {
		key := keyOf("good", alg)
		der, err := x509.MarshalPKIXPublicKey(key.signer().Public())
		pem := pemOf("PUBLIC KEY", der, err)
		jwk, _ := key.Public().PublicJWK()
		for name, secret := range map[string]string{"PEM": pem, "PEM without newline": strings.TrimSpace(pem), "DER": string(der), "JWK": string(jwk), "JWK and newline": string(jwk) + "\n", "JWK set": string(jwks(t, jwk))} {
			for _, kid := range []any{key.ID(), "other", absent} {
				set, _ := NewSet(key.Public())
				header := with(headerOf(key), object{"alg": "HS256", "kid": kid})
				message := b64(text(t, header)) + "." + b64(goodClaims)
				token := message + "." + b64(hmacOf(secret, message))
				parsed, err := Parse(token)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := set.Lookup(parsed.Header.KeyID, HS256); !errors.Is(err, ErrAlgorithm) && !errors.Is(err, ErrUnknownKey) {
					t.Errorf("%s %s: a key is found, %v", alg, name, err)
				}
				err = parsed.Verify(key.Public(), nil)
				expect(t, fmt.Sprint(alg, name), err, ErrAlgorithm)
			}
		}
	}
}

func hmacOf(secret, message string) string {
	mac := newMAC([]byte(secret))
	mac.Write([]byte(message))
	return string(mac.Sum(nil))
}

func TestHMACTokensAreVerified(t *testing.T) {
	secret := strings.Repeat("k", 32)
	key, err := NewSecret([]byte(secret), HS256)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{`{"alg":"HS256"}`, `{"alg":"HS256","kid":"any"}`} {
		message := b64(header) + "." + b64(goodClaims)
		if claims, err := verify(message+"."+b64(hmacOf(secret, message)), key); err != nil || string(claims) != goodClaims {
			t.Errorf("%s: %s, %v", header, claims, err)
		}
		_, err = verify(message+"."+b64(hmacOf(secret+"x", message)), key)
		expect(t, header, err, ErrSignature)
	}
}

func TestV5_J5_M7_OnlyPublicMembersAreShown(t *testing.T) {
	allowed := map[string]string{"ES256": "alg crv kid kty use x y", "EdDSA": "alg crv kid kty use x", "RS256": "alg e kid kty n use"}
	for alg, names := range allowed {
		key := keyOf("good", Algorithm(alg))
		var got []string
		public := publicOf(t, key)
		for name := range public {
			got = append(got, name)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != names || public["kid"] != key.ID() || public["use"] != "sig" || public["alg"] != alg {
			t.Errorf("%s: %v", alg, public)
		}
		read, _, err := ParseSet(jwks(t, public), KeyPolicy{})
		if err != nil || read.Len() != 1 || read.Keys()[0].Thumbprint() != key.ID() {
			t.Errorf("%s: %v, %v", alg, read, err)
		}
		fromPrivate, _, err := ParseKeys([]byte(text(t, privateOf(t, key))), KeyPolicy{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := fromPrivate.Keys()[0].PublicJWK()
		if err != nil || text(t, parsed(t, again)) != text(t, public) {
			t.Errorf("%s of a private key: %s, %v", alg, again, err)
		}
	}
	secret, _ := NewSecret(bytes.Repeat([]byte("k"), 32), HS256)
	_, err := secret.PublicJWK()
	expect(t, "a secret", err, ErrSymmetricKey)
	pem, _, err := ParseKeys([]byte(pemOf("PUBLIC KEY", derOf(t, keyOf("good", ES256)), nil)), KeyPolicy{})
	if err != nil {
		t.Fatal(err)
	}
	if jwk, err := pem.Keys()[0].PublicJWK(); err != nil || bytes.Contains(jwk, []byte("kid")) {
		t.Errorf("a key without ID: %s, %v", jwk, err)
	}
}

func derOf(t testing.TB, key *PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.signer().Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// The examples of RFC 7638 section 3.1 and RFC 8037 appendix A.3.
func TestM7_ThumbprintsAreThoseOfTheStandards(t *testing.T) {
	for jwk, want := range map[string]string{
		`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
	} {
		set, _, err := ParseKeys([]byte(jwk), KeyPolicy{})
		if err != nil || set.Keys()[0].Thumbprint() != want {
			t.Errorf("%v, %v, want %s", set, err, want)
		}
	}
	key := keyOf("good", ES384)
	if key.ID() != key.Public().Thumbprint() || key.ID() != key.Public().ID() || key.ID() == keyOf("evil", ES384).ID() {
		t.Errorf("%s is not the thumbprint", key.ID())
	}
}

func TestASecretsThumbprintTellsNothingOfIt(t *testing.T) {
	a, _ := NewSecret(bytes.Repeat([]byte("a"), 32), HS256)
	again, _ := NewSecret(bytes.Repeat([]byte("a"), 32), HS256)
	b, _ := NewSecret(bytes.Repeat([]byte("b"), 32), HS256)
	if a.Thumbprint() != again.Thumbprint() || a.Thumbprint() == b.Thumbprint() || a.Thumbprint() == b64(hmacOf("", strings.Repeat("a", 32))) {
		t.Error("two secrets have one thumbprint")
	}
	if strings.Contains(a.Thumbprint(), b64("aaaaaa")) {
		t.Error("the thumbprint is the secret")
	}
	canonical := fmt.Sprintf(`{"k":%q,"kty":"oct"}`, b64(strings.Repeat("a", 32)))
	if a.Thumbprint() == wantThumbprint(canonical) {
		t.Error("the thumbprint helps to guess the secret")
	}
}

func TestV20_WeakKeysAreSkippedOrRefused(t *testing.T) {
	good := publicOf(t, keyOf("good", RS256))
	n, _ := base64.RawURLEncoding.DecodeString(good["n"].(string))
	even := slices.Clone(n)
	even[len(even)-1] &^= 1
	short, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // weak on purpose
	if err != nil {
		t.Fatal(err)
	}
	number := func(b []byte) string { return b64(string(b)) }
	huge := new(big.Int).SetBit(new(big.Int).SetBytes(n), 8192, 1)
	for name, test := range map[string]struct {
		key  object
		want error
	}{
		"1024 bits":                {with(good, object{"n": number(short.N.Bytes())}), ErrWeakKey},
		"2047 bits":                {with(good, object{"n": number(new(big.Int).SetBit(big.NewInt(1), 2046, 1).Bytes())}), ErrWeakKey},
		"zeros before 1024 bits":   {with(good, object{"n": number(append(make([]byte, 200), short.N.Bytes()...))}), ErrWeakKey},
		"8193 bits":                {with(good, object{"n": number(huge.Bytes())}), ErrUnsupportedKey},
		"an even modulus":          {with(good, object{"n": number(even)}), ErrWeakKey},
		"modulus 0":                {with(good, object{"n": ""}), ErrWeakKey},
		"exponent 0":               {with(good, object{"e": ""}), ErrWeakKey},
		"exponent 1":               {with(good, object{"e": "AQ"}), ErrWeakKey},
		"exponent 2":               {with(good, object{"e": "Ag"}), ErrWeakKey},
		"exponent 65536":           {with(good, object{"e": "AQAA"}), ErrWeakKey},
		"exponent 2^31":            {with(good, object{"e": "gAAAAA"}), ErrUnsupportedKey},
		"exponent 2^64+1":          {with(good, object{"e": "AQAAAAAAAAAB"}), ErrUnsupportedKey},
		"ROCA":                     {with(good, object{"n": number(rocaModulus(t))}), ErrWeakKey},
		"HS256 with 31 bytes":      {octKey(31, nil), ErrWeakKey},
		"HS384 with 47 bytes":      {octKey(47, object{"alg": "HS384"}), ErrWeakKey},
		"HS512 with 63 bytes":      {octKey(63, object{"alg": "HS512"}), ErrWeakKey},
		"an empty secret":          {octKey(0, nil), ErrWeakKey},
		"a secret without its alg": {octKey(31, object{"alg": absent}), ErrWeakKey},
	} {
		policy := KeyPolicy{Symmetric: test.key["kty"] == "oct"}
		set, skipped, err := ParseSet(jwks(t, test.key), policy)
		if err != nil || set.Len() != 0 || len(skipped) != 1 || !errors.Is(skipped[0].Err, test.want) || skipped[0].KeyID != test.key["kid"] {
			t.Errorf("%s: %v, %v, %v", name, set, skipped, err)
		}
		_, _, err = ParseKeys([]byte(text(t, test.key)), policy)
		expect(t, name+" as a file", err, test.want)
		if test.want == ErrWeakKey { //nolint:errorlint // the table's own value
			_, _, err = ParseKeys(jwks(t, test.key), policy)
			expect(t, name+" as a file of a set", err, ErrWeakKey)
		}
	}
	for alg, size := range map[Algorithm]int{HS256: 32, HS384: 48, HS512: 64} {
		_, err := NewSecret(make([]byte, size-1), alg)
		expect(t, "a short secret for "+string(alg), err, ErrWeakKey)
		if _, err := NewSecret(make([]byte, size), alg); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	_, err = NewSecret(make([]byte, 64), ES256)
	expect(t, "a secret for ES256", err, ErrAlgorithm)
	der, err := x509.MarshalPKIXPublicKey(short.Public())
	_, _, err = ParseKeys([]byte(pemOf("PUBLIC KEY", der, err)), KeyPolicy{})
	expect(t, "1024 bits as PEM", err, ErrWeakKey)
	_, _, err = ParseKeys([]byte(pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(short), nil)), KeyPolicy{})
	expect(t, "1024 bits, private, as PEM", err, ErrWeakKey)
	_, err = ParsePrivate([]byte(pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(short), nil)), "")
	expect(t, "1024 bits to sign", err, ErrWeakKey)
}

func TestV20_ROCAIsDistinguishedFromOtherModuli(t *testing.T) {
	if !isROCA(new(big.Int).SetBytes(rocaModulus(t))) {
		t.Error("the fingerprint is not seen")
	}
	for i := range 2000 {
		n := new(big.Int).SetBit(big.NewInt(int64(2*i+1)), 2047, 1)
		if isROCA(n) {
			t.Errorf("2^2047+%d has the fingerprint", 2*i+1)
		}
	}
	if isROCA(keyOf("good", RS256).signer().Public().(*rsa.PublicKey).N) {
		t.Error("a key of ours has the fingerprint")
	}
}

func TestV20_PSSSaltIsAsLongAsTheHash(t *testing.T) {
	for _, alg := range []Algorithm{PS256, PS384, PS512} {
		key := keyOf("good", alg)
		size := kinds[alg].hash.Size()
		if _, err := verify(saltedToken(t, key, size), key.Public()); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		for _, salt := range []int{1, 20, size - 1, size + 1, 128} {
			_, err := verify(saltedToken(t, key, salt), key.Public())
			expect(t, fmt.Sprintf("%s with a salt of %d", alg, salt), err, ErrSignature)
		}
	}
}

func TestV20_ESAlgorithmsAreBoundToTheirCurves(t *testing.T) {
	for _, alg := range []Algorithm{ES256, ES384, ES512} {
		public := publicOf(t, keyOf("good", alg))
		other := publicOf(t, keyOf("evil", alg))
		cut, _ := base64.RawURLEncoding.DecodeString(public["x"].(string))
		for name, test := range map[string]struct {
			changes object
			want    error
		}{
			"another curve's alg":  {object{"alg": map[Algorithm]Algorithm{ES256: ES384, ES384: ES512, ES512: ES256}[alg]}, ErrAlgorithm},
			"EdDSA":                {object{"alg": "EdDSA"}, ErrAlgorithm},
			"HS256":                {object{"alg": "HS256"}, ErrAlgorithm},
			"another curve":        {object{"crv": map[Algorithm]string{ES256: "P-384", ES384: "P-521", ES512: "P-256"}[alg]}, ErrKey},
			"secp256k1":            {object{"crv": "secp256k1"}, ErrUnsupportedKey},
			"P-224":                {object{"crv": "P-224"}, ErrUnsupportedKey},
			"no curve":             {object{"crv": absent}, ErrUnsupportedKey},
			"a point off it":       {object{"y": other["y"]}, ErrKey},
			"the point 0":          {object{"x": b64(string(make([]byte, len(cut)))), "y": b64(string(make([]byte, len(cut))))}, ErrKey},
			"a long x":             {object{"x": b64("\x00" + string(cut))}, ErrKey},
			"a short x":            {object{"x": b64(string(cut[1:]))}, ErrKey},
			"no y":                 {object{"y": absent}, ErrKey},
			"x out of the field":   {object{"x": b64(strings.Repeat("\xff", len(cut)))}, ErrKey},
			"x padded":             {object{"x": public["x"].(string) + "="}, ErrKey},
			"x with a newline":     {object{"x": public["x"].(string) + "\n"}, ErrKey},
			"x as a number":        {object{"x": 7}, ErrKey},
			"x null":               {object{"x": nil}, ErrKey},
			"kty of another":       {object{"kty": "RSA"}, ErrKey},
			"kty in another case":  {object{"kty": "ec"}, ErrUnsupportedKey},
			"kty missing":          {object{"kty": absent}, ErrUnsupportedKey},
			"kty in a wrong type":  {object{"kty": 1}, ErrKey},
			"names in other cases": {object{"kty": absent, "KTY": "EC"}, ErrUnsupportedKey},
		} {
			_, skipped, err := ParseSet(jwks(t, with(public, test.changes)), KeyPolicy{})
			if err != nil || len(skipped) != 1 || !errors.Is(skipped[0].Err, test.want) {
				t.Errorf("%s, %s: %v, %v, want %v", alg, name, skipped, err, test.want)
			}
		}
	}
	okp := publicOf(t, keyOf("good", EdDSA))
	for name, test := range map[string]struct {
		changes object
		want    error
	}{
		"X25519": {object{"crv": "X25519"}, ErrUnsupportedKey}, "Ed448": {object{"crv": "Ed448"}, ErrUnsupportedKey}, "a short x": {object{"x": "AAAA"}, ErrKey}, "no x": {object{"x": absent}, ErrKey}, "ES256": {object{"alg": "ES256"}, ErrAlgorithm},
	} {
		_, skipped, err := ParseSet(jwks(t, with(okp, test.changes)), KeyPolicy{})
		if err != nil || len(skipped) != 1 || !errors.Is(skipped[0].Err, test.want) {
			t.Errorf("OKP, %s: %v, %v, want %v", name, skipped, err, test.want)
		}
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(p224.Public())
	_, _, err = ParseKeys([]byte(pemOf("PUBLIC KEY", der, err)), KeyPolicy{})
	expect(t, "P-224 as PEM", err, ErrUnsupportedKey)
}

func TestV21_UseAndOperationsAreHonoured(t *testing.T) {
	public := publicOf(t, keyOf("good", ES256))
	for name, test := range map[string]struct {
		changes object
		want    error
	}{
		"use sig":               {object{"use": "sig"}, nil},
		"no use":                {object{"use": absent}, nil},
		"verify":                {object{"key_ops": []string{"verify"}}, nil},
		"verify among others":   {object{"use": absent, "key_ops": []string{"encrypt", "verify"}}, nil},
		"use enc":               {object{"use": "enc"}, ErrKeyUse},
		"use SIG":               {object{"use": "SIG"}, ErrKeyUse},
		"an empty use":          {object{"use": ""}, ErrKeyUse},
		"use as a number":       {object{"use": 1}, ErrKey},
		"use null":              {object{"use": nil}, ErrKey},
		"encrypt":               {object{"use": absent, "key_ops": []string{"encrypt"}}, ErrKeyUse},
		"sign alone":            {object{"use": absent, "key_ops": []string{"sign"}}, ErrKeyUse},
		"encrypt, and use sig":  {object{"key_ops": []string{"encrypt"}}, ErrKeyUse},
		"verify, and use enc":   {object{"use": "enc", "key_ops": []string{"verify"}}, ErrKeyUse},
		"operations as a word":  {object{"key_ops": "verify"}, ErrKey},
		"no operations":         {object{"key_ops": []string{}}, ErrKey},
		"operations null":       {object{"key_ops": nil}, ErrKey},
		"operations of numbers": {object{"key_ops": []int{1}}, ErrKey},
		"an empty alg":          {object{"alg": ""}, ErrAlgorithm},
		"alg null":              {object{"alg": nil}, ErrKey},
		"alg none":              {object{"alg": "none"}, ErrAlgorithm},
		"alg of encryption":     {object{"alg": "ECDH-ES"}, ErrAlgorithm},
	} {
		set, skipped, err := ParseSet(jwks(t, with(public, test.changes)), KeyPolicy{})
		if err != nil || (set.Len() == 1) != (test.want == nil) || test.want != nil && !errors.Is(skipped[0].Err, test.want) {
			t.Errorf("%s: %v, %v, %v", name, set, skipped, err)
		}
	}
}

// RFC 7517 section 4.4: "alg" is optional. Whoever leaves it out may sign with any
// algorithm of the key's type, and with no other type's.
func TestV21_AKeyWithoutAlgorithmServesThoseOfItsType(t *testing.T) {
	ofRSA := []Algorithm{RS256, RS384, RS512, PS256, PS384, PS512}
	for _, test := range []struct {
		key     Algorithm
		allowed []Algorithm
		want    []Algorithm
	}{
		{ES256, nil, []Algorithm{ES256}},
		{ES384, nil, []Algorithm{ES384}},
		{ES512, nil, []Algorithm{ES512}},
		{EdDSA, nil, []Algorithm{EdDSA, Ed25519}},
		{EdDSA, []Algorithm{Ed25519}, []Algorithm{Ed25519}},
		{RS256, nil, ofRSA},
		{RS256, []Algorithm{PS512, RS256}, []Algorithm{PS512, RS256}},
		{RS256, []Algorithm{ES256, PS256}, []Algorithm{PS256}},
		{RS256, []Algorithm{ES256}, nil},
		{ES384, []Algorithm{ES256, EdDSA}, nil},
	} {
		key := keyOf("good", test.key)
		public := with(publicOf(t, key), object{"alg": absent})
		set, skipped, err := ParseSet(jwks(t, public), KeyPolicy{Algorithms: test.allowed})
		if err != nil {
			t.Fatal(err)
		}
		var got []Algorithm
		for _, key := range set.Keys() {
			got = append(got, key.Algorithm())
		}
		if !slices.Equal(got, test.want) || test.want == nil && !errors.Is(skipped[0].Err, ErrAlgorithm) {
			t.Errorf("%s of %v: %v, %v", test.key, test.allowed, got, skipped)
		}
		for _, alg := range Asymmetric() {
			if kinds[alg].kty != kinds[test.key].kty || kinds[alg].crv != kinds[test.key].crv {
				continue // it cannot sign with that
			}
			signer := keyOf("good", alg) // the same key
			_, err := verify(sign(t, signer, text(t, headerOf(signer)), goodClaims), set.Keys()...)
			if slices.Contains(test.want, alg) != (err == nil) {
				t.Errorf("%s of %v verifies %s: %v", test.key, test.allowed, alg, err)
			}
		}
	}
}

func TestV21_AKeyThatSaysItsAlgorithmServesNoOther(t *testing.T) {
	for alg, others := range map[Algorithm][]Algorithm{RS256: {PS256, RS384}, PS256: {RS256}, EdDSA: {Ed25519}, Ed25519: {EdDSA}} {
		set, _, err := ParseSet(jwks(t, publicOf(t, keyOf("good", alg))), KeyPolicy{})
		if err != nil || set.Len() != 1 {
			t.Fatal(set, err)
		}
		for _, other := range others {
			signer := keyOf("good", other) // the same key
			_, err := verify(sign(t, signer, text(t, headerOf(signer)), goodClaims), set.Keys()...)
			expect(t, fmt.Sprintf("%s by a key of %s", other, alg), err, ErrAlgorithm)
		}
	}
}

func TestV21_ASecretWithoutAlgorithmServesThoseThatItIsLongEnoughFor(t *testing.T) {
	for size, want := range map[int][]Algorithm{31: nil, 32: {HS256}, 48: {HS256, HS384}, 64: {HS256, HS384, HS512}} {
		set, skipped, err := ParseSet(jwks(t, octKey(size, object{"alg": absent})), KeyPolicy{Symmetric: true})
		if err != nil || set.Len() != len(want) || want == nil && !errors.Is(skipped[0].Err, ErrWeakKey) {
			t.Errorf("%d bytes: %v, %v, %v", size, set, skipped, err)
		}
		for i, key := range set.Keys() {
			if key.Algorithm() != want[i] {
				t.Errorf("%d bytes: %s", size, key.Algorithm())
			}
		}
	}
}

func TestV22_AtMostOneKeyIsTried(t *testing.T) {
	a, b, c := keyOf("a", ES256), keyOf("b", ES256), keyOf("c", EdDSA)
	set, err := NewSet(a.Public(), b.Public(), c.Public())
	if err != nil {
		t.Fatal(err)
	}
	nameless, _, err := ParseKeys([]byte(pemOf("PUBLIC KEY", derOf(t, a), nil)), KeyPolicy{})
	if err != nil {
		t.Fatal(err)
	}
	lone, _ := NewSet(a.Public())
	empty, _ := NewSet()
	two, _ := NewSet(nameless.Keys()[0], b.Public())
	for _, test := range []struct {
		name string
		set  *Set
		kid  string
		alg  Algorithm
		want *Key
		err  error
	}{
		{"by its ID", set, a.ID(), ES256, a.Public(), nil},
		{"by its ID, of another algorithm", set, a.ID(), EdDSA, nil, ErrAlgorithm},
		{"by an unknown ID", set, "x", ES256, nil, ErrUnknownKey},
		{"without ID, the only one", set, "", EdDSA, c.Public(), nil},
		{"without ID, one of two", set, "", ES256, nil, ErrUnknownKey},
		{"without ID, of none", set, "", RS256, nil, ErrUnknownKey},
		{"a lone key without ID", nameless, "x", ES256, nameless.Keys()[0], nil},
		{"a lone key without ID, asked without", nameless, "", ES256, nameless.Keys()[0], nil},
		{"a lone key without ID, of another algorithm", nameless, "x", HS256, nil, ErrAlgorithm},
		{"a lone key of another ID", lone, "x", ES256, nil, ErrUnknownKey},
		{"a lone key, without ID", lone, "", ES256, a.Public(), nil},
		{"a lone key, without ID, of another algorithm", lone, "", ES384, nil, ErrAlgorithm},
		{"a key without ID beside another", two, "x", ES256, nil, ErrUnknownKey},
		{"none", empty, "", ES256, nil, ErrUnknownKey},
		{"none by ID", empty, "x", ES256, nil, ErrUnknownKey},
		{"the zero set", &Set{}, "x", ES256, nil, ErrUnknownKey},
	} {
		key, err := test.set.Lookup(test.kid, test.alg)
		if key != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %v, %v", test.name, key, err)
		}
	}
}

func TestASetNeverChanges(t *testing.T) {
	a, b := keyOf("a", ES256).Public(), keyOf("b", ES256).Public()
	given := []*Key{a, b}
	set, err := NewSet(given...)
	if err != nil {
		t.Fatal(err)
	}
	given[0] = nil
	set.Keys()[1] = nil
	if set.Len() != 2 || set.Keys()[0] != a || set.Keys()[1] != b {
		t.Errorf("%v", set.Keys())
	}
	secret := bytes.Repeat([]byte("k"), 32)
	key, _ := NewSecret(secret, HS256)
	secret[0] = 'x'
	if again, _ := NewSecret(bytes.Repeat([]byte("k"), 32), HS256); key.Thumbprint() != again.Thumbprint() || !bytes.Equal(key.material().([]byte), bytes.Repeat([]byte("k"), 32)) {
		t.Error("whoever made a secret can change it")
	}
	for name, keys := range map[string][]*Key{"nil": {nil}, "zero": {{}}} {
		_, err := NewSet(keys...)
		expect(t, name, err, ErrKey)
	}
	if set, err := NewSet(a, a); err != nil || set.Len() != 1 {
		t.Errorf("one twice: %v, %v", set, err)
	}
	twin := *b
	twin.id = a.id
	_, err = NewSet(a, &twin)
	expect(t, "two of one ID", err, ErrDuplicateKey)
}

func TestJ2_UnknownKeysAreSkippedAndOthersUsed(t *testing.T) {
	good := publicOf(t, keyOf("good", ES256))
	odd := []any{
		object{"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": "pq"},
		object{"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"},
		with(good, object{"alg": "ES999", "kid": "odd"}),
		7, nil, "key",
		[]any{},
		object{},
		object{"kty": nil},
		with(good, object{"kid": 7.5}), with(good, object{"kid": strings.Repeat("k", 257)}), with(good, object{"kid": nil}),
		with(good, object{"kid": -7}), with(good, object{"kid": json.RawMessage(strings.Repeat("7", 257))}), with(good, object{"kid": true}),
		json.RawMessage(`{"kty":"EC","kty":"EC"}`), json.RawMessage(`{"kid":"twice","x":{"a":1,"\u0061":1}}`),
	}
	want := []error{ErrUnsupportedKey, ErrUnsupportedKey, ErrAlgorithm, ErrKey, ErrKey, ErrKey, ErrKey, ErrUnsupportedKey, ErrKey, ErrKey, ErrKey, ErrKey, ErrKey, ErrKey, ErrKey, strictjson.ErrDuplicate, strictjson.ErrDuplicate}
	set, skipped, err := ParseSet(jwks(t, append(odd, good)...), KeyPolicy{})
	if err != nil || set.Len() != 1 || len(skipped) != len(odd) {
		t.Fatalf("%v, %v, %v", set, skipped, err)
	}
	for i, s := range skipped {
		if s.Index != i || !errors.Is(s.Err, want[i]) {
			t.Errorf("key %d: %+v, want %v", i, s, want[i])
		}
	}
	if skipped[0].KeyID != "pq" || skipped[2].KeyID != "odd" {
		t.Errorf("%+v", skipped)
	}
	unknown := with(good, object{"x5c": []string{"AAAA"}, "x5t": "x", "ext": true, "iat": 1, "custom": object{"a": []int{1}}})
	if set, skipped, err = ParseSet(jwks(t, unknown), KeyPolicy{}); err != nil || set.Len() != 1 {
		t.Errorf("unknown members: %v, %v", skipped, err)
	}
}

func TestJ5_PrivateAndDuplicateKeysAreDropped(t *testing.T) {
	good := publicOf(t, keyOf("good", ES256))
	for _, alg := range []Algorithm{ES256, EdDSA, RS256} {
		set, skipped, err := ParseSet(jwks(t, privateOf(t, keyOf("evil", alg)), good), KeyPolicy{})
		if err != nil || set.Len() != 1 || len(skipped) != 1 || !errors.Is(skipped[0].Err, ErrPrivateKey) {
			t.Errorf("%s: %v, %v, %v", alg, set, skipped, err)
		}
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		_, skipped, err := ParseSet(jwks(t, with(good, object{name: nil})), KeyPolicy{})
		if err != nil || len(skipped) != 1 || !errors.Is(skipped[0].Err, ErrPrivateKey) {
			t.Errorf("%s: %v, %v", name, skipped, err)
		}
	}
	twin := with(publicOf(t, keyOf("evil", ES256)), object{"kid": good["kid"]})
	other := publicOf(t, keyOf("other", ES256))
	set, skipped, err := ParseSet(jwks(t, good, other, twin), KeyPolicy{})
	if err != nil || set.Len() != 1 || set.Keys()[0].ID() != other["kid"] || len(skipped) != 2 || !errors.Is(skipped[0].Err, ErrDuplicateKey) || !errors.Is(skipped[1].Err, ErrDuplicateKey) || skipped[0].Index != 0 || skipped[1].Index != 2 {
		t.Errorf("%v, %v, %v", set, skipped, err)
	}
	set, skipped, err = ParseSet(jwks(t, publicOf(t, keyOf("evil", EdDSA)), good, with(privateOf(t, keyOf("evil", ES256)), object{"kid": good["kid"]})), KeyPolicy{})
	if err != nil || set.Len() != 1 || len(skipped) != 2 || !errors.Is(skipped[0].Err, ErrDuplicateKey) || !errors.Is(skipped[1].Err, ErrPrivateKey) {
		t.Errorf("a private key of the same ID and type: %v, %v, %v", set, skipped, err)
	}
	set, skipped, err = ParseSet(jwks(t, good, with(twin, object{"use": "enc"})), KeyPolicy{})
	if err != nil || set.Len() != 1 || len(skipped) != 1 || !errors.Is(skipped[0].Err, ErrKeyUse) {
		t.Errorf("one ID for signatures and encryption: %v, %v, %v", set, skipped, err)
	}
}

// RFC 7517 section 4.5: keys of different types may share a "kid".
func TestJ5_OneIDForKeysOfSeveralTypesAndAlgorithms(t *testing.T) {
	es, rs, ed := keyOf("good", ES256), keyOf("good", RS256), keyOf("good", EdDSA)
	one := object{"kid": "one"}
	set, skipped, err := ParseSet(jwks(t, with(publicOf(t, es), one), with(publicOf(t, rs), one), with(publicOf(t, keyOf("good", PS256)), one), with(publicOf(t, ed), one)), KeyPolicy{})
	if err != nil || len(skipped) != 0 || set.Len() != 4 {
		t.Fatalf("%v, %v, %v", set, skipped, err)
	}
	for _, alg := range []Algorithm{ES256, RS256, PS256, EdDSA} {
		key := keyOf("good", alg)
		token := sign(t, key, text(t, with(headerOf(key), one)), goodClaims)
		if _, err := verify(token, set.Keys()...); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		_, err := verify(sign(t, keyOf("evil", alg), text(t, with(headerOf(key), one)), goodClaims), set.Keys()...)
		expect(t, "another's "+string(alg), err, ErrSignature)
	}
	_, err = set.Lookup("one", RS384)
	expect(t, "an algorithm that none of them says", err, ErrAlgorithm)
	_, err = set.Lookup("one", HS256)
	expect(t, "HMAC", err, ErrAlgorithm)
}

func TestJ5_WhatComesTwiceIsThereOnce(t *testing.T) {
	for name, changes := range map[string]object{"with an ID": nil, "without": {"kid": absent}, "without algorithm": {"alg": absent}} {
		good := with(publicOf(t, keyOf("good", RS256)), changes)
		again := with(good, object{"x5t": "AAAA"}) // what names the key is the same
		set, skipped, err := ParseSet(jwks(t, good, again, good), KeyPolicy{})
		alone, _, aloneErr := ParseSet(jwks(t, good), KeyPolicy{})
		if err != nil || aloneErr != nil || len(skipped) != 0 || set.Len() != alone.Len() {
			t.Errorf("%s: %v, %v, %v", name, set, skipped, err)
		}
		key := keyOf("good", RS256)
		for _, kid := range []any{key.ID(), absent} {
			if name == "without" && kid == any(key.ID()) {
				continue
			}
			if _, err := verify(sign(t, key, text(t, with(headerOf(key), object{"kid": kid})), goodClaims), set.Keys()...); err != nil {
				t.Errorf("%s, asked by %v: %v", name, kid, err)
			}
		}
	}
}

// Of two keys that have one ID and one algorithm neither is used, whether
// they say the algorithm or not; others of that ID are.
func TestJ5_TwoKeysOfOneIDAndOneAlgorithmAreDropped(t *testing.T) {
	one := object{"kid": "one"}
	a := with(publicOf(t, keyOf("good", RS256)), object{"kid": "one", "alg": absent})
	b := with(publicOf(t, keyOf("evil", PS384)), one)
	es := with(publicOf(t, keyOf("good", ES256)), one)
	for _, order := range [][]any{{a, b, es}, {b, a, es}, {es, a, b, a}} {
		set, skipped, err := ParseSet(jwks(t, order...), KeyPolicy{})
		if err != nil || set.Len() != 1 || set.Keys()[0].Algorithm() != ES256 || len(skipped) != len(order)-1 {
			t.Fatalf("%v, %v, %v", set, skipped, err)
		}
		for _, s := range skipped {
			expect(t, fmt.Sprint("key ", s.Index), s.Err, ErrDuplicateKey)
		}
	}
}

// Which issuer's a key is, is not for its place in the set to say.
func TestJ5_OneKeyOfTwoIssuersIsDropped(t *testing.T) {
	for name, kid := range map[string]any{"with an ID": "one", "without": absent} {
		a := with(publicOf(t, keyOf("good", ES256)), object{"kid": kid, "issuer": "https://a"})
		b := with(a, object{"issuer": "https://b"})
		open := with(a, object{"issuer": absent})
		for _, pair := range [][]any{{a, b}, {b, a}, {a, open}, {open, a}} {
			set, _, err := ParseSet(jwks(t, pair...), KeyPolicy{})
			if err != nil {
				t.Fatal(err)
			}
			if key, err := set.Lookup("", ES256); err == nil {
				t.Errorf("%s: the key of %q", name, key.Issuer())
			}
		}
		set, _, err := ParseSet(jwks(t, a, a), KeyPolicy{})
		if err != nil || set.Len() != 1 || set.Keys()[0].Issuer() != "https://a" {
			t.Errorf("%s, twice the same: %v, %v", name, set, err)
		}
	}
}

func TestJ2_ANumericIDIsItsDigits(t *testing.T) {
	key := keyOf("good", ES256)
	set, skipped, err := ParseSet(jwks(t, with(publicOf(t, key), object{"kid": json.RawMessage("100000000000000000000000001")}), publicOf(t, keyOf("evil", ES256))), KeyPolicy{})
	if err != nil || set.Len() != 2 {
		t.Fatalf("%v, %v", skipped, err)
	}
	if found, err := set.Lookup("100000000000000000000000001", ES256); err != nil || found.Thumbprint() != key.Public().Thumbprint() {
		t.Errorf("%v, %v", found, err)
	}
	_, err = set.Lookup("1e26", ES256)
	expect(t, "another spelling", err, ErrUnknownKey)
}

func TestJ2_AKeyWithAMemberTwiceDropsThatKeyAlone(t *testing.T) {
	good := text(t, publicOf(t, keyOf("good", ES256)))
	twice := strings.Replace(text(t, publicOf(t, keyOf("evil", ES256))), "{", `{"kty":"RSA",`, 1)
	for _, keys := range []string{twice + "," + good, good + "," + twice} {
		set, skipped, err := ParseSet([]byte(`{"keys":[`+keys+`]}`), KeyPolicy{})
		if err != nil || set.Len() != 1 || len(skipped) != 1 || !errors.Is(skipped[0].Err, strictjson.ErrDuplicate) || skipped[0].KeyID != "" {
			t.Errorf("%v, %v, %v", set, skipped, err)
		}
	}
}

func TestWhatIsNoSetIsRefused(t *testing.T) {
	good := text(t, publicOf(t, keyOf("good", ES256)))
	for name, data := range map[string]string{
		"nothing": "", "text": "<html>", "an array": "[" + good + "]", "one key": good, "null": "null", "no keys": "{}", "keys null": `{"keys":null}`, "keys an object": `{"keys":{}}`, "keys a text": `{"keys":"x"}`,
		"trailing data": `{"keys":[]}{}`, "keys twice": `{"keys":[],"keys":[` + good + `]}`, "keys twice, escaped": `{"keys":[],"k\u0065ys":[]}`, "Keys": `{"Keys":[]}`, "a byte order mark": "\ufeff" + `{"keys":[]}`,
		"too deep": `{"keys":[` + strings.Repeat("[", 10) + strings.Repeat("]", 10) + `]}`, "501 keys": `{"keys":[` + strings.Repeat(`{},`, 500) + `{}]}`, "over a megabyte": `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		_, _, err := ParseSet([]byte(data), KeyPolicy{})
		expect(t, name, err, ErrKeySet)
	}
	if set, skipped, err := ParseSet([]byte(`{"keys":[]}`), KeyPolicy{}); err != nil || set.Len() != 0 || len(skipped) != 0 {
		t.Errorf("an empty set: %v, %v, %v", set, skipped, err)
	}
	if set, skipped, err := ParseSet([]byte(`{"keys":[`+strings.Repeat(`{},`, 499)+good+`]}`), KeyPolicy{}); err != nil || set.Len() != 1 || len(skipped) != 499 {
		t.Errorf("500 keys: %v, %v, %v", set, skipped, err)
	}
}

func TestKeysNeverPrintThemselves(t *testing.T) {
	secret, _ := NewSecret([]byte("s3cret-s3cret-s3cret-s3cret-s3cret"), HS256)
	for _, alg := range []Algorithm{ES256, EdDSA, RS256} {
		private := keyOf("good", alg)
		hidden := []string{privateOf(t, private)["d"].(string), "s3cret", fmt.Sprintf("%d", []byte("s3cret"))[1:20], fmt.Sprintf("%x", "s3cret")}
		d, _ := base64.RawURLEncoding.DecodeString(hidden[0])
		hidden = append(hidden, fmt.Sprintf("%x", d)[:20], fmt.Sprintf("%d", d[:8])[1:20], new(big.Int).SetBytes(d).String()[:20])
		holder := struct {
			p  *PrivateKey
			v  PrivateKey
			k  *Key
			kv Key
			s  *Set
		}{private, *private, secret, *secret, nil}
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
			for _, value := range []any{private, *private, secret, *secret, holder, &holder, []*Key{secret}, []PrivateKey{*private}, map[string]Key{"a": *secret}} {
				fmt.Fprintf(&out, verb+"\n", value)
			}
		}
		log := slog.New(slog.NewJSONHandler(&out, nil))
		log.Info("x", "private", private, "value", *private, "secret", secret, "secret value", *secret)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "private", private, "holder", holder)
		_ = json.NewEncoder(&out).Encode([]any{private, *private, secret, *secret, holder})
		for _, part := range hidden {
			if strings.Contains(out.String(), part) {
				t.Errorf("%s: %q is printed", alg, part)
			}
		}
		if !strings.Contains(out.String(), private.ID()) {
			t.Errorf("%s: the ID is not printed", alg)
		}
	}
	if got := fmt.Sprint(PrivateKey{}, Key{}, (*Key)(nil), (*PrivateKey)(nil)); strings.Contains(got, "PANIC") {
		t.Error(got)
	}
}

func TestLookup_OneSecretForSeveralAlgorithms(t *testing.T) {
	secret := make([]byte, 64)
	keys := make([]*Key, 0, 2)
	for _, alg := range []Algorithm{HS256, HS512} {
		key, err := NewSecret(secret, alg)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	set, err := NewSet(keys...)
	if err != nil {
		t.Fatal(err)
	}
	for _, kid := range []string{"", "named by the issuer"} {
		for i, alg := range []Algorithm{HS256, HS512} {
			if key, err := set.Lookup(kid, alg); err != nil || key != keys[i] {
				t.Errorf("%s with kid %q: %v", alg, kid, err)
			}
		}
		if _, err := set.Lookup(kid, HS384); !errors.Is(err, ErrAlgorithm) { // it is one key, and not for that
			t.Errorf("HS384 with kid %q: %v", kid, err)
		}
	}
}
