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

// Texts that take {env.NAME} and {file.path} say so by the tag placeholders; all others
// refuse them (package placeholder).

// Block is an auth_sessions block: what an operator writes, in the Caddyfile or as JSON.
type Block struct {
	// The "iss" of the tokens that are minted: an absolute http or https URL
	// without query and fragment. It also names the realm: blocks of one
	// issuer share their sessions, those of different issuers never see each
	// other's. Required.
	Issuer string `json:"issuer" example:"https://app.example.com"`

	// Where sessions are created: an absolute, clean path without trailing
	// slash, wildcards and placeholders. Default: `/auth/sessions`
	Path string `json:"path,omitempty" example:"/auth/sessions"`

	// The issuers whose bearer JWTs callers may present, each with its own keys.
	// At least one is required.
	Trust []*Trust `json:"trust"`

	// Who may have a session for whom; what no rule allows is denied. At least
	// one is required.
	Allow []*Rule `json:"allow"`

	// Shadow rules, in the forms of allow: what they would decide of each request
	// is logged, and none of them ever grants anything.
	Shadow []*Rule `json:"shadow_allow,omitempty"`

	// User ids that nobody may impersonate, whatever allows it. `*` stands for
	// any run of characters. All spellings count that differ by case in any language,
	// by NFKC, or by characters that nobody sees.
	Protect []string `json:"protect,omitempty" placeholders:"resolve"`

	// Whether refreshing, listing and revoking sessions is served too, below the
	// path, and there the public keys of access tokens. All methods and all paths
	// below it are then ours.
	Lifecycle bool `json:"lifecycle,omitempty" example:""`

	// The OAuth endpoints, and the clients that may use them. Default: none.
	OAuth *OAuth `json:"oauth,omitempty"`

	// Whether the discovery documents are served, below `/.well-known/`, where libraries that
	// verify access tokens look for the public keys. With oauth they are in any case.
	Discovery bool `json:"discovery,omitempty" example:""`

	// Whose callers may list and revoke the sessions of others, in the forms of
	// allow, but for self: everybody may manage their own. Needs lifecycle.
	Manage []*Rule `json:"manage,omitempty"`

	// Whose callers, back ends, may say in the member client of a request who their own client
	// is, in the forms of allow, but for self. Default: nobody's.
	ReportClient []*Rule `json:"report_client,omitempty"`

	// The claims of a user's own token that their session keeps, so that access tokens have
	// them, and a header can tell the app. Default: none.
	Claims *Claims `json:"claims,omitempty"`

	// The origins whose scripts may call our endpoints, as browsers send them:
	// `https://spa.example.com`. No credentials of a browser are taken from them. What the
	// app allows to other origins is its own matter. Default: none.
	CORS []string `json:"cors,omitempty" example:"https://spa.example.com"`

	// Whether a description of what this block serves (OpenAPI 3.1) is served at
	// openapi.json below the path, to anyone.
	OpenAPI bool `json:"openapi,omitempty" example:""`

	// How the app learns who sends each request. Default: requests are forwarded as
	// they came.
	Identity *Identity `json:"identity,omitempty"`

	// Sessions in cookies of a browser, for people. Default: none.
	Browser *Browser `json:"browser,omitempty"`

	// The life of sessions that users have for themselves.
	Session *Session `json:"session,omitempty" example:""`

	// The life of sessions that callers have for other users, and what is asked
	// of these.
	Impersonation *Impersonation `json:"impersonation,omitempty" example:""`

	// How refresh tokens are minted.
	RefreshToken *RefreshToken `json:"refresh_token,omitempty" example:""`

	// How access tokens are minted.
	AccessToken *AccessToken `json:"access_token,omitempty" example:""`

	// The signing keys that are generated and kept in Caddy's storage.
	SigningKeys *SigningKeys `json:"signing_keys,omitempty" example:""`

	// The record of who acted as whom, beside the log.
	Audit *Audit `json:"audit,omitempty"`

	// A path whose GET reports whether this can serve: 200, or 503, and nothing more.
	// Default: none.
	Health string `json:"health,omitempty" example:"/auth/health"`

	// Where sessions are stored. Default: `{"engine": "pebble"}`, in Caddy's
	// data directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=auth_sessions.stores inline_key=engine"`
}

// Prepare sets defaults, gives placeholders their values, and checks what is left. Its errors
// name the word that is wrong.
func (b *Block) Prepare() error {
	if err := b.Resolve(); err != nil {
		return err
	}
	return b.Check()
}

// Resolve sets defaults and gives placeholders their values.
func (b *Block) Resolve() error {
	b.setDefaults()
	return placed(placeholder.ResolveAll(b))
}

// CheckWritten sets defaults and checks a block as it is written, with its placeholders: what
// they stand for may be known to the server alone. at is where something is wrong: the words
// that lead there, with the number of a repeated one, joined by dots, as in trust.0.audience.
func (b *Block) CheckWritten() (at string, err error) {
	b.setDefaults()
	if err = placed(placeholder.Check(b)); err == nil {
		err = b.Check()
	}
	if f, ok := errors.AsType[*fault](err); ok {
		at = f.at
	}
	return at, err
}

// placed makes a fault of what is wrong with a placeholder.
func placed(err error) error {
	if of, ok := errors.AsType[*placeholder.Error](err); ok {
		return wrong(wordsOf.Replace(of.At), "%w", of)
	}
	return err
}

// wordsOf are the words of the Caddyfile whose names in JSON are others.
var wordsOf = strings.NewReplacer("shadow_allow.", "shadow allow.", "identity.headers.", "identity.header.", "oauth.clients.", "client.")

const day = 24 * time.Hour

// setDefaults fills in what the configuration leaves open, so that all blocks are
// there afterwards. Where a default could contradict what the operator wrote, it
// gives way.
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
