package jose

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAGeneratedKeyComesBackFromItsJWK(t *testing.T) {
	for _, alg := range Asymmetric() {
		key := keyOf("good", alg)
		data, err := key.JWK()
		if err != nil {
			t.Fatal(err)
		}
		if jwk := parsed(t, data); jwk["kid"] != key.ID() || jwk["alg"] != string(alg) || jwk["use"] != "sig" || jwk["d"] == "" {
			t.Errorf("%s: the JWK says kid %v, alg %v, use %v", alg, jwk["kid"], jwk["alg"], jwk["use"])
		}
		for _, asked := range []Algorithm{"", alg} {
			again, err := ParsePrivate(data, asked)
			if err != nil || again.ID() != key.ID() || again.Algorithm() != alg {
				t.Errorf("%s: %v, %v", alg, again, err)
				continue
			}
			if _, err := verify(goodToken(t, again), key.Public()); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
		}
	}
	for _, alg := range []Algorithm{HS256, "none", ""} {
		_, err := Generate(alg)
		expect(t, string(alg), err, ErrAlgorithm)
	}
}

func TestGeneratedRSAKeysHave3072Bits(t *testing.T) {
	if bits := keyOf("good", RS256).signer().Public().(*rsa.PublicKey).N.BitLen(); bits != 3072 {
		t.Errorf("%d bits", bits)
	}
}

func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pemOf("PRIVATE KEY", der, err)
}

func TestPrivateKeysAreReadFromPEM(t *testing.T) {
	es, ed, rs := keyOf("good", ES384), keyOf("good", EdDSA), keyOf("good", RS256)
	sec1, err := x509.MarshalECPrivateKey(es.signer().(*ecdsa.PrivateKey))
	sec1PEM := pemOf("EC PRIVATE KEY", sec1, err)
	for name, test := range map[string]struct {
		data string
		alg  Algorithm
		key  *PrivateKey
		want Algorithm
	}{
		"PKCS #8 of a curve":           {pkcs8(t, es.signer()), "", es, ES384},
		"PKCS #8 of Ed25519":           {pkcs8(t, ed.signer()), EdDSA, ed, EdDSA},
		"PKCS #8 of RSA":               {pkcs8(t, rs.signer()), "", rs, RS256},
		"PKCS #8 of RSA, for PS512":    {pkcs8(t, rs.signer()), PS512, rs, PS512},
		"SEC 1":                        {sec1PEM, "", es, ES384},
		"SEC 1 after its parameters":   {pemOf("EC PARAMETERS", []byte{6, 5, 43, 129, 4, 0, 34}, nil) + sec1PEM, "", es, ES384},
		"PKCS #1":                      {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs.signer().(*rsa.PrivateKey)), nil), RS384, rs, RS384},
		"space around":                 {"\n \n" + pkcs8(t, ed.signer()) + "\n\n", "", ed, EdDSA},
		"text before":                  {"Private-Key: (256 bit)\n" + pkcs8(t, ed.signer()), "", ed, EdDSA},
		"a JWK without alg":            {text(t, with(privateOf(t, rs), object{"alg": absent, "kid": "mine"})), "", rs, RS256},
		"a JWK without alg, for PS256": {text(t, with(privateOf(t, rs), object{"alg": absent})), PS256, rs, PS256},
		"a JWK to sign":                {text(t, with(privateOf(t, es), object{"key_ops": []string{"sign"}})), "", es, ES384},
	} {
		key, err := ParsePrivate([]byte(test.data), test.alg)
		if err != nil || key.ID() != test.key.ID() || key.Algorithm() != test.want {
			t.Errorf("%s: %v, %v", name, key, err)
		}
	}
}

func TestPrivateKeysThatCannotBeReadAreRefused(t *testing.T) {
	es, ed, rs := keyOf("good", ES256), keyOf("good", EdDSA), keyOf("good", RS256)
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, rsJWK, edJWK := privateOf(t, es), privateOf(t, rs), privateOf(t, ed)
	evil := privateOf(t, keyOf("evil", ES256))
	for name, test := range map[string]struct {
		data string
		alg  Algorithm
		want error
	}{
		"nothing":                        {"", "", ErrKey},
		"text":                           {"s3cret", "", ErrKey},
		"an empty block":                 {pemOf("PRIVATE KEY", nil, nil), "", ErrKey},
		"a public key":                   {pemOf("PUBLIC KEY", derOf(t, es), nil), "", ErrUnsupportedKey},
		"two keys":                       {pkcs8(t, es.signer()) + pkcs8(t, ed.signer()), "", ErrKey},
		"encrypted PKCS #8":              {pemOf("ENCRYPTED PRIVATE KEY", []byte("x"), nil), "", ErrKey},
		"encrypted, the old way":         {strings.Replace(pkcs8(t, es.signer()), "\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1), "", ErrKey},
		"X25519":                         {pkcs8(t, x), "", ErrUnsupportedKey},
		"another algorithm than it is":   {pkcs8(t, es.signer()), ES384, ErrAlgorithm},
		"a symmetric algorithm":          {pkcs8(t, es.signer()), HS256, ErrAlgorithm},
		"another than its JWK says":      {text(t, rsJWK), PS256, ErrAlgorithm},
		"a JWK of an unknown algorithm":  {text(t, with(jwk, object{"alg": "ES256K"})), "", ErrAlgorithm},
		"a JWK of an empty algorithm":    {text(t, with(jwk, object{"alg": ""})), "", ErrAlgorithm},
		"a secret":                       {text(t, octKey(32, nil)), "", ErrSymmetricKey},
		"a public JWK":                   {text(t, publicOf(t, es)), "", ErrKey},
		"a JWK set":                      {string(jwks(t, jwk)), "", ErrUnsupportedKey},
		"a JWK with a name twice":        {strings.Replace(text(t, jwk), "{", `{"d":"AAAA",`, 1), "", ErrKey},
		"a JWK and more":                 {text(t, jwk) + "{}", "", ErrKey},
		"use enc":                        {text(t, with(jwk, object{"use": "enc"})), "", ErrKeyUse},
		"verify alone":                   {text(t, with(jwk, object{"key_ops": []string{"verify"}})), "", ErrKeyUse},
		"another point":                  {text(t, with(jwk, object{"x": evil["x"], "y": evil["y"]})), "", ErrKey},
		"another d":                      {text(t, with(jwk, object{"d": evil["d"]})), "", ErrKey},
		"d of 0":                         {text(t, with(jwk, object{"d": b64(strings.Repeat("\x00", 32))})), "", ErrKey},
		"d out of range":                 {text(t, with(jwk, object{"d": b64(strings.Repeat("\xff", 32))})), "", ErrKey},
		"a short d":                      {text(t, with(jwk, object{"d": "AAAA"})), "", ErrKey},
		"Ed25519 with another x":         {text(t, with(edJWK, object{"x": publicOf(t, keyOf("evil", EdDSA))["x"]})), "", ErrKey},
		"Ed25519 with a short d":         {text(t, with(edJWK, object{"d": "AAAA"})), "", ErrKey},
		"RSA with another n":             {text(t, with(rsJWK, object{"n": publicOf(t, keyOf("evil", RS256))["n"]})), "", ErrKey},
		"RSA with another d":             {text(t, with(rsJWK, object{"d": privateOf(t, keyOf("evil", RS256))["d"]})), "", ErrKey},
		"RSA without primes":             {text(t, with(rsJWK, object{"p": absent})), "", ErrKey},
		"RSA with one prime":             {text(t, with(rsJWK, object{"q": absent})), "", ErrKey},
		"RSA with a prime of 0":          {text(t, with(rsJWK, object{"p": ""})), "", ErrKey},
		"RSA with three primes":          {text(t, with(rsJWK, object{"oth": []any{}})), "", ErrUnsupportedKey},
		"RSA with an exponent of 1":      {text(t, with(rsJWK, object{"e": "AQ", "d": "AQ"})), "", ErrWeakKey},
		"RSA with primes and no modulus": {text(t, with(rsJWK, object{"n": absent})), "", ErrKey},
	} {
		key, err := ParsePrivate([]byte(test.data), test.alg)
		expect(t, name, err, test.want)
		if err == nil {
			t.Errorf("%s: %v", name, key)
			continue
		}
		for _, part := range []string{"s3cret", jwk["d"].(string), "AAAA"} {
			if strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func certificateOf(t testing.TB, key *PrivateKey) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotAfter: time.Unix(1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.signer().Public(), key.signer())
	return pemOf("CERTIFICATE", der, err)
}

func TestAnOperatorsFileHoldsOneOfManyForms(t *testing.T) {
	es, rs := keyOf("good", ES256), keyOf("good", RS256)
	for name, test := range map[string]struct {
		data string
		id   string
	}{
		"PEM":             {pemOf("PUBLIC KEY", derOf(t, es), nil), ""},
		"a certificate":   {certificateOf(t, es), ""},
		"a private key":   {pkcs8(t, es.signer()), ""},
		"a JWK":           {text(t, publicOf(t, es)), es.ID()},
		"a private JWK":   {text(t, privateOf(t, es)), es.ID()},
		"a JWK to sign":   {text(t, with(privateOf(t, es), object{"key_ops": []string{"sign"}})), es.ID()},
		"a JWK set":       {" \n" + string(jwks(t, publicOf(t, es))), es.ID()},
		"a private set":   {string(jwks(t, privateOf(t, es))), es.ID()},
		"a set, and more": {string(jwks(t, publicOf(t, es), with(publicOf(t, rs), object{"use": "enc"}))), es.ID()},
	} {
		set, _, err := ParseKeys([]byte(test.data), KeyPolicy{})
		if err != nil || set.Len() != 1 || set.Keys()[0].ID() != test.id || set.Keys()[0].Thumbprint() != es.ID() {
			t.Errorf("%s: %v, %v", name, set, err)
			continue
		}
		if _, err := verify(goodToken(t, es), set.Keys()...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	set, _, err := ParseKeys([]byte(text(t, octKey(32, object{"alg": absent}))), KeyPolicy{Symmetric: true, Algorithms: []Algorithm{HS256}})
	if err != nil || set.Len() != 1 || set.Keys()[0].Algorithm() != HS256 {
		t.Errorf("a secret: %v, %v", set, err)
	}
	if set, _, err = ParseKeys([]byte(pemOf("PUBLIC KEY", derOf(t, rs), nil)), KeyPolicy{Algorithms: []Algorithm{PS256}}); err != nil || set.Keys()[0].Algorithm() != PS256 {
		t.Errorf("RSA for PS256: %v, %v", set, err)
	}
}

func TestAnOperatorsFileThatCannotBeReadIsRefused(t *testing.T) {
	es := keyOf("good", ES256)
	public := pemOf("PUBLIC KEY", derOf(t, es), nil)
	for name, test := range map[string]struct {
		data string
		want error
	}{
		"nothing":             {"", ErrKey},
		"text":                {"s3cret", ErrKey},
		"two keys":            {public + public, ErrKey},
		"a chain":             {certificateOf(t, es) + certificateOf(t, es), ErrKey},
		"a key and text":      {public + "text", ErrKey},
		"a request":           {pemOf("CERTIFICATE REQUEST", []byte("x"), nil), ErrUnsupportedKey},
		"a broken key":        {pemOf("PUBLIC KEY", derOf(t, es)[1:], nil), ErrKey},
		"a broken chain":      {pemOf("CERTIFICATE", []byte("x"), nil), ErrKey},
		"broken JSON":         {`{"kty":"EC"`, ErrKey},
		"a JWK of no type":    {`{}`, ErrUnsupportedKey},
		"a JWK for enc":       {text(t, with(publicOf(t, es), object{"use": "enc"})), ErrKeyUse},
		"a set with an error": {`{"keys":{}}`, ErrKeySet},
		"over a megabyte":     {public + strings.Repeat(" ", 1<<20), ErrKey},
		"a byte order mark":   {"\ufeff" + text(t, publicOf(t, es)), ErrKey},
	} {
		_, _, err := ParseKeys([]byte(test.data), KeyPolicy{})
		expect(t, name, err, test.want)
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignaturesOfESHaveOneLength(t *testing.T) {
	for alg, size := range map[Algorithm]int{ES256: 64, ES384: 96, ES512: 132} {
		key := keyOf("good", alg)
		for range 300 { // one in 128 has an r or s that starts with a zero
			signature, err := base64.RawURLEncoding.DecodeString(segments(goodToken(t, key))[2])
			if err != nil || len(signature) != size {
				t.Fatalf("%s: %d bytes, %v", alg, len(signature), err)
			}
		}
	}
}

func TestSignSignsExactlyTheBytesItGets(t *testing.T) {
	for _, alg := range Asymmetric() {
		key := keyOf("good", alg)
		header := ` { "kid":"` + key.ID() + `", "alg" :"` + string(alg) + `"}`
		claims := `{"b":1.0,` + "\n" + `"a":"\u0061"}`
		token := sign(t, key, header, claims)
		if !strings.HasPrefix(token, b64(header)+"."+b64(claims)+".") {
			t.Errorf("%s: %s", alg, token)
		}
		if got, err := verify(token, key.Public()); err != nil || string(got) != claims {
			t.Errorf("%s: %s, %v", alg, got, err)
		}
		same := token == sign(t, key, header, claims)
		if deterministic := !kinds[alg].pss; same != deterministic {
			t.Errorf("%s: the same bytes twice is %v", alg, same)
		}
	}
	if _, err := (&PrivateKey{public: keyOf("good", ES256).public, signer: keyOf("good", EdDSA).signer}).Sign(nil, nil); !errors.Is(err, ErrUnsupportedKey) {
		t.Errorf("a key of another kind: %v", err)
	}
}

// The keys and signatures of "sample" are those of RFC 6979 appendices A.2.5 to A.2.7.
func TestSignaturesOfESAreThoseOfRFC6979(t *testing.T) {
	for alg, test := range map[Algorithm]struct{ key, r, s string }{
		ES256: {
			"C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
			"EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
			"F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
		},
		ES384: {
			"6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
			"94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
			"99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8",
		},
		ES512: {
			"00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538",
			"00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD152B534931D7D4E8455CC91F9B15BF05EC36E377FA",
			"00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C0723D8B8C37FF0777B1A20F8CCB1DCCC43997F1EE0E44DA4A67A",
		},
	} {
		raw, err := hex.DecodeString(test.key)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ecdsa.ParseRawPrivateKey(curves[kinds[alg].crv], raw)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := signature(key, alg, []byte("sample")); err != nil || !strings.EqualFold(hex.EncodeToString(got), test.r+test.s) {
			t.Errorf("%s: %x, %v", alg, got, err)
		}
	}
}

func TestVerifyOwn_SaysOfEachTokenWhatVerifyDoes(t *testing.T) {
	t.Parallel()
	for _, alg := range Asymmetric() {
		key, other := keyOf("good", alg), keyOf("evil", alg)
		good := goodToken(t, key)
		parts := segments(good)
		signature, err := base64.RawURLEncoding.DecodeString(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		tokens := []string{
			good, goodToken(t, other), sign(t, key, text(t, headerOf(key)), `[]`), sign(t, key, `{"alg":"ES512"}`, goodClaims), sign(t, key, `{"alg":"Ed25519"}`, goodClaims),
			parts[0] + "." + b64(`{"sub":"root"}`) + "." + parts[2], parts[0] + "." + parts[1] + ".", good + "AAAA",
		}
		each := 16
		if kinds[alg].crv == "Ed25519" { // of whose signatures VerifyOwn compares the bytes itself
			each = 1
		}
		for at := 0; at < len(signature); at += each {
			forged := slices.Clone(signature)
			forged[at] ^= 1 << (at % 8)
			tokens = append(tokens, parts[0]+"."+parts[1]+"."+b64(string(forged)))
		}
		for i, token := range tokens {
			parsed, err := Parse(token)
			if err != nil {
				t.Fatal(err)
			}
			var claims, own struct{ Sub string }
			want, got := parsed.Verify(key.Public(), &claims), parsed.VerifyOwn(key, &own)
			if fmt.Sprint(got) != fmt.Sprint(want) || claims != own || (want == nil) != (i == 0 || i == 3 && alg == ES512 || i == 4 && alg == Ed25519) {
				t.Errorf("%s, token %d: %v, %v; Verify says %v, %v", alg, i, got, own, want, claims)
			}
			if got, want := parsed.VerifyOwn(key, nil), parsed.Verify(key.Public(), nil); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, token %d without claims: %v; Verify says %v", alg, i, got, want)
			}
		}
	}
}
