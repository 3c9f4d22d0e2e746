package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(MatchImpersonated{})
}

// MatchImpersonated matches the requests of impersonated sessions: of those that
// somebody has for another user. Where no auth_sessions handler with identity decided
// whose request it is, before this matcher is asked, it is an error, never a no.
type MatchImpersonated struct{}

// CaddyModule returns the Caddy module information.
func (MatchImpersonated) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.impersonated",
		New: func() caddy.Module { return new(MatchImpersonated) },
	}
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens:
//
//	impersonated
func (*MatchImpersonated) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		if d.NextArg() {
			return d.Errf("impersonated takes no value: remove %q", d.Val())
		}
		if opensBlock(d) {
			return d.Err("impersonated takes no block: remove the braces")
		}
	}
	return nil
}

var errUndecided = errors.New("the matcher impersonated is asked before it is decided whose request it is: it needs identity in auth_sessions, and that to come before it (put both in a route block, in this order)")

// MatchWithError tells whether it is a request of an impersonated session.
func (MatchImpersonated) MatchWithError(r *http.Request) (bool, error) {
	id, decided := identityOf(r)
	if !decided {
		return false, caddyhttp.Error(http.StatusInternalServerError, errUndecided)
	}
	return id.impersonated(), nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler             = (*MatchImpersonated)(nil)
	_ caddyhttp.RequestMatcherWithError = (*MatchImpersonated)(nil)
)
