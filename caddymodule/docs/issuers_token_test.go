package docs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A caller is an issuer of callers.json.
type caller struct {
	Issuer string        `json:"issuer"`
	Tokens []callerToken `json:"tokens"`
}

// A callerToken is a token before it is signed. In its claims "{issuer}" stands for the address
// of the issuer, and "now+60" for the time in a minute.
type callerToken struct {
	Name   string         `json:"name"`
	Header map[string]any `json:"header"`
	Claims map[string]any `json:"claims"`
	Expect string         `json:"expect"`
}

func readCallers(t *testing.T) (all []caller) {
	t.Helper()
	data, err := os.ReadFile("../testdata/callers.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// callerSecret is what Supabase signs with where it is not by a key.
const callerSecret = "the secret of a project, 32 bytes or more"

// callerKeys are keys for the tokens of all issuers: one for each algorithm, with the names that
// their tokens have for it.
type callerKeys struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	set []map[string]string
}

func newCallerKeys(t *testing.T, cases []caller) *callerKeys {
	t.Helper()
	keys := new(callerKeys)
	var err error
	if keys.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if keys.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	point, err := keys.ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	public := map[string]map[string]string{
		"RS256": {"kty": "RSA", "n": text(keys.rsa.N.Bytes()), "e": text(big.NewInt(int64(keys.rsa.E)).Bytes())},
		"ES256": {"kty": "EC", "crv": "P-256", "x": text(point[1:33]), "y": text(point[33:])},
	}
	seen := make(map[string]bool)
	for _, c := range cases {
		for _, token := range c.Tokens {
			id, _ := token.Header["kid"].(string)
			jwk := maps.Clone(public[token.Header["alg"].(string)])
			if jwk != nil && !seen[id] {
				seen[id], jwk["kid"] = true, id
				keys.set = append(keys.set, jwk)
			}
		}
	}
	return keys
}

func (k *callerKeys) jwks() string {
	data, _ := json.Marshal(map[string]any{"keys": k.set}) // text never fails
	return string(data)
}

// sign makes the token, as that issuer does.
func (k *callerKeys) sign(t *testing.T, token callerToken, want expected) string {
	t.Helper()
	header, err := json.Marshal(token.Header)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(filled(token.Claims, want.issuer, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	signed := text(header) + "." + text(claims)
	hash := sha256.Sum256([]byte(signed))
	var signature []byte
	switch token.Header["alg"] {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, hash[:])
	case "ES256":
		var r, s *big.Int
		r, s, err = ecdsa.Sign(rand.Reader, k.ec, hash[:])
		if err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case "HS256":
		mac := hmac.New(sha256.New, []byte(callerSecret))
		_, _ = mac.Write([]byte(signed)) // a hash never fails
		signature = mac.Sum(nil)
	default: // the issuer's own, which nobody else can verify
		signature = hash[:]
	}
	if err != nil {
		t.Fatal(err)
	}
	made := signed + "." + text(signature)
	sidecartest.Remember(made)
	return made
}

// filled returns a claim with what "{issuer}" and "now" stand for.
func filled(claim any, issuer string, now time.Time) any {
	switch claim := claim.(type) {
	case map[string]any:
		made := make(map[string]any, len(claim))
		for name, value := range claim {
			made[name] = filled(value, issuer, now)
		}
		return made
	case []any:
		made := make([]any, len(claim))
		for i, value := range claim {
			made[i] = filled(value, issuer, now)
		}
		return made
	case string:
		if after, relative := strings.CutPrefix(claim, "now"); relative {
			if seconds, err := strconv.ParseInt(after, 10, 64); err == nil {
				return now.Unix() + seconds
			}
		}
		return strings.ReplaceAll(claim, "{issuer}", issuer)
	default:
		return claim
	}
}

// An outcome is what must come of a token.
type outcome int

const (
	self          outcome = iota + 1 // a session of its own subject
	impersonation                    // a session of another user
	machine                          // says that it is no user's: never a session of its own
	job                              // the same because the block allows its issuer none
	refused                          // 401, and the log says why
)

// Changes of a block: users alone may have sessions, and the app is told who calls; or it has
// another audience; or a word is left out.
const (
	onlySelf      = "allow self alone"
	otherAudience = "another audience"
	withoutOnly   = "only"
)

// expected is what must come of a token with a block of the page.
type expected struct {
	section string
	block   int    // counted from 1
	issuer  string // what {issuer} stands for
	outcome outcome
	user    string // the user id that is the caller's own
	reason  string // of a refusal
	header  string // where the token is, if not in Authorization
	change  string // of the block
}

// site names the site, and is the issuer of its sessions.
func (e expected) site() string {
	name := strings.NewReplacer(" ", "-").Replace(strings.ToLower(e.section + " " + e.change))
	return fmt.Sprintf("https://%s-%d.example.com", strings.Trim(name, "-"), e.block)
}
