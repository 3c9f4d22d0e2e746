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

// Trust is an issuer whose JWTs are accepted from callers. Its keys come from jwks or key or, if
// neither is set, from the jwks_uri of the issuer's discovery document. A secret is used alone, or
// beside jwks or key.
type Trust struct {
	// The "iss" of its tokens, compared byte for byte. Required.
	Issuer string `json:"issuer"`

	// The issuer's JWK set: an https URL (http only for this machine), or the path of a file, which
	// is read again when it changes.
	JWKS string `json:"jwks,omitempty" example:"https://idp.example.com/jwks.json"`

	// A file with the issuer's public keys: PEM, a JWK or a JWK set.
	Key string `json:"key,omitempty" placeholders:"resolve" example:"/etc/keys/idp.pem"`

	// A shared secret for HMAC, at least 32 bytes. Placeholders are resolved when the configuration
	// is loaded: `{env.NAME}` or `{file.path}`.
	Secret string `json:"secret,omitempty" placeholders:"secret" example:"{env.IDP_HMAC}"`

	// The audiences of this app: the "aud" of a token must contain one of them. Required.
	Audience []string `json:"audience" placeholders:"resolve" example:"https://app.example.com/auth/sessions"`

	// The algorithms that its tokens may be signed with. Default: those of the keys, asymmetric
	// only; HS256 with a secret.
	Algorithms []string `json:"algorithms,omitempty" example:"ES256 EdDSA"`

	// The accepted values of the header "typ"; `none` stands for a missing header. Default:
	// `at+jwt`, `JWT` and `none`
	Types []string `json:"types,omitempty" example:"at+jwt JWT none"`

	// How much its clock may differ, from 0 to 5 minutes. Default: 30 seconds.
	Leeway *caddy.Duration `json:"leeway,omitempty" example:"30s"`

	// How far in the future a token may expire. Default: 24 hours.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty" example:"24h"`

	// A file with the CA certificates (PEM) that are trusted for the servers of the issuer and of
	// jwks. Default: those of the system.
	CA string `json:"ca,omitempty" placeholders:"resolve" example:"/etc/ssl/internal-ca.pem"`

	// Whether the keys may be fetched over plain HTTP: only safe in a private network. Anyone who
	// can change that traffic can replace the keys and call as anybody.
	InsecureHTTP bool `json:"insecure_http,omitempty" example:""`

	// A bearer token for the URL of jwks, read again for each request: `{file.path}` or
	// `{env.NAME}`. It is sent only to that URL.
	JWKSToken string `json:"jwks_token,omitempty" placeholders:"secret" example:"{env.IDP_HMAC}"`

	// Further names of the issuer, with the same keys: other spellings in its tokens, or patterns
	// with `*` for one segment of the path, the tenant. Rules for a tenant name it with from:
	// administrators of another tenant can give themselves any role.
	Issuers []string `json:"issuers,omitempty" example:"https://idp.example.com/*/v2.0"`

	// The tenants whose subjects are user ids of the app, within users. Default: none.
	Tenants []string `json:"tenants,omitempty" placeholders:"resolve" example:"9122040d-6c67-4c5b-b112-36a304b66dad"`

	// The claims that stand in for "aud" if a token has none, or an empty one: the first one that
	// the token has decides. Names, or JSON pointers. Default: none, and such tokens are refused.
	AudienceClaim []string `json:"audience_claim,omitempty" example:"client_id"`

	// The claim that identifies the caller: its name, or a JSON pointer. Whole numbers count as
	// their digits. An email address must be verified: email_verified, or Entra ID's mark. Default:
	// `sub`
	UserClaim string `json:"user_claim,omitempty"`

	// Whether user_claim may be an email address that the issuer does not mark as verified. Anyone
	// who can enter another person's address there becomes that person.
	Unverified bool `json:"unverified,omitempty"`

	// What every token must satisfy, in the forms of allow: scope, claim and expression, which sees
	// only `caller`. Checked again at each refresh.
	Only []*Rule `json:"only,omitempty"`

	// The maximum age of an ID token, if ID tokens are accepted; at most 24 hours. In the Caddyfile
	// the default age is 10 minutes. Default: tokens that are marked as ID tokens are refused.
	IDTokens caddy.Duration `json:"id_tokens,omitempty"`

	// A header that carries its tokens, in addition to Authorization. It is removed from requests
	// to the app. A token in it counts as a cookie does: unsafe requests from other origins are
	// refused.
	TokenHeader string `json:"token_header,omitempty" example:"Cf-Access-Jwt-Assertion"`

	// The client ids of this app at the issuer: its logout tokens have one of them in "aud", and
	// are accepted at `<path>/backchannel-logout`. Default: none are accepted.
	Logout []string `json:"logout,omitempty" placeholders:"resolve" example:"my-client"`

	// The security events that the issuer pushes to `<path>/events`. Default: none are accepted.
	Events *SecurityEvents `json:"events,omitempty"`

	// Whether the subjects of its tokens are user ids of the app, so that they can have sessions
	// for themselves. Default: true if it is the only trusted issuer, otherwise false.
	Users *bool `json:"users,omitempty"`

	// Which callers' subjects are, if not all, in the forms of only.
	UsersIf *Rule `json:"users_if,omitempty"`
}

func (t *Trust) setDefaults(alone bool) {
	if t.Types == nil {
		t.Types = []string{"at+jwt", "JWT", "none"}
	}
	if t.Algorithms == nil && t.Secret != "" && !t.hasSecretAndKeys() {
		t.Algorithms = []string{"HS256"}
	}
	t.Leeway = cmp.Or(t.Leeway, new(caddy.Duration(30*time.Second)))
	t.MaxLifetime = cmp.Or(t.MaxLifetime, caddy.Duration(day))
	t.Users = cmp.Or(t.Users, new(alone))
}

// BearerIssuer returns the trust as a bearer.Issuer without its keys.
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
		made, err := r.build()
		if err != nil {
			return issuer, fmt.Errorf("only: %w", err)
		}
		issuer.Only = append(issuer.Only, made.When)
	}
	if t.UsersIf != nil {
		made, err := t.UsersIf.build()
		if err != nil {
			return issuer, fmt.Errorf("users: %w", err)
		}
		issuer.UsersWhen = made.When
	}
	return issuer, nil
}

// KeyPolicy returns which keys are used, and the algorithms of the secret if there is one: HS256
// unless others are configured.
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

// KeyFile returns the file with the issuer's public keys; "" if they are fetched, or if there is
// only a secret.
func (t *Trust) KeyFile() string {
	if t.Key != "" || isURL(t.JWKS) {
		return t.Key
	}
	return t.JWKS
}

// hasSecretAndKeys reports whether there are both a secret and public keys.
func (t *Trust) hasSecretAndKeys() bool { return t.Secret != "" && (t.JWKS != "" || t.Key != "") }

// symmetric reports whether the issuer's tokens are signed with a shared secret.
func (t *Trust) symmetric() bool {
	return t.Secret != "" || slices.ContainsFunc(t.Algorithms, func(a string) bool { return strings.HasPrefix(a, "HS") })
}

// ActorIssuers returns the names that an actor's issuer can have in tokens: those of the trusted
// issuers, and of the tenants that allow rules name. No other tenant has actors.
func (b *Block) ActorIssuers() []string {
	var names []string
	for _, t := range b.Trust {
		names = append(append(names, t.Issuer), slices.DeleteFunc(slices.Clone(t.Issuers), func(name string) bool { return strings.Contains(name, "*") })...)
	}
	for _, r := range b.Allow {
		if r.From != "" && !slices.Contains(names, r.From) {
			names = append(names, r.From)
		}
	}
	return names
}

// HasTenants reports whether a name of the issuer is a pattern for tenants.
func (t *Trust) HasTenants() bool {
	return slices.ContainsFunc(t.Issuers, func(name string) bool { return strings.Contains(name, "*") })
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}
