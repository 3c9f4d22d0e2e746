package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

func isUnavailable(err error) bool {
	for _, cause := range [...]error{sessions.ErrUnavailable, sessions.ErrNoKey, bearer.ErrKeysUnavailable, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// anonymous lets a request pass as nobody's, where that will do.
func (g *gate) anonymous(w http.ResponseWriter, r *http.Request, why error) (*identity, error) {
	if !g.Require && !g.Shadow || g.isExempt(r) {
		return nobody, nil
	}
	if forward.Preflight(r) {
		httpapi.DropOverrides(r) // it is nothing else
		return nobody, nil
	}
	return g.refuse(w, r, forward.Credential{}, http.StatusUnauthorized, why)
}

// refuse refuses a request, unless it is exempt, or require is on trial: then it goes
// on without what it came with.
func (g *gate) refuse(w http.ResponseWriter, r *http.Request, c forward.Credential, status int, why error) (*identity, error) {
	exempt := g.isExempt(r)
	if exempt || g.Shadow {
		if !exempt {
			g.shadowed(r, why)
		}
		g.drop(r)
		return nobody, nil
	}
	g.inst.failed(r, status, why)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if g.Login != "" && forward.Navigation(r) && status == http.StatusUnauthorized {
		g.toLogin(w, r)
		return nil, nil
	}
	switch {
	case status == http.StatusForbidden:
	case errors.Is(why, bearer.ErrNoToken):
		header.Set("WWW-Authenticate", "Bearer")
	case errors.Is(why, bearer.ErrMalformed) && !c.Cookie:
		header.Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="Send one bearer token, in one Authorization header."`)
	default:
		header.Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="The bearer token is not valid here, or no longer."`)
	}
	return nil, caddyhttp.Error(status, why)
}

// toLogin sends a person to where he can sign in.
func (g *gate) toLogin(w http.ResponseWriter, r *http.Request) {
	target := g.Login
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		target = repl.ReplaceAll(target, "")
	}
	w.Header().Set("Location", target)
	w.Header().Set("Vary", "Authorization, Cookie, Sec-Fetch-Mode, Accept")
	w.WriteHeader(http.StatusFound)
}

// drop takes out of a request what says that it is ours and is not good.
func (g *gate) drop(r *http.Request) {
	if forward.Smuggled(r, g.inst.issuer) {
		delete(r.Header, "Authorization")
	}
	ours := slices.ContainsFunc(r.CookiesNamed(g.Cookie), func(cookie *http.Cookie) bool {
		ours, _ := forward.Claims(cookie.Value, g.inst.issuer)
		return ours
	})
	forward.DropCookies(r, g.inst.issuer, g.Cookie, ours)
}

func (g *gate) shadowed(r *http.Request, why error) {
	reason := reasonOf(http.StatusUnauthorized, why)
	shadowRefusals.WithLabelValues(g.inst.issuer, reason).Inc()
	g.inst.logger.Info("request would be refused: require is on trial",
		zap.String("issuer", g.inst.issuer), zap.String("reason", reason), zap.String("client_ip", clientIP(r)),
		zap.String("method", r.Method), zap.String("path", r.URL.Path))
}

// unavailable answers where nobody can tell who is asking, or whether he still may.
func (g *gate) unavailable(w http.ResponseWriter, r *http.Request, err error) error {
	g.inst.failed(r, http.StatusServiceUnavailable, err)
	w.Header().Set("Retry-After", "1")
	return caddyhttp.Error(http.StatusServiceUnavailable, err)
}

// isExempt tells whether every way to read the request's path is exempt.
func (g *gate) isExempt(r *http.Request) bool {
	if len(g.exempt) == 0 || r.URL.Opaque != "" {
		return false
	}
	probe := (&http.Request{URL: new(url.URL)}).WithContext(r.Context())
	for reading := range httpapi.Readings(r.URL.Path) {
		probe.URL.Path = reading
		if match, err := g.exempt.MatchWithError(probe); !match || err != nil {
			return false
		}
	}
	return true
}
