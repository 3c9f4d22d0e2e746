package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// Trust is an issuer whose JWTs are accepted from callers. Its keys come from one of
// jwks and key, or from what OpenID Connect discovery says at the issuer where
// neither is given; or they are a secret, alone or beside jwks or key.
type Trust struct {
	// The "iss" of its tokens, compared byte for byte. Required.
	Issuer string `json:"issuer"`

	// The issuer's JWK set: an https URL (http for this machine alone), or the
	// path of a file, which is read again when it changes.
	JWKS string `json:"jwks,omitempty" example:"https://idp.example.com/jwks.json"`

	// A file with the issuer's public keys: PEM, a JWK or a JWK set.
	Key string `json:"key,omitempty" placeholders:"resolve" example:"/etc/keys/idp.pem"`

	// A shared secret for HMAC: its bytes, at least 32. Placeholders are
	// resolved when the configuration is loaded: `{env.NAME}` or `{file.path}`.
	Secret string `json:"secret,omitempty" placeholders:"secret" example:"{env.IDP_HMAC}"`

	// The audiences of this app: the "aud" of its tokens must have one of them.
	// Required.
	Audience []string `json:"audience" placeholders:"resolve" example:"https://app.example.com/auth/sessions"`

	// The algorithms that its tokens may be signed with. Default: what the keys
	// themselves say, asymmetric only; HS256 with a secret.
	Algorithms []string `json:"algorithms,omitempty" example:"ES256 EdDSA"`

	// The accepted values of the header "typ"; `none` stands for no such header.
	// Default: `at+jwt`, `JWT` and `none`
	Types []string `json:"types,omitempty" example:"at+jwt JWT none"`

	// How far its clock may be off, from 0 to 5 minutes. Default: 30 seconds.
	Leeway *caddy.Duration `json:"leeway,omitempty" example:"30s"`

	// The longest time from now at which a token may expire. Default: 24 hours.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty" example:"24h"`

	// A file with the certificates (PEM) of the authorities that are trusted for the servers
	// of the issuer and of jwks. Default: those of the system.
	CA string `json:"ca,omitempty" placeholders:"resolve" example:"/etc/ssl/internal-ca.pem"`

	// Whether the keys may be had over plain HTTP: only safe in a private network.
	// Whoever can change that traffic can replace the keys and call as anybody.
	InsecureHTTP bool `json:"insecure_http,omitempty" example:""`

	// A bearer token for the URL of jwks, read again each time: `{file.path}` or
	// `{env.NAME}`. It goes to that URL alone.
	JWKSToken string `json:"jwks_token,omitempty" placeholders:"secret" example:"{env.IDP_HMAC}"`

	// Further names of the issuer, under the same keys: spellings that its tokens have for
	// it, or patterns with `*` for one segment of the path, the tenant. Rules for a tenant
	// name it, with from: whoever administers another one can give themselves any role.
	Issuers []string `json:"issuers,omitempty" example:"https://idp.example.com/*/v2.0"`

	// The tenants whose subjects are this app's user ids, as far as users says. Default:
	// none.
	Tenants []string `json:"tenants,omitempty" placeholders:"resolve" example:"9122040d-6c67-4c5b-b112-36a304b66dad"`

	// The claims where the audience is looked for in tokens that have no "aud", or an
	// empty one: the first that a token has decides. Names, or JSON pointers.
	// Default: none, and such tokens are refused.
	AudienceClaim []string `json:"audience_claim,omitempty" example:"client_id"`

	// The claim that names the caller: its name, or a JSON pointer. Whole numbers count as
	// their digits. An email address has to be verified: email_verified, or the mark of
	// Entra ID. Default: `sub`
	UserClaim string `json:"user_claim,omitempty"`

	// Whether user_claim may be an email address that the issuer does not say to have
	// verified. Whoever can write another's address there is that other.
	Unverified bool `json:"unverified,omitempty"`

	// What every token must satisfy, in the forms of allow: scope, claim and expression,
	// which sees `caller` alone. Asked again at each refresh.
	Only []*Rule `json:"only,omitempty"`

	// How old an ID token may be, where they are accepted; at most 24 hours. In the
	// Caddyfile 10 minutes where no age is said. Default: those that say that they are ID
	// tokens are refused.
	IDTokens caddy.Duration `json:"id_tokens,omitempty"`

	// The header where its tokens are, beside Authorization. It is taken out of the
	// requests that go to the app. What comes in it counts as a cookie does: unsafe
	// requests from other origins are refused.
	TokenHeader string `json:"token_header,omitempty" example:"Cf-Access-Jwt-Assertion"`

	// The client ids that this app has at the issuer: its logout tokens have one of them in
	// "aud", and are taken at `<path>/backchannel-logout`. Default: none are taken.
	Logout []string `json:"logout,omitempty" placeholders:"resolve" example:"my-client"`

	// The security events that the issuer pushes to `<path>/events`. Default: none are taken.
	Events *SecurityEvents `json:"events,omitempty"`

	// Whether the subjects of its tokens are this app's user ids, so that they
	// can have sessions for themselves. Default: true where it is the only
	// trusted issuer, else false.
	Users *bool `json:"users,omitempty"`

	// Whose subjects are, if not those of all, in the forms of only.
	UsersIf *Rule `json:"users_if,omitempty"`
}

func (t *Trust) setDefaults(alone bool) {
	if t.Types == nil {
		t.Types = []string{"at+jwt", "JWT", "none"}
	}
	if t.Algorithms == nil && t.Secret != "" && !t.beside() {
		t.Algorithms = []string{"HS256"}
	}
	t.Leeway = cmp.Or(t.Leeway, new(caddy.Duration(30*time.Second)))
	t.MaxLifetime = cmp.Or(t.MaxLifetime, caddy.Duration(day))
	t.Users = cmp.Or(t.Users, new(alone))
}

// BearerIssuer returns all of the trust but its keys.
func (t *Trust) BearerIssuer() (bearer.Issuer, error) {
	issuer := bearer.Issuer{
		Name:           t.Issuer,
		Issuers:        t.Issuers,
		Tenants:        t.Tenants,
		Audiences:      t.Audience,
		AudienceClaims: t.AudienceClaim,
		UserClaim:      t.UserClaim,
		Unverified:     t.Unverified,
		IDTokens:       time.Duration(t.IDTokens),
		Header:         t.TokenHeader,
		Types:          t.Types,
		Leeway:         time.Duration(*t.Leeway),
		MaxLifetime:    time.Duration(t.MaxLifetime),
		Users:          *t.Users,
	}
	for _, r := range t.Only {
		made, err := r.make()
		if err != nil {
			return issuer, fmt.Errorf("only: %w", err)
		}
		issuer.Only = append(issuer.Only, made.When)
	}
	if t.UsersIf != nil {
		made, err := t.UsersIf.make()
		if err != nil {
			return issuer, fmt.Errorf("users: %w", err)
		}
		issuer.UsersWhen = made.When
	}
	return issuer, nil
}

// KeyPolicy returns which keys are used, and the algorithms of the secret where there is
// one beside them or alone: HS256 unless others are named.
func (t *Trust) KeyPolicy() (keys jose.KeyPolicy, secret []jose.Algorithm, err error) {
	for _, name := range t.Algorithms {
		algorithm, err := jose.ParseAlgorithm(name)
		switch {
		case err != nil:
			return keys, nil, fmt.Errorf("algorithms: %w", err)
		case algorithm.Symmetric() && t.Secret != "":
			secret = append(secret, algorithm)
		default:
			keys.Algorithms = append(keys.Algorithms, algorithm)
			keys.Symmetric = algorithm.Symmetric()
		}
	}
	if secret == nil && t.Secret != "" {
		secret = []jose.Algorithm{jose.HS256}
	}
	return keys, secret, nil
}

// IsRemote reports whether the keys are fetched from a server.
func (t *Trust) IsRemote() bool {
	return isURL(t.JWKS) || t.JWKS == "" && t.Key == "" && t.Secret == ""
}

// KeyFile returns the file that the issuer's public keys are in; "" where they are fetched, or
// there is a secret alone.
func (t *Trust) KeyFile() string {
	if t.Key != "" || isURL(t.JWKS) {
		return t.Key
	}
	return t.JWKS
}

// beside reports whether there are a secret and public keys.
func (t *Trust) beside() bool { return t.Secret != "" && (t.JWKS != "" || t.Key != "") }

// symmetric reports whether the issuer's tokens are signed with a shared secret.
func (t *Trust) symmetric() bool {
	return t.Secret != "" || slices.ContainsFunc(t.Algorithms, func(a string) bool { return strings.HasPrefix(a, "HS") })
}

// HasTenants reports whether a name of the issuer is open for tenants.
func (t *Trust) HasTenants() bool {
	return slices.ContainsFunc(t.Issuers, func(name string) bool { return strings.Contains(name, "*") })
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}
