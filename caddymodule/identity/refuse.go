package identity

import (
	"errors"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

// anonymous lets a request pass as nobody's, where that will do.
func (m *Middleware) anonymous(r *http.Request, cause error) (*identity, error) {
	if !m.Require && !m.Shadow || m.exempt.exempts(r) {
		return m.nobody, nil
	}
	if forward.Preflight(r) {
		DropOverrides(r) // it is nothing else
		return m.nobody, nil
	}
	return m.refuse(r, &refusal{Problem: badToken(cause, forward.Credential{}), cause: cause})
}

// badToken is what a client reads whose credential is not good.
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

// refuse refuses a request, unless it is exempt, or in shadow mode: then it goes
// on without what it came with.
func (m *Middleware) refuse(r *http.Request, f *refusal) (*identity, error) {
	exempt := m.exempt.exempts(r)
	if exempt || m.Shadow {
		if !exempt {
			m.Reports.WouldRefuse(r, f.Reason())
		}
		m.drop(r)
		return m.nobody, nil
	}
	f.by = m
	f.toLogin = m.Login != "" && forward.Navigation(r) && f.Status == http.StatusUnauthorized &&
		f.Problem != errSeveral && f.Problem != errActingOver // which signing in would not mend
	return nil, f
}

// over is for a cookie that says it is ours and is not good, or no longer. It is taken away;
// what changes nothing goes on as if it had not been there, and where somebody meant to
// change something, they are asked to sign in again.
func (m *Middleware) over(w http.ResponseWriter, r *http.Request, cause error) (*identity, error) {
	if !m.Shadow {
		m.expire(w, r)
	}
	if m.Require || m.Shadow || forward.Unsafe(r) {
		problem := errOver
		if refusal, ok := errors.AsType[*bearer.Refusal](cause); ok && refusal.Reason == bearer.ReasonExpired {
			problem = errExpired // of the session nothing is known
		}
		return m.refuse(r, &refusal{Problem: problem, cause: cause})
	}
	m.drop(r)
	return m.nobody, nil
}

// expire takes the cookie from the browser, if it is of the whole site and of this host
// alone: others cannot be named without knowing how they were set.
func (m *Middleware) expire(w http.ResponseWriter, r *http.Request) {
	lower := strings.ToLower(m.Cookie)
	gone := http.Cookie{ //nolint:gosec // a site that speaks plain HTTP could not expire a Secure one
		Name: m.Cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || strings.HasPrefix(lower, "__host-") || strings.HasPrefix(lower, "__secure-"),
	}
	w.Header().Add("Set-Cookie", gone.String()) // one that the app sets comes after it
	w.Header().Set("Cache-Control", "no-store")
}

// drop takes out of a request what says that it is ours and is not good.
func (m *Middleware) drop(r *http.Request) {
	if forward.Smuggled(r, m.Issuer) {
		delete(r.Header, "Authorization")
	}
	forward.DropCookies(r, m.Issuer, m.Cookie, "", m.claimed(r))
}

// tryScrub says once of each header that requests come with that it will be removed.
func (m *Middleware) tryScrub(r *http.Request) {
	names := m.removed(r)
	for name := range r.Header {
		folded, ours := names.Fold(name)
		if !ours {
			continue
		}
		if _, said := m.seen.LoadOrStore(folded, true); !said {
			m.Logger.Warn("requests come with a header that is removed once identity is no longer in shadow mode",
				zap.String("issuer", m.Issuer), zap.String("header", name))
		}
	}
}
