package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/keyring"
)

func isUnavailable(err error) bool {
	for _, cause := range [...]error{sessions.ErrUnavailable, keyring.ErrNoKey, bearer.ErrKeysUnavailable, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// anonymous lets a request pass as nobody's, where that will do.
func (g *gate) anonymous(r *http.Request, cause error) (*identity, error) {
	if !g.Require && !g.Shadow || g.exempt.exempts(r) {
		return g.nobody, nil
	}
	if forward.Preflight(r) {
		dropOverrides(r) // it is nothing else
		return g.nobody, nil
	}
	return g.refuse(r, &refusal{Problem: badToken(cause, forward.Credential{}), cause: cause})
}

// badToken is what a client is told whose credential is not good.
func badToken(cause error, c forward.Credential) *httpapi.Problem {
	switch {
	case errors.Is(cause, bearer.ErrNoToken):
		return errNoToken
	case errors.Is(cause, forward.ErrSeveral):
		return errSeveral
	case errors.Is(cause, bearer.ErrMalformed) && !c.Cookie:
		return errTokens
	default:
		return errToken
	}
}

// refuse refuses a request, unless it is exempt, or require is on trial: then it goes
// on without what it came with.
func (g *gate) refuse(r *http.Request, f *refusal) (*identity, error) {
	exempt := g.exempt.exempts(r)
	if exempt || g.Shadow {
		if !exempt {
			g.inst.reports.WouldRefuse(r, f.Reason())
		}
		g.drop(r)
		return g.nobody, nil
	}
	f.gate = g
	f.toLogin = g.Login != "" && forward.Navigation(r) && f.Status == http.StatusUnauthorized &&
		f.Problem != errSeveral // which signing in would not mend
	return nil, f
}

// over is for a cookie that says it is ours and is not good, or no longer. It is expired;
// what changes nothing goes on as if it had not been there, and where somebody meant to
// change something, they are told to sign in again.
func (g *gate) over(w http.ResponseWriter, r *http.Request, cause error) (*identity, error) {
	if !g.Shadow {
		g.expire(w, r)
	}
	if g.Require || g.Shadow || forward.Unsafe(r) {
		return g.refuse(r, &refusal{Problem: errOver, cause: cause})
	}
	g.drop(r)
	return g.nobody, nil
}

// expire takes the cookie from the browser, if it is of the whole site and of this host
// alone: others cannot be named without knowing how they were set.
func (g *gate) expire(w http.ResponseWriter, r *http.Request) {
	lower := strings.ToLower(g.Cookie)
	gone := http.Cookie{ //nolint:gosec // a site that speaks plain HTTP could not expire a Secure one
		Name: g.Cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || strings.HasPrefix(lower, "__host-") || strings.HasPrefix(lower, "__secure-"),
	}
	w.Header().Add("Set-Cookie", gone.String()) // one that the app sets comes after it
	w.Header().Set("Cache-Control", "no-store")
}

// drop takes out of a request what says that it is ours and is not good.
func (g *gate) drop(r *http.Request) {
	if forward.Smuggled(r, g.inst.issuer) {
		delete(r.Header, "Authorization")
	}
	forward.DropCookies(r, g.inst.issuer, g.Cookie, "", g.claimed(r))
}

// tryScrub says once of each header that requests come with that it will be removed.
func (g *gate) tryScrub(r *http.Request) {
	names := g.removed(r)
	for name := range r.Header {
		folded, ours := names.Fold(name)
		if !ours {
			continue
		}
		if _, said := g.trials.LoadOrStore(folded, true); !said {
			g.inst.logger.Warn("requests come with a header that is removed once require is no longer on trial",
				zap.String("issuer", g.inst.issuer), zap.String("header", name))
		}
	}
}
