package config

import (
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/internal/pathpattern"
	"authsidecar/sessions"
)

// Impersonation limits the sessions for other users.
type Impersonation struct {
	// The lifetime of a session if the request does not ask for one. Default: 1 hour.
	TTL caddy.Duration `json:"ttl,omitempty" example:"1h"`

	// The maximum lifetime of a request. Default: 8 hours.
	MaxTTL caddy.Duration `json:"max_ttl,omitempty" example:"8h"`

	// A session that is not refreshed for that long ends. At least one and a half times the
	// lifetime of an access token. Default: 15 minutes.
	Idle caddy.Duration `json:"idle,omitempty" example:"15m"`

	// Whether a request must have a reason.
	RequireReason bool `json:"require_reason,omitempty" example:""`

	// Whether impersonated sessions can only read: requests that could change something are refused
	// (403), as are upgrades and CONNECT. Needs identity.
	ReadOnly bool `json:"read_only,omitempty" example:""`

	// Paths that are closed to impersonated sessions (403), in the forms of the `path` matcher;
	// paths that servers may read in different ways are closed too. Needs identity.
	Deny []string `json:"deny,omitempty" example:"/billing/* /account/delete"`
}

func (i *Impersonation) Lifetimes() sessions.Lifetimes {
	return sessions.Lifetimes{TTL: time.Duration(i.TTL), MaxTTL: time.Duration(i.MaxTTL), Idle: time.Duration(i.Idle)}
}

// checkImpersonation is less strict about idle than checkSession: these sessions should end soon
// after their actor has left. A client that refreshes when its access token expires still has half
// a token lifetime to do so.
func (b *Block) checkImpersonation() error {
	i := b.Impersonation
	if err := checkLife("impersonation", i.TTL, i.MaxTTL, i.Idle); err != nil {
		return err
	}
	if least := b.AccessToken.TTL * 3 / 2; i.Idle < least {
		return wrong("impersonation.idle", "impersonation: idle is %s: it must be at least %s, one and a half times the life of an access token (ttl %s)",
			formatDuration(i.Idle), formatDuration(least), formatDuration(b.AccessToken.TTL))
	}
	return nil
}

// checkGuards checks the restrictions of impersonated sessions.
func (b *Block) checkGuards() error {
	i := b.Impersonation
	for word, given := range map[string]bool{"read_only": i.ReadOnly, "deny": i.Deny != nil} {
		if given && b.Identity == nil {
			return wrong("impersonation."+word, "impersonation: %s needs identity: without it, no request is known to be impersonated; add identity, or remove it", word)
		}
	}
	for _, pattern := range i.Deny {
		if why := pathpattern.Check(pattern); why != "" {
			return wrong("impersonation.deny", "impersonation: deny %q %s: write paths, as in: deny /billing/* /account/delete", pattern, why)
		}
	}
	return checkList("impersonation.deny", "impersonation: deny", i.Deny)
}
