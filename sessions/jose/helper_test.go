package jose

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"hash"
	"maps"
	"strings"
	"sync"
	"testing"
)

type object = map[string]any

// keyOf returns the key of that name, the same each time.
var keyOf = func() func(name string, alg Algorithm) *PrivateKey {
	var guard sync.Mutex
	keys := map[string]*PrivateKey{}
	return func(name string, alg Algorithm) *PrivateKey {
		guard.Lock()
		defer guard.Unlock()
		id := name + " " + kinds[alg].kty + kinds[alg].crv
		key := keys[id]
		if key == nil {
			var err error
			if key, err = Generate(alg); err != nil {
				panic(err)
			}
			keys[id] = key
		}
		if key.Algorithm() == alg {
			return key
		}
		same, err := newPrivateKey(key.signer(), alg) // RSA takes its time: one for all
		if err != nil {
			panic(err)
		}
		return same
	}
}()

func text(t testing.TB, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// with returns the object with other members; absent removes one.
func with(o object, changes object) object {
	changed := maps.Clone(o)
	for name, value := range changes {
		if changed[name] = value; value == absent {
			delete(changed, name)
		}
	}
	return changed
}

type nothing struct{}

var absent = nothing{}

func headerOf(key *PrivateKey) object {
	return object{"alg": key.Algorithm(), "kid": key.ID(), "typ": "at+jwt"}
}

const goodClaims = `{"iss":"https://idp.example.com","sub":"alice"}`

func sign(t testing.TB, key *PrivateKey, header, claims string) string {
	t.Helper()
	token, err := key.Sign([]byte(header), []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func goodToken(t testing.TB, key *PrivateKey) string {
	t.Helper()
	return sign(t, key, text(t, headerOf(key)), goodClaims)
}

// verify does what a verifier does.
func verify(token string, keys ...*Key) (claims []byte, err error) {
	set, err := NewSet(keys...)
	if err != nil {
		return nil, err
	}
	parsed, err := Parse(token)
	if err != nil {
		return nil, err
	}
	key, err := set.Lookup(parsed.Header.KeyID, Algorithm(parsed.Header.Algorithm))
	if err != nil {
		return nil, err
	}
	if err := parsed.Verify(key, nil); err != nil {
		return nil, err
	}
	return parsed.payload, nil
}

func expect(t *testing.T, name string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", name, err, want)
	}
}

func publicOf(t testing.TB, key *PrivateKey) object {
	t.Helper()
	data, err := key.Public().PublicJWK()
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, data)
}

func privateOf(t testing.TB, key *PrivateKey) object {
	t.Helper()
	data, err := key.JWK()
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, data)
}

func parsed(t testing.TB, data []byte) (o object) {
	t.Helper()
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func pemOf(kind string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func segments(token string) [3]string {
	part := strings.Split(token, ".")
	return [3]string{part[0], part[1], part[2]}
}

func b64(data string) string { return base64.RawURLEncoding.EncodeToString([]byte(data)) }

// saltedToken signs with PSS and a salt of that length.
func saltedToken(t *testing.T, key *PrivateKey, salt int) string {
	t.Helper()
	rsaKey, _ := key.signer().(*rsa.PrivateKey)
	message := b64(text(t, headerOf(key))) + "." + b64(goodClaims)
	hash := kinds[key.Algorithm()].hash
	h := hash.New()
	h.Write([]byte(message))
	signature, err := rsa.SignPSS(testRandom{}, rsaKey, hash, h.Sum(nil), &rsa.PSSOptions{SaltLength: salt, Hash: crypto.Hash(0)})
	if err != nil {
		t.Fatal(err)
	}
	return message + "." + b64(string(signature))
}

// testRandom makes the salt: no test depends on it.
type testRandom struct{}

func (testRandom) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}

func newMAC(secret []byte) hash.Hash { return hmac.New(sha256.New, secret) }

func wantThumbprint(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return b64(string(sum[:]))
}

// rocaModulus is of the key that Wycheproof made with the flaw.
func rocaModulus(t testing.TB) []byte {
	t.Helper()
	for _, group := range vectors(t, "json_web_key_test.json").Groups {
		if group.Comment == "jws_rsa_roca_key" {
			n, err := base64.RawURLEncoding.DecodeString(parsed(t, group.Public)["keys"].([]any)[0].(object)["n"].(string))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no such key")
	return nil
}
