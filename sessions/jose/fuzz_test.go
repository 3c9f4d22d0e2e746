package jose

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"authsidecar/sessions/strictjson"
)

// FuzzParse: what parses has one spelling, and is read as another decoder reads
// it; what is verified is what was signed.
func FuzzParse(f *testing.F) {
	seed := ed25519.NewKeyFromSeed(bytes.Repeat([]byte("k"), ed25519.SeedSize)) // the same key in each process
	key, err := newPrivateKey(seed, EdDSA)
	if err != nil {
		f.Fatal(err)
	}
	signed := goodToken(f, key)
	for _, token := range []string{
		signed, "", ".", "..", "....", "e30.e30.", signed + "=", signed + ".", signed[:len(signed)-1] + "B",
		b64(`{"alg":"ES256","kid":"a","typ":"JWT","cty":"x","x5t":"y"}`) + ".e30.AAAA", b64(`{"alg":"none"}`) + ".e30.", b64(`{"alg":"HS256","crit":["b64"],"b64":false}`) + ".e30.AAAA", b64(`{"alg":"RS256","alg":"HS256"}`) + ".e30.AAAA", b64("{\"alg\":\"ES256\",\"kid\":\"\\u00e9\\ud83d\\ude00\"}") + ".AA.AA",
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, compact string) {
		token, err := Parse(compact)
		if err != nil {
			if token != nil {
				t.Fatal("a token beside an error")
			}
			return
		}
		part := strings.Split(compact, ".")
		if len(part) != 3 || len(compact) > MaxTokenSize {
			t.Fatalf("%q has %d segments", compact, len(part))
		}
		var raw [3][]byte
		for i := range part {
			if raw[i], err = base64.RawURLEncoding.DecodeString(part[i]); err != nil || base64.RawURLEncoding.EncodeToString(raw[i]) != part[i] {
				t.Fatalf("%q has another spelling", compact)
			}
		}
		if !bytes.Equal(raw[1], token.payload) {
			t.Fatalf("%q: the payload is %q", compact, token.payload)
		}
		var header map[string]string
		if err := json.Unmarshal(raw[0], &header); err != nil {
			t.Fatalf("%q: %v", compact, err)
		}
		h := token.Header
		if h.Algorithm != header["alg"] || h.KeyID != header["kid"] || h.Type != header["typ"] || h.ContentType != header["cty"] {
			t.Fatalf("%q: %+v is %v", compact, h, header)
		}
		var claims map[string]any
		err = token.Verify(key.Public(), nil)
		if err == nil {
			claims, _ = token.Unverified()
		}
		if err == nil && compact != signed {
			t.Fatalf("%q is forged", compact)
		}
		if want, bad := strictjson.Object(raw[1], maxClaimsDepth); err == nil && (bad != nil || !reflect.DeepEqual(claims, want)) {
			t.Fatalf("%q: the claims are %v", compact, claims)
		}
	})
}

// FuzzParseKeys: what is read is strong, public, and the same when it is written
// and read again.
func FuzzParseKeys(f *testing.F) {
	for _, alg := range []Algorithm{ES256, ES512, EdDSA, RS256} {
		key := keyOf("fuzz", alg)
		f.Add([]byte(text(f, publicOf(f, key))), false)
		f.Add([]byte(text(f, privateOf(f, key))), false)
		f.Add(jwks(f, publicOf(f, key), privateOf(f, key)), true)
		f.Add([]byte(pemOf("PUBLIC KEY", derOf(f, key), nil)), false)
		f.Add([]byte(pkcs8(f, key.signer())), false)
	}
	f.Add([]byte(certificateOf(f, keyOf("fuzz", ES256))), false)
	f.Add([]byte(text(f, octKey(32, nil))), true)
	f.Add(jwks(f, octKey(32, nil), octKey(48, object{"alg": "HS384", "kid": "b"}), nil, 7), true)
	f.Fuzz(func(t *testing.T, data []byte, symmetric bool) {
		policy := KeyPolicy{Symmetric: symmetric}
		_, _ = ParsePrivate(data, "")
		fromSet, skipped, err := ParseSet(data, policy)
		if err == nil && (fromSet.Len() > maxSetKeys*len(kinds) || len(skipped) > maxSetKeys) {
			t.Fatalf("%d keys and %d skipped", fromSet.Len(), len(skipped))
		}
		set, _, err := ParseKeys(data, policy)
		if err != nil {
			return
		}
		for _, key := range set.Keys() {
			if key.Algorithm().Symmetric() {
				if !symmetric {
					t.Fatal("a secret without leave")
				}
				continue
			}
			if checkStrength(key.material(), key.Algorithm()) != nil {
				t.Fatal("a weak key")
			}
			jwk, err := key.PublicJWK()
			if err != nil {
				t.Fatal(err)
			}
			again, skipped, err := ParseSet([]byte(`{"keys":[`+string(jwk)+`]}`), KeyPolicy{})
			if err != nil || again.Len() != 1 {
				t.Fatalf("%s: %v, %v", jwk, skipped, err)
			}
			if k := again.Keys()[0]; k.Thumbprint() != key.Thumbprint() || k.ID() != key.ID() || k.Algorithm() != key.Algorithm() {
				t.Fatalf("%s is another key", jwk)
			}
		}
	})
}
