package caddymodule

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// Texts that take {env.NAME} and {file.path} say so by the tag placeholders; all others
// refuse them (package placeholder).

// Handler gives the users of an app sessions. It answers POST on its path: it
// verifies the caller's bearer JWT, decides whether that caller may have a
// session for the user it names, and mints a refresh token and an access token.
// All other requests go on to the next handler, untouched.
type Handler struct {
	// The "iss" of the tokens that are minted: an absolute http or https URL
	// without query and fragment. It also names the realm: handlers of one
	// issuer share their sessions, those of different issuers never see each
	// other's. Required.
	Issuer string `json:"issuer"`

	// Where sessions are created: an absolute, clean path without trailing
	// slash, wildcards and placeholders. Default: `/auth/sessions`
	Path string `json:"path,omitempty"`

	// The issuers whose bearer JWTs callers may present, each with its own keys.
	// At least one is required.
	Trust []*Trust `json:"trust"`

	// Who may have a session for whom; what no rule allows is denied. At least
	// one is required.
	Allow []*Rule `json:"allow"`

	// Rules on trial, in the forms of allow: what they would decide of each request
	// is logged, and none of them ever grants anything.
	Shadow []*Rule `json:"shadow_allow,omitempty"`

	// User ids that nobody may impersonate, whatever allows it. `*` stands for
	// any run of characters. All spellings count that differ by case in any language,
	// by NFKC, or by characters that nobody sees.
	Protect []string `json:"protect,omitempty" placeholders:"resolve"`

	// Whether refreshing, listing and revoking sessions is served too, below the
	// path, and there the public keys of access tokens. All methods and all paths
	// below it are then ours.
	Lifecycle bool `json:"lifecycle,omitempty"`

	// Whose callers may list and revoke the sessions of others, in the forms of
	// allow, but for self: everybody may manage his own. Needs lifecycle.
	Manage []*Rule `json:"manage,omitempty"`

	// The claims of a user's own token that their session keeps, so that access tokens have
	// them, and a header can tell the app. Default: none.
	Claims *Claims `json:"claims,omitempty"`

	// How the requests that go to the app are told who is asking. Default: not at all,
	// they go as they came.
	Identity *Identity `json:"identity,omitempty"`

	// The life of sessions that users have for themselves.
	Session *Session `json:"session,omitempty"`

	// The life of sessions that callers have for other users, and what is asked
	// of these.
	Impersonation *Impersonation `json:"impersonation,omitempty"`

	// How refresh tokens are minted.
	RefreshToken *RefreshToken `json:"refresh_token,omitempty"`

	// How access tokens are minted.
	AccessToken *AccessToken `json:"access_token,omitempty"`

	// The signing keys that are generated and kept in Caddy's storage.
	SigningKeys *SigningKeys `json:"signing_keys,omitempty"`

	// The record of who acted as whom, beside the log.
	Audit *Audit `json:"audit,omitempty"`

	// A path whose GET tells whether this can serve: 200, or 503, and nothing more.
	// Default: none.
	Health string `json:"health,omitempty"`

	// Where sessions are stored. Default: `{"engine": "pebble"}`, in Caddy's
	// data directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=auth_sessions.stores inline_key=engine"`

	logger *zap.Logger
	store  StoreOpener
	inst   *instance
}

// Trust is an issuer whose JWTs are accepted from callers. Its keys come from one of
// jwks and key, or from what OpenID Connect discovery says at the issuer where
// neither is given; or they are a secret, alone or beside jwks or key.
type Trust struct {
	// The "iss" of its tokens, compared byte for byte. Required.
	Issuer string `json:"issuer"`

	// The issuer's JWK set: an https URL (http for this machine alone), or the
	// path of a file, which is read again when it changes.
	JWKS string `json:"jwks,omitempty"`

	// A file with the issuer's public keys: PEM, a JWK or a JWK set.
	Key string `json:"key,omitempty" placeholders:"resolve"`

	// A shared secret for HMAC: its bytes, at least 32. Placeholders are
	// resolved when the configuration is loaded: `{env.NAME}` or `{file.path}`.
	Secret string `json:"secret,omitempty" placeholders:"secret"`

	// What we are called in the "aud" of its tokens, of which one must be there.
	// Required.
	Audience []string `json:"audience" placeholders:"resolve"`

	// The algorithms that its tokens may be signed with. Default: what the keys
	// themselves say, asymmetric only; HS256 with a secret.
	Algorithms []string `json:"algorithms,omitempty"`

	// The accepted values of the header "typ"; `none` stands for no such header.
	// Default: `at+jwt`, `JWT` and `none`
	Types []string `json:"types,omitempty"`

	// How far its clock may be off, from 0 to 5 minutes. Default: 30 seconds.
	Leeway *caddy.Duration `json:"leeway,omitempty"`

	// The longest time from now at which a token may expire. Default: 24 hours.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`

	// A file with the certificates (PEM) of whom to believe that they are the issuer,
	// and the server of jwks. Default: whom the system believes.
	CA string `json:"ca,omitempty" placeholders:"resolve"`

	// Whether the keys may be had over plain HTTP: in a network that nobody else is in.
	// Whoever is can make up keys, and call as anybody.
	InsecureHTTP bool `json:"insecure_http,omitempty"`

	// A bearer token for the URL of jwks, read again each time: `{file.path}` or
	// `{env.NAME}`. It goes to that URL alone.
	JWKSToken string `json:"jwks_token,omitempty" placeholders:"secret"`

	// Further names of the issuer, under the same keys: spellings that its tokens have for
	// it, or patterns with `*` for one segment of the path, the tenant. Rules for a tenant
	// name it, with from: whoever administers another one can give themselves any role.
	Issuers []string `json:"issuers,omitempty"`

	// The tenants whose subjects are this app's user ids, as far as users says. Default:
	// none.
	Tenants []string `json:"tenants,omitempty" placeholders:"resolve"`

	// The claims where the audience is looked for in tokens that have no "aud", or an
	// empty one: the first that a token has decides. Names, or JSON pointers.
	// Default: none, and such tokens are refused.
	AudienceClaim []string `json:"audience_claim,omitempty"`

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
	TokenHeader string `json:"token_header,omitempty"`

	// Whether the subjects of its tokens are this app's user ids, so that they
	// can have sessions for themselves. Default: true where it is the only
	// trusted issuer, else false.
	Users *bool `json:"users,omitempty"`

	// Whose subjects are, if not those of all, in the forms of only.
	UsersIf *Rule `json:"users_if,omitempty"`
}

// Rule allows sessions. It holds exactly one of self, scope, claim and
// expression.
type Rule struct {
	// Users may have sessions for themselves.
	Self bool `json:"self,omitempty"`

	// Callers whose token has this scope may have sessions for other users.
	Scope string `json:"scope,omitempty" placeholders:"resolve"`

	// Callers whose token has this claim may have sessions for other users.
	Claim *ClaimRule `json:"claim,omitempty"`

	// Callers for whom this CEL expression is true may have sessions for other
	// users. It sees `caller` (the claims of the caller's token), and the
	// strings `user_id`, `reason` and `client_id`. An error is a no.
	Expression string `json:"expression,omitempty" placeholders:"code"`

	// The issuer whose callers the rule is for. Required, except for self, where
	// several issuers are trusted: a scope of one means nothing from another.
	From string `json:"from,omitempty"`
}

// ClaimRule asks for a claim.
type ClaimRule struct {
	// The name of the claim, or a JSON pointer (RFC 6901) into nested ones,
	// which starts with a slash.
	Name string `json:"name"`

	// The value that the claim must be, or hold where it is an array.
	Value string `json:"value" placeholders:"resolve"`
}

// Session bounds the sessions that users have for themselves.
type Session struct {
	// The life of a session whose request asks for none. Default: 30 days.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// The longest life that a request may ask for. Default: 365 days.
	MaxTTL caddy.Duration `json:"max_ttl,omitempty"`

	// A session that is not refreshed for that long is over. At least twice the
	// life of an access token. Default: 14 days.
	Idle caddy.Duration `json:"idle,omitempty"`

	// How many sessions of each kind a user may have; the least recently used
	// one gives way. 0 is no limit. Default: 200
	MaxPerUser *int `json:"max_per_user,omitempty"`
}

// Impersonation bounds the sessions that callers have for other users.
type Impersonation struct {
	// The life of a session whose request asks for none. Default: 1 hour.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// The longest life that a request may ask for. Default: 8 hours.
	MaxTTL caddy.Duration `json:"max_ttl,omitempty"`

	// A session that is not refreshed for that long is over. At least one and a
	// half times the life of an access token. Default: 15 minutes.
	Idle caddy.Duration `json:"idle,omitempty"`

	// Whether a request must say why.
	RequireReason bool `json:"require_reason,omitempty"`

	// Whether their requests may only look: those that could change something are
	// refused (403), and upgrades and CONNECT with them. Needs identity.
	ReadOnly bool `json:"read_only,omitempty"`

	// Paths that their requests never reach (403), in the forms of the `path`
	// matcher; nor do they reach any whose spelling servers read in different ways.
	// Needs identity.
	Deny []string `json:"deny,omitempty"`
}

// RefreshToken says how refresh tokens are minted.
type RefreshToken struct {
	// For how long a refresh token that was used can be used again, for the same
	// successor: what keeps a client signed in that lost the answer. From 0 to 5
	// minutes, and at most a quarter of the life of an access token.
	// Default: 30 seconds.
	Grace *caddy.Duration `json:"grace,omitempty"`

	// What they are signed with: `EdDSA` or `RS256`, which are deterministic.
	// Default: `EdDSA`
	Algorithm string `json:"algorithm,omitempty"`

	// A file with the private key to sign with, PEM or JWK, instead of a
	// generated one.
	Key string `json:"key,omitempty" placeholders:"resolve"`
}

// AccessToken says how access tokens are minted.
type AccessToken struct {
	// Their life, at most 1 hour. Default: 10 minutes.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// What they are signed with; an asymmetric one. Default: `ES256`
	Algorithm string `json:"algorithm,omitempty"`

	// A file with the private key to sign with, PEM or JWK, instead of a
	// generated one.
	Key string `json:"key,omitempty" placeholders:"resolve"`

	// Their "aud". Default: the issuer.
	Audience []string `json:"audience,omitempty" placeholders:"resolve"`
}

// SigningKeys says how generated keys are kept.
type SigningKeys struct {
	// How long a key signs before the next one does: at least 1 day, or 0 for
	// ever. Default: 30 days.
	Rotate *caddy.Duration `json:"rotate,omitempty"`
}
