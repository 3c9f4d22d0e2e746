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

// anonymous lets a request pass as anonymous, if that is allowed.
func (m *Middleware) anonymous(r *http.Request, cause error) (*identity, error) {
	if !m.Require && !m.Shadow || m.exempt.exempts(r) {
		return m.nobody, nil
	}
	if forward.Preflight(r) {
		DropOverrides(r) // not needed otherwise
		return m.nobody, nil
	}
	return m.refuse(r, &refusal{Problem: badToken(cause, forward.Credential{}), cause: cause})
}

// badToken returns the problem for a credential that is not valid.
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

// refuse refuses a request, unless it is exempt or in shadow mode: then it is forwarded without its
// credential.
func (m *Middleware) refuse(r *http.Request, f *refusal) (*identity, error) {
	exempt := m.exempt.exempts(r)
	if exempt || m.Shadow {
		if !exempt {
			m.Reports.WouldRefuse(r, f.Reason())
		}
		m.dropClaimed(r)
		return m.nobody, nil
	}
	f.by = m
	f.toLogin = m.Login != "" && forward.Navigation(r) && f.Status == http.StatusUnauthorized &&
		f.Problem != errSeveral && f.Problem != errActingOver // signing in would not help
	return nil, f
}

// handleInvalidCookie handles a cookie that claims to be ours and is not valid, or no longer. The
// cookie is removed. A safe request is treated as if it had not been there; for an unsafe one the
// person must sign in again.
func (m *Middleware) handleInvalidCookie(w http.ResponseWriter, r *http.Request, cause error) (*identity, error) {
	if !m.Shadow {
		m.expire(w, r)
	}
	if m.Require || m.Shadow || forward.Unsafe(r) {
		problem := errOver
		if refusal, ok := errors.AsType[*bearer.Refusal](cause); ok && refusal.Reason == bearer.ReasonExpired {
			problem = errExpired // nothing is known about the session
		}
		return m.refuse(r, &refusal{Problem: problem, cause: cause})
	}
	m.dropClaimed(r)
	return m.nobody, nil
}

// expire removes the cookie from the browser, if it is for the whole site and this host only:
// removing others requires knowing how they were set.
func (m *Middleware) expire(w http.ResponseWriter, r *http.Request) {
	lower := strings.ToLower(m.Cookie)
	gone := http.Cookie{ //nolint:gosec // a site that speaks plain HTTP could not expire a Secure one
		Name: m.Cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || strings.HasPrefix(lower, "__host-") || strings.HasPrefix(lower, "__secure-"),
	}
	w.Header().Add("Set-Cookie", gone.String()) // a cookie set by the app follows it
	w.Header().Set("Cache-Control", "no-store")
}

// dropClaimed removes everything that claims to be ours and is not valid from a request.
func (m *Middleware) dropClaimed(r *http.Request) {
	if forward.HasSmuggledToken(r, m.Issuer) {
		delete(r.Header, "Authorization")
	}
	forward.DropCookies(r, m.Issuer, m.Cookie, "", m.hasOwnCookie(r))
}

// logScrub logs, once per name, that a header of requests will be removed.
func (m *Middleware) logScrub(r *http.Request) {
	names := m.strippedNames(r)
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
