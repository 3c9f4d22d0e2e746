package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/internal/placeholder"
)

// Fields that accept {env.NAME} and {file.path} have the tag placeholders; all others refuse them
// (package placeholder).

// Block is an auth_sessions block: the configuration that an operator writes, in the Caddyfile or
// as JSON.
type Block struct {
	// The "iss" of the tokens that are minted: an absolute http or https URL without query and
	// fragment. It is also the realm: blocks with the same issuer share their sessions, and those
	// with different issuers never see each other's. Required.
	Issuer string `json:"issuer" example:"https://app.example.com"`

	// Where sessions are created: an absolute, clean path without a trailing slash, wildcards or
	// placeholders. Default: `/auth/sessions`
	Path string `json:"path,omitempty" example:"/auth/sessions"`

	// The issuers whose bearer JWTs callers may present, each with its own keys.
	// At least one is required.
	Trust []*Trust `json:"trust"`

	// Who may have a session for whom; a request that no rule allows is denied. At least one is
	// required.
	Allow []*Rule `json:"allow"`

	// Shadow rules, in the forms of allow: what they would decide for each request is logged, but
	// they never allow anything.
	Shadow []*Rule `json:"shadow_allow,omitempty"`

	// User ids that nobody may impersonate, whatever allows it. `*` stands for any characters. All
	// spellings are protected that differ in case (in any language), compatibility forms (NFKC) or
	// invisible characters.
	Protect []string `json:"protect,omitempty" placeholders:"resolve"`

	// Whether sessions can also be refreshed, listed and revoked below the path, where the public
	// keys of access tokens are served too. All methods and all paths below it are then ours.
	Lifecycle bool `json:"lifecycle,omitempty" example:""`

	// The OAuth endpoints, and the clients that may use them. Default: none.
	OAuth *OAuth `json:"oauth,omitempty"`

	// Whether discovery documents are served below `/.well-known/`, where libraries that verify
	// access tokens look for the public keys. With oauth they always are.
	Discovery bool `json:"discovery,omitempty" example:""`

	// Which callers may list and revoke the sessions of others, in the forms of allow except self:
	// everybody may manage their own. Needs lifecycle.
	Manage []*Rule `json:"manage,omitempty"`

	// Which callers, back ends, may say in the member client of a request who their own client is,
	// in the forms of allow except self. Default: none.
	ReportClient []*Rule `json:"report_client,omitempty"`

	// The claims of a user's own token that their session keeps, for its access tokens and for
	// headers. Default: none.
	Claims *Claims `json:"claims,omitempty"`

	// The origins whose scripts may call our endpoints, as browsers send them:
	// `https://spa.example.com`. Cookies do not count for them. This does not affect responses of
	// the app. Default: none.
	CORS []string `json:"cors,omitempty" example:"https://spa.example.com"`

	// Whether a description of what this block serves (OpenAPI 3.1) is public at openapi.json below
	// the path.
	OpenAPI bool `json:"openapi,omitempty" example:""`

	// How the app learns who sends each request. Default: requests are forwarded unchanged.
	Identity *Identity `json:"identity,omitempty"`

	// Sessions in a browser's cookies, for people. Default: none.
	Browser *Browser `json:"browser,omitempty"`

	// The lifetimes of users' own sessions.
	Session *Session `json:"session,omitempty" example:""`

	// The lifetimes of sessions for other users, and what these require.
	Impersonation *Impersonation `json:"impersonation,omitempty" example:""`

	// How refresh tokens are minted.
	RefreshToken *RefreshToken `json:"refresh_token,omitempty" example:""`

	// How access tokens are minted.
	AccessToken *AccessToken `json:"access_token,omitempty" example:""`

	// The signing keys that are generated and stored in Caddy's storage.
	SigningKeys *SigningKeys `json:"signing_keys,omitempty" example:""`

	// The record of who acted as whom, in addition to the log.
	Audit *Audit `json:"audit,omitempty"`

	// A path whose GET reports whether this block can serve requests: 200 or 503, without details.
	// Default: none.
	Health string `json:"health,omitempty" example:"/auth/health"`

	// Where sessions are stored. Default: `{"engine": "pebble"}`, in Caddy's
	// data directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=auth_sessions.stores inline_key=engine"`
}

// Prepare sets defaults, resolves placeholders, and checks the result. Its errors name the word
// that is wrong.
func (b *Block) Prepare() error {
	if err := b.Resolve(); err != nil {
		return err
	}
	return b.Check()
}

// Resolve sets defaults and resolves placeholders.
func (b *Block) Resolve() error {
	b.setDefaults()
	return asFault(placeholder.ResolveAll(b))
}

// CheckConfigured sets defaults and checks a block as it is written, without resolving placeholders,
// whose values may be known only on the server. at is where something is wrong: the words that lead
// there, with the index of a repeated one, joined by dots, as in trust.0.audience.
func (b *Block) CheckConfigured() (at string, err error) {
	b.setDefaults()
	if err = asFault(placeholder.Check(b)); err == nil {
		err = b.Check()
	}
	if f, ok := errors.AsType[*fault](err); ok {
		at = f.at
	}
	return at, err
}

// asFault turns an error about a placeholder into a fault.
func asFault(err error) error {
	if of, ok := errors.AsType[*placeholder.Error](err); ok {
		return wrong(wordsOf.Replace(of.At), "%w", of)
	}
	return err
}

// wordsOf maps names in JSON to different words in the Caddyfile.
var wordsOf = strings.NewReplacer("shadow_allow.", "shadow allow.", "identity.headers.", "identity.header.", "oauth.clients.", "client.")

const day = 24 * time.Hour

// setDefaults sets all defaults, so that no block is nil afterwards. A default that would
// contradict what the operator wrote is adjusted.
func (b *Block) setDefaults() {
	b.Path = cmp.Or(b.Path, "/auth/sessions")
	for _, t := range b.Trust {
		if t != nil {
			t.setDefaults(len(b.Trust) == 1)
		}
	}
	b.setTokenDefaults()
	b.setLifeDefaults()
	if b.Claims != nil {
		b.Claims.setDefaults()
	}
	if b.OAuth != nil {
		b.OAuth.Path = cmp.Or(b.OAuth.Path, "/oauth")
	}
	if b.Identity != nil {
		b.Identity.setDefaults(b.Issuer)
	}
	if b.Browser != nil {
		b.Browser.setDefaults()
		b.setSignInDefaults()
	}
	b.SigningKeys = cmp.Or(b.SigningKeys, new(SigningKeys))
	b.SigningKeys.Rotate = cmp.Or(b.SigningKeys.Rotate, new(caddy.Duration(30*day)))
	if b.StoreRaw == nil {
		b.StoreRaw = json.RawMessage(`{"engine":"pebble"}`)
	}
}
