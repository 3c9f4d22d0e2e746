package jose

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"authsidecar/sessions/strictjson"
)

func TestAGoodTokenOfEachAlgorithmIsVerified(t *testing.T) {
	for _, alg := range Asymmetric() {
		key := keyOf("good", alg)
		claims, err := verify(goodToken(t, key), key.Public())
		if err != nil || string(claims) != goodClaims {
			t.Errorf("%s: %s, %v", alg, claims, err)
		}
	}
}

func TestParseTellsWhatATokenSaysOfItself(t *testing.T) {
	key := keyOf("good", EdDSA)
	token, err := Parse(sign(t, key, `{"kid":"\u0061b","cty":"x","typ":"JWT","alg":"EdDSA"}`, goodClaims))
	if err != nil || token.Header != (Header{"EdDSA", "ab", "JWT", "x"}) || string(token.payload) != goodClaims {
		t.Errorf("%+v, %v", token, err)
	}
}

func TestV1_OnlyCompactForm(t *testing.T) {
	key := keyOf("good", EdDSA)
	good := goodToken(t, key)
	part := segments(good)
	flat := fmt.Sprintf(`"protected":%q,"signature":%q`, part[0], part[2])
	for name, token := range map[string]string{
		"empty":                      "",
		"claims alone":               goodClaims,
		"one segment":                part[0],
		"two segments":               part[0] + "." + part[1],
		"four segments":              good + ".",
		"four segments, full":        good + "." + part[2],
		"six segments":               good + "...",
		"flattened JSON":             fmt.Sprintf(`{"payload":%q,%s}`, part[1], flat),
		"general JSON":               fmt.Sprintf(`{"payload":%q,"signatures":[{%s}]}`, part[1], flat),
		"general, bad and good":      fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":"AAAA"},{%s}]}`, part[1], part[0], flat),
		"space before":               " " + good,
		"newline after":              good + "\n",
		"carriage return after":      good + "\r",
		"newline inside":             part[0] + "." + part[1][:4] + "\n" + part[1][4:] + "." + part[2],
		"newline in signature":       part[0] + "." + part[1] + "." + part[2][:4] + "\r\n" + part[2][4:],
		"padding after":              good + "==",
		"padding in the header":      part[0] + "=." + part[1] + "." + part[2],
		"standard alphabet":          part[0] + "." + part[1] + "." + "+/" + part[2][2:],
		"NUL after":                  good + "\x00",
		"no ASCII":                   good + "é",
		"comma, as two fields":       good + "," + good,
		"percent-encoded":            strings.Replace(good, ".", "%2E", 1),
		"scheme before":              "Bearer " + good,
		"fullwidth dot":              strings.Replace(good, ".", "．", 1),
		"detached, with other dots":  part[0] + "..." + part[2],
		"quoted":                     `"` + good + `"`,
		"byte order mark before":     "\ufeff" + good,
		"tab between":                part[0] + ".\t" + part[1] + "." + part[2],
		"a second token after space": good + " " + good,
	} {
		_, err := Parse(token)
		expect(t, name, err, ErrNotCompact)
	}
	for name, token := range map[string]string{"no header": "." + part[1] + "." + part[2], "dots alone": ".."} {
		_, err := Parse(token)
		expect(t, name, err, ErrHeader)
	}
	for name, token := range map[string]string{"no signature": part[0] + "." + part[1] + ".", "detached": part[0] + ".." + part[2]} {
		_, err := verify(token, key.Public())
		expect(t, name, err, ErrSignature)
	}
}

func TestV2_OneSpellingOfAToken(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	key := keyOf("good", EdDSA)
	good := goodToken(t, key)
	last := strings.IndexByte(alphabet, good[len(good)-1])
	if _, err := verify(good, key.Public()); err != nil {
		t.Fatal(err)
	}
	for spare := 1; spare < 16; spare++ { // 64 bytes leave four bits over
		_, err := verify(good[:len(good)-1]+alphabet[last^spare:][:1], key.Public())
		expect(t, fmt.Sprint("spare bits of the signature ", spare), err, ErrBase64)
	}
	part := segments(good)
	for i, name := range []string{"header", "claims", "signature"} {
		for _, more := range []string{"A", "AAA"} {
			changed := part
			for len(changed[i])%4 != 0 {
				changed[i] += "A"
			}
			changed[i] += more[:1]
			_, err := Parse(changed[0] + "." + changed[1] + "." + changed[2])
			expect(t, name+" of a length that no bytes have", err, ErrBase64)
		}
		for _, text := range []string{"AB", "e31"} { // both have bits over
			changed := part
			changed[i] = text
			_, err := Parse(changed[0] + "." + changed[1] + "." + changed[2])
			expect(t, "spare bits of the "+name, err, ErrBase64)
		}
	}
}

// jws.Verify of jwx takes these for the token that they were made of.
func TestV2_SpaceAroundTheHeaderIsNotTheSameToken(t *testing.T) {
	key := keyOf("good", EdDSA)
	part := segments(goodToken(t, key))
	for _, header := range []string{" " + text(t, headerOf(key)), text(t, headerOf(key)) + " ", "\n" + text(t, headerOf(key)) + "\t"} {
		_, err := verify(b64(header)+"."+part[1]+"."+part[2], key.Public())
		expect(t, fmt.Sprintf("%.10q", header), err, ErrSignature)
		if _, err := verify(sign(t, key, header, goodClaims), key.Public()); err != nil {
			t.Errorf("signed with the space: %v", err)
		}
	}
}

func TestV3_AlgorithmMustBeKnownAndInItsCase(t *testing.T) {
	key := keyOf("good", ES256)
	for _, alg := range []any{"none", "None", "NONE", "NoNe", "nOnE", "es256", "Es256", "ES256K", "ES521", "ED25519", "Ed448", "eddsa", "A128KW", "dir", "foo", "ES256 ", " ES256", "ES256\x00", absent} {
		token := sign(t, key, text(t, with(headerOf(key), object{"alg": alg})), goodClaims)
		_, err := Parse(token)
		expect(t, fmt.Sprint(alg, ", signed well"), err, ErrAlgorithm)
		_, err = Parse(token[:strings.LastIndex(token, ".")+1])
		expect(t, fmt.Sprint(alg, ", not signed"), err, ErrAlgorithm)
	}
	for _, alg := range []any{nil, "", 7, true, []string{"ES256"}, object{"ES256": 1}} {
		_, err := Parse(sign(t, key, text(t, with(headerOf(key), object{"alg": alg})), goodClaims))
		expect(t, fmt.Sprint(alg), err, ErrHeader)
	}
}

func TestV3_AlgorithmMustMatchKey(t *testing.T) {
	for _, alg := range Asymmetric() {
		key := keyOf("good", alg)
		for _, other := range append(Asymmetric(), symmetric...) {
			if other == alg {
				continue // Ed25519 does not stand for EdDSA, nor the other way round
			}
			token := sign(t, key, text(t, with(headerOf(key), object{"alg": other})), goodClaims)
			_, err := verify(token, key.Public())
			expect(t, fmt.Sprintf("%s signed by %s", other, alg), err, ErrAlgorithm)
			parsed, err := Parse(token)
			if err != nil {
				t.Fatal(err)
			}
			err = parsed.Verify(key.Public(), nil)
			expect(t, fmt.Sprintf("%s signed by %s, no look-up", other, alg), err, ErrAlgorithm)
		}
	}
}

// Whoever brings his own key has it ignored; what the issuer signed is good whatever
// else its header says (RFC 7515 section 4).
func TestV5_NoKeyAndNoAddressFromTheHeader(t *testing.T) {
	key, evil := keyOf("good", ES256), keyOf("evil", ES256)
	for name, value := range map[string]any{
		"jwk": publicOf(t, evil), "jku": "https://evil.example.com/jwks.json", "x5u": "https://evil.example.com/x5u.pem", "x5c": []string{"MIIB"},
		"x5t": evil.ID(), "x5t#S256": evil.ID(), "cat": "cl_B7d4PD111AAA", "ver": 2, "org.iso.member": nil, "pi.atm": "1", "jid": []any{object{"a": 1}, 2.5},
		"epk": publicOf(t, evil), "enc": "A128GCM", "p2c": 1 << 30, "p2s": "AAAA", "apu": "AAAA", "zip": "DEF", "nonce": "n", "iss": "x", "sub": "x", "aud": "x", "url": "x", "htm": "GET", "ppt": "x", "svt": []string{"x"},
		"": "x", "x": "x", "Alg": "ES256", "KID": "x", "Typ": "JWT", "alg ": "x", "x5t#s256": "x", "X5T": "x",
	} {
		for _, kid := range []any{key.ID(), absent} {
			header := text(t, with(headerOf(key), object{name: value, "kid": kid}))
			claims, err := verify(sign(t, key, header, goodClaims), key.Public())
			if err != nil || string(claims) != goodClaims {
				t.Errorf("%s: %s, %v", name, claims, err)
			}
			_, err = verify(sign(t, evil, header, goodClaims), key.Public())
			expect(t, name+", signed with another key", err, ErrSignature)
		}
		_, err := verify(sign(t, evil, text(t, with(headerOf(evil), object{name: value})), goodClaims), key.Public())
		expect(t, name+", with another kid", err, ErrUnknownKey)
	}
}

// The name of a member that is ignored may not come twice either: who reads the other
// one reads another token.
func TestV5_WhatIsIgnoredIsStrictJSONStill(t *testing.T) {
	key := keyOf("good", ES256)
	for name, member := range map[string]string{"twice": `"x":1,"x":1`, "twice inside": `"jwk":{"kty":"EC","kty":"RSA"}`, "too deep": `"x":` + strings.Repeat("[", 10) + strings.Repeat("]", 10), "no text": `"x":"\ud800"`} {
		_, err := Parse(sign(t, key, `{"alg":"ES256",`+member+`}`, goodClaims))
		expect(t, name, err, ErrHeader)
	}
}

func TestV6_KeyIDIsOpaque(t *testing.T) {
	key := keyOf("good", ES256)
	for _, kid := range []string{"../../dev/null", "/dev/null", "' OR 1=1 --", "|id", "https://evil.example.com/key", "\x00", "..", "*", " " + key.ID(), key.ID() + "\n", strings.ToUpper(key.ID()), strings.Repeat("x", 256)} {
		_, err := verify(sign(t, key, text(t, with(headerOf(key), object{"kid": kid})), goodClaims), key.Public())
		expect(t, fmt.Sprintf("%.30q", kid), err, ErrUnknownKey)
	}
	for _, kid := range []any{1, 1.5, nil, true, []string{key.ID()}, object{"kid": key.ID()}, strings.Repeat("x", 257), strings.Repeat("é", 129)} {
		_, err := Parse(sign(t, key, text(t, with(headerOf(key), object{"kid": kid})), goodClaims))
		expect(t, fmt.Sprintf("%.30v", kid), err, ErrHeader)
	}
	_, err := Parse(sign(t, key, text(t, with(headerOf(key), object{"kid": strings.Repeat("x", 1<<20)})), goodClaims))
	expect(t, "a megabyte", err, ErrTooLarge)
	empty := sign(t, key, text(t, with(headerOf(key), object{"kid": ""})), goodClaims)
	if _, err := verify(empty, key.Public()); err != nil {
		t.Errorf("an empty one is none: %v", err)
	}
	_, err = verify(empty, key.Public(), keyOf("evil", ES256).Public())
	expect(t, "an empty one, of two keys", err, ErrUnknownKey)
}

func TestV7_NoCriticalExtensions(t *testing.T) {
	key := keyOf("good", ES256)
	for name, crit := range map[string]any{
		"unknown": []string{"x"}, "empty": []string{}, "twice": []string{"exp", "exp"}, "no array": "exp", "null": nil, "number": 1, "standard": []string{"alg"}, "b64": []string{"b64"}, "no strings": []int{1},
	} {
		_, err := verify(sign(t, key, text(t, with(headerOf(key), object{"crit": crit})), goodClaims), key.Public())
		expect(t, name, err, ErrCritical)
	}
	_, err := Parse(sign(t, key, `{"alg":"ES256","crit":[],"crit":[]}`, goodClaims))
	expect(t, "two of them", err, ErrHeader)
}

func TestV8_PayloadIsAlwaysBase64(t *testing.T) {
	key := keyOf("good", ES256)
	for _, value := range []any{false, true, nil, "false"} {
		_, err := verify(sign(t, key, text(t, with(headerOf(key), object{"b64": value})), goodClaims), key.Public())
		expect(t, fmt.Sprint("b64 ", value), err, ErrHeaderMember)
	}
	_, err := verify(sign(t, key, `{"alg":"ES256","crit":["b64"],"b64":false}`, goodClaims), key.Public())
	expect(t, "b64 and crit", err, ErrCritical)
}

func TestV9_EncryptedTokensAreRefusedByTheirForm(t *testing.T) {
	bomb := b64(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA","zip":"DEF"}`)
	for name, token := range map[string]string{
		"five segments": bomb + ".AAAA.AAAA.AAAA.AAAA", "direct": bomb + "..AAAA.AAAA.AAAA", "empty": "....", "not base64url": "A.A.A.A.A",
	} {
		_, err := Parse(token)
		expect(t, name, err, ErrEncrypted)
	}
	for name, changes := range map[string]object{"alg": {"alg": "RSA-OAEP"}, "enc": {"alg": "dir", "enc": "A128GCM"}} {
		key := keyOf("good", ES256)
		_, err := Parse(sign(t, key, text(t, with(headerOf(key), changes)), goodClaims))
		expect(t, "three segments with the "+name+" of a JWE", err, ErrAlgorithm)
	}
}

func TestV10_NestedTokensAreRefused(t *testing.T) {
	key := keyOf("good", ES256)
	inner := goodToken(t, key)
	_, err := verify(sign(t, key, text(t, headerOf(key)), inner), key.Public())
	expect(t, "without cty", err, ErrNested)
	_, err = verify(sign(t, key, text(t, headerOf(key)), "e30.AAAA.AAAA.AAAA.AAAA"), key.Public())
	expect(t, "a JWE", err, ErrNested)
	for _, cty := range []string{"JWT", "jwt", "JwT", "application/jwt", "APPLICATION/JWT", "at+jwt", "application/at+JWT", "jose"} {
		for _, payload := range []string{inner, goodClaims} {
			_, err = verify(sign(t, key, text(t, with(headerOf(key), object{"cty": cty})), payload), key.Public())
			expect(t, "cty "+cty, err, ErrNested)
		}
	}
	if _, err := verify(sign(t, key, text(t, with(headerOf(key), object{"cty": "json"})), goodClaims), key.Public()); err != nil {
		t.Errorf("another cty: %v", err)
	}
}

func TestV11_NoMemberTwice(t *testing.T) {
	key := keyOf("good", ES256)
	for _, header := range []string{`{"alg":"ES256","alg":"ES256"}`, `{"alg":"none","alg":"ES256"}`, `{"alg":"ES256","\u0061lg":"none"}`, `{"alg":"ES256","kid":"a","kid":"b"}`, `{"alg":"ES256","x5t":{"a":1,"a":1}}`, `{"alg":"ES256","cat":1,"cat":1}`} {
		_, err := verify(sign(t, key, header, goodClaims), key.Public())
		expect(t, header, err, ErrHeader)
		expect(t, header, err, strictjson.ErrDuplicate)
	}
	for _, claims := range []string{`{"sub":"alice","sub":"bob"}`, `{"exp":1,"exp":9999999999}`, `{"sub":"alice","\u0073ub":"bob"}`, `{"a":{"b":1,"b":2}}`} {
		_, err := verify(sign(t, key, text(t, headerOf(key)), claims), key.Public())
		expect(t, claims, err, ErrClaims)
		expect(t, claims, err, strictjson.ErrDuplicate)
	}
}

func TestV12_NamesAreCaseSensitive(t *testing.T) {
	key := keyOf("good", ES256)
	for _, header := range []string{`{"Alg":"ES256"}`, `{"ALG":"ES256"}`, `{"\u0061LG":"ES256"}`} {
		_, err := verify(sign(t, key, header, goodClaims), key.Public())
		expect(t, header, err, ErrAlgorithm)
	}
	for _, header := range []string{`{"alg":"ES256","KID":"x"}`, `{"alg":"ES256","ALG":"none"}`, `{"alg":"ES256","Crit":["x"]}`, `{"alg":"ES256","B64":false}`, `{"alg":"ES256","Typ":"rt+jwt"}`, `{"alg":"ES256","\u212aid":"x"}`} {
		parsed, err := Parse(sign(t, key, header, goodClaims))
		if err != nil || parsed.Header != (Header{Algorithm: "ES256"}) {
			t.Errorf("%s means something: %+v, %v", header, parsed, err)
		}
	}
	if _, err := verify(sign(t, key, text(t, headerOf(key)), `{"sub":"alice","SUB":"bob"}`), key.Public()); err != nil {
		t.Errorf("claims are the caller's to read: %v", err)
	}
}

func TestV13_HeaderAndClaimsAreOneStrictObject(t *testing.T) {
	key := keyOf("good", ES256)
	good := text(t, headerOf(key))
	for text, want := range map[string]error{
		"": strictjson.ErrSyntax, "{": strictjson.ErrSyntax, "null": strictjson.ErrNotObject, "[]": strictjson.ErrNotObject, `"a"`: strictjson.ErrNotObject, "1": strictjson.ErrNotObject, "[{}]": strictjson.ErrNotObject, "a=b": strictjson.ErrSyntax,
		good + "{}": strictjson.ErrTrailing, good + "x": strictjson.ErrTrailing, good + "\x00": strictjson.ErrTrailing, "\ufeff" + good: strictjson.ErrEncoding,
		`{"sub":"` + "\xff" + `"}`: strictjson.ErrEncoding, `{"sub":"\ud800"}`: strictjson.ErrEncoding, `{"sub":"` + "\xed\xa0\x80" + `"}`: strictjson.ErrEncoding, `{"sub":01}`: strictjson.ErrSyntax, `{'sub':1}`: strictjson.ErrSyntax, `{"sub":1,}`: strictjson.ErrSyntax, `{"sub":NaN}`: strictjson.ErrSyntax, `{/**/}`: strictjson.ErrSyntax,
		`{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}": strictjson.ErrDepth,
	} {
		_, err := Parse(sign(t, key, text, goodClaims))
		expect(t, fmt.Sprintf("header %.30q", text), err, ErrHeader)
		expect(t, fmt.Sprintf("header %.30q", text), err, want)
		_, err = verify(sign(t, key, good, text), key.Public())
		expect(t, fmt.Sprintf("claims %.30q", text), err, ErrClaims)
		expect(t, fmt.Sprintf("claims %.30q", text), err, want)
	}
	for _, typ := range []any{1, nil, "", []string{"JWT"}, strings.Repeat("x", 257)} {
		_, err := Parse(sign(t, key, text(t, with(headerOf(key), object{"typ": typ})), goodClaims))
		expect(t, fmt.Sprintf("typ %.10v", typ), err, ErrHeader)
	}
}

func TestSignatureCoversHeaderAndClaims(t *testing.T) {
	for _, alg := range Asymmetric() {
		key := keyOf("good", alg)
		part := segments(goodToken(t, key))
		header := with(headerOf(key), object{"typ": "JWT"})
		for name, token := range map[string]string{
			"another header":    b64(text(t, header)) + "." + part[1] + "." + part[2],
			"spaced header":     b64(strings.Replace(text(t, headerOf(key)), "{", "{ ", 1)) + "." + part[1] + "." + part[2],
			"space before it":   b64(" "+text(t, headerOf(key))) + "." + part[1] + "." + part[2],
			"space after it":    b64(text(t, headerOf(key))+"\n") + "." + part[1] + "." + part[2],
			"other claims":      part[0] + "." + b64(`{"sub":"bob"}`) + "." + part[2],
			"no signature":      part[0] + "." + part[1] + ".",
			"short signature":   part[0] + "." + part[1] + "." + part[2][:len(part[2])-4-len(part[2])%4],
			"long signature":    part[0] + "." + part[1] + ".AAAA" + part[2],
			"empty claims":      part[0] + ".." + part[2],
			"zeros":             part[0] + "." + part[1] + "." + b64(string(make([]byte, len(part[2])*3/4))),
			"of another key":    sign(t, keyOf("evil", alg), text(t, headerOf(key)), goodClaims),
			"of another header": part[0] + "." + part[1] + "." + segments(sign(t, key, text(t, header), goodClaims))[2],
		} {
			_, err := verify(token, key.Public())
			expect(t, fmt.Sprintf("%s %s", alg, name), err, ErrSignature)
		}
	}
}

func TestV22_SizeIsBoundedBeforeAllElse(t *testing.T) {
	key := keyOf("good", EdDSA)
	header := text(t, headerOf(key))
	frame := len(sign(t, key, header, `{"x":""}`))
	fill := func(size int) string { // in steps of 4 bytes of text
		return sign(t, key, header, `{"x":"`+strings.Repeat("x", (size-frame)*3/4)+`"}`)
	}
	largest := fill(MaxTokenSize)
	for len(largest) > MaxTokenSize {
		largest = fill(2*MaxTokenSize - len(largest))
	}
	if _, err := verify(largest, key.Public()); err != nil || len(largest) < MaxTokenSize-4 {
		t.Errorf("%d bytes: %v", len(largest), err)
	}
	for _, token := range []string{fill(MaxTokenSize + 8), strings.Repeat("A", MaxTokenSize+1), strings.Repeat(".", MaxTokenSize+1), strings.Repeat("\x00", 2<<20)} {
		_, err := Parse(token)
		expect(t, fmt.Sprint(len(token), " bytes"), err, ErrTooLarge)
	}
	_, err := Parse(strings.Repeat(".", MaxTokenSize))
	expect(t, "dots", err, ErrNotCompact)
	_, err = verify(sign(t, key, header, strings.Repeat(`{"a":`, 500)+"1"+strings.Repeat("}", 500)), key.Public())
	expect(t, "depth", err, strictjson.ErrDepth)
}

func TestErrorsHoldNothingOfTheToken(t *testing.T) {
	key := keyOf("good", ES256)
	header := text(t, headerOf(key))
	for _, token := range []string{
		"s3cret.s3cret.s3cret", "s3cret", sign(t, key, "s3cret", goodClaims), sign(t, key, `{"s3cret":1}`, goodClaims), sign(t, key, `{"alg":"s3cret"}`, goodClaims), sign(t, key, `{"alg":"ES256","kid":"s3cret"}`, goodClaims),
		sign(t, key, header, "s3cret"), sign(t, key, header, `{"s3cret":1,"s3cret":2}`), sign(t, keyOf("evil", ES256), header, `{"sub":"s3cret"}`),
	} {
		_, err := verify(token, key.Public())
		if err == nil {
			t.Errorf("%s is accepted", token)
			continue
		}
		for _, part := range append(strings.Split(token, "."), "s3cret") {
			if strings.Contains(err.Error(), part) {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestUnverifiedClaimsAreTheVerifiedOnes(t *testing.T) {
	key := keyOf("good", EdDSA)
	token, err := Parse(goodToken(t, key))
	if err != nil {
		t.Fatal(err)
	}
	unverified, err := token.Unverified()
	var claims map[string]any
	if bad := token.Verify(key.Public(), &claims); err != nil || bad != nil || !reflect.DeepEqual(claims, unverified) || len(claims) == 0 {
		t.Errorf("%v, not %v, %v, %v", claims, unverified, err, bad)
	}
	for name, none := range map[string]*Key{"nil": nil, "zero": {}} {
		err := token.Verify(none, nil)
		expect(t, name, err, ErrUnknownKey)
	}
}
