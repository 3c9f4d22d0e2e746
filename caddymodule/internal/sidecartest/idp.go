package sidecartest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions/jose"
)

// Audience is the audience that the sites of an IDP expect in its tokens.
const Audience = "https://app.example.com/auth/sessions"

// Issuer is the issuer of the sites of an IDP.
const Issuer = "https://app.example.com"

// Lifecycle is the configuration of a block with lifecycle and managers.
const Lifecycle = "lifecycle\n\t\tmanage scope sessions:manage"

// An IDP is an identity provider that signs with one key.
type IDP struct {
	Issuer string
	Key    *jose.PrivateKey

	t testing.TB
}

// NewIDP creates an identity provider with that issuer and a new key.
func NewIDP(t testing.TB, issuer string) *IDP {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return &IDP{t: t, Issuer: issuer, Key: key}
}

// TB returns the test of the provider.
func (i *IDP) TB() testing.TB { return i.t }

// JWKS returns the provider's key set.
func (i *IDP) JWKS() string {
	i.t.Helper()
	jwk, err := i.Key.Public().PublicJWK()
	if err != nil {
		i.t.Fatal(err)
	}
	return `{"keys":[` + string(jwk) + `]}`
}

// Token mints an access token that is valid for ten minutes; claims replace the usual ones or, with
// nil, remove them.
func (i *IDP) Token(subject string, claims map[string]any) string {
	i.t.Helper()
	now := time.Now()
	all := map[string]any{
		"iss": i.Issuer, "sub": subject, "aud": Audience, "client_id": "desk",
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	for name, value := range claims {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		i.t.Fatal(err)
	}
	return i.Sign(string(body))
}

// Sign signs claims without changing them.
func (i *IDP) Sign(claims string) string {
	i.t.Helper()
	token, err := i.Key.Sign([]byte(`{"alg":"ES256","kid":"`+i.Key.ID()+`","typ":"at+jwt"}`), []byte(claims))
	if err != nil {
		i.t.Fatal(err)
	}
	Remember(token)
	return token
}

// Site returns a Caddyfile with the module in front of the app at that URL, which trusts the
// provider by a key file; words are added to the block.
func (i *IDP) Site(s *Sidecar, app, words string) string {
	s.Write("jwks.json", i.JWKS())
	return fmt.Sprintf(`SITE {
	auth_sessions {
		issuer %s
		trust %s {
			jwks DIR/jwks.json
			audience %s
		}
		allow self
		allow scope sessions:impersonate
		%s
	}
	reverse_proxy %s
}
`, Issuer, i.Issuer, Audience, words, strings.TrimPrefix(app, "http://"))
}

// OtherIssuer is the issuer of the second block of TwoSites.
const OtherIssuer = "https://other.example.com"

// TwoSites returns a Caddyfile with two sites like Site, of Issuer and OtherIssuer; url is that of
// the second.
func (i *IDP) TwoSites(s *Sidecar, app, words string) (caddyfile, url string) {
	one, port := i.Site(s, app, words), Port(i.t)
	two := strings.NewReplacer("SITE", "http://:"+port, "issuer "+Issuer+"\n", "issuer "+OtherIssuer+"\n").Replace(one)
	return one + two, "http://127.0.0.1:" + port
}

// Echo starts an app that responds with the request that it received, and returns its URL.
func Echo(t testing.TB) string {
	t.Helper()
	return Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-App", "echo")
		fmt.Fprintf(w, "%s %s\n", r.Method, r.RequestURI)
		_ = r.Header.Write(w)
		fmt.Fprintf(w, "\n%s", body)
	})
}

// Serve serves f on a loopback address, and returns its URL.
func Serve(t testing.TB, f http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}
