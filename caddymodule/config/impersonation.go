package config

import (
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/internal/pathpattern"
	"authsidecar/sessions"
)

// Impersonation bounds the sessions that callers have for other users.
type Impersonation struct {
	// The life of a session whose request asks for none. Default: 1 hour.
	TTL caddy.Duration `json:"ttl,omitempty" example:"1h"`

	// The longest life that a request may ask for. Default: 8 hours.
	MaxTTL caddy.Duration `json:"max_ttl,omitempty" example:"8h"`

	// A session that is not refreshed for that long is over. At least one and a
	// half times the life of an access token. Default: 15 minutes.
	Idle caddy.Duration `json:"idle,omitempty" example:"15m"`

	// Whether a request must say why.
	RequireReason bool `json:"require_reason,omitempty" example:""`

	// Whether their requests may only look: those that could change something are
	// refused (403), and upgrades and CONNECT with them. Needs identity.
	ReadOnly bool `json:"read_only,omitempty" example:""`

	// Paths that their requests never reach (403), in the forms of the `path`
	// matcher; nor do they reach any whose spelling servers read in different ways.
	// Needs identity.
	Deny []string `json:"deny,omitempty" example:"/billing/* /account/delete"`
}

func (i *Impersonation) Lifetimes() sessions.Lifetimes {
	return sessions.Lifetimes{TTL: time.Duration(i.TTL), MaxTTL: time.Duration(i.MaxTTL), Idle: time.Duration(i.Idle)}
}

// checkImpersonation asks less of idle than checkSession does: these sessions
// are to end soon after their user went away. What is left is half an access
// token's life for a client that refreshes when its token is over.
func (b *Block) checkImpersonation() error {
	i := b.Impersonation
	if err := checkLife("impersonation", i.TTL, i.MaxTTL, i.Idle); err != nil {
		return err
	}
	if least := b.AccessToken.TTL * 3 / 2; i.Idle < least {
		return wrong("impersonation.idle", "impersonation: idle is %s: it must be at least %s, one and a half times the life of an access token (ttl %s)",
			show(i.Idle), show(least), show(b.AccessToken.TTL))
	}
	return nil
}

// checkGuards checks what impersonated sessions are kept from.
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
