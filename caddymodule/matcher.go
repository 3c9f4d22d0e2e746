package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule/config/directive"
	"authsidecar/caddymodule/identity"
	"authsidecar/caddymodule/internal/pathpattern"
	"authsidecar/caddymodule/internal/placeholder"
)

func init() {
	caddy.RegisterModule(MatchImpersonated{})
}

// MatchImpersonated matches requests of impersonated sessions. It is an error, and never a
// mismatch, if no auth_sessions handler with identity has authenticated the request before.
type MatchImpersonated struct {
	// Paths in the form of `deny`: with paths, only requests for one of them match, or with a path
	// that is not canonical, so that the app could take it for one of them. Use this to refuse
	// requests, not to let them through.
	Paths []string `json:"paths,omitempty"`

	guard identity.PathGuard
}

// CaddyModule returns the Caddy module information.
func (MatchImpersonated) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.impersonated",
		New: func() caddy.Module { return new(MatchImpersonated) },
	}
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens:
//
//	impersonated [<paths...>]
func (m *MatchImpersonated) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		m.Paths = append(m.Paths, d.RemainingArgs()...)
		if err := m.Validate(); err != nil {
			return d.Err(err.Error())
		}
		if directive.OpensBlock(d) {
			return d.Err("impersonated takes no block: remove the braces")
		}
	}
	return nil
}

// Provision compiles the paths.
func (m *MatchImpersonated) Provision(caddy.Context) error {
	m.guard = identity.NewPathGuard(m.Paths)
	return nil
}

// Validate checks the paths.
func (m *MatchImpersonated) Validate() error {
	if err := placeholder.Check(&m); err != nil {
		return fmt.Errorf("impersonated %w", err)
	}
	for _, pattern := range m.Paths {
		if why := pathpattern.Check(pattern); why != "" {
			return fmt.Errorf("impersonated %q %s: write nothing or paths, as in: impersonated /billing/* /account/delete", pattern, why)
		}
	}
	return nil
}

var errUndecided = errors.New("the matcher impersonated runs before the request is authenticated: it needs auth_sessions with identity before it (put both in a route block, in this order)")

// MatchWithError reports whether the request belongs to an impersonated session, and is for one of
// the paths if there are any.
func (m MatchImpersonated) MatchWithError(r *http.Request) (bool, error) {
	impersonated, decided := identity.Impersonated(r)
	if !decided {
		return false, caddyhttp.Error(http.StatusInternalServerError, errUndecided)
	}
	return impersonated && (len(m.Paths) == 0 || m.guard.Denies(r)), nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler             = (*MatchImpersonated)(nil)
	_ caddy.Provisioner                 = (*MatchImpersonated)(nil)
	_ caddy.Validator                   = (*MatchImpersonated)(nil)
	_ caddyhttp.RequestMatcherWithError = (*MatchImpersonated)(nil)
)
