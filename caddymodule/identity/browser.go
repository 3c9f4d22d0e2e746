package identity

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/browser/banner"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

// authenticateCookies authenticates the request by the cookies of a browser, and removes them from
// the request. decided is false if there is another credential, or none in cookies. settle sets
// headers of the response that follow from that; it may be nil.
func (m *Middleware) authenticateCookies(r *http.Request) (who *identity, settle settleFunc, decided bool, err error) {
	if m.Browser == nil {
		return nil, nil, false, nil
	}
	brought := m.Browser.Credential(r)
	flows, _ := m.Browser.Jar.Flows()
	forward.DropNamed(r.Header, m.Browser.Jar.Names(), flows)
	if _, err := bearer.FromHeader(r.Header); !errors.Is(err, bearer.ErrNoToken) || !brought.Present() {
		return nil, nil, false, nil
	}
	switch cause := m.Open(r.Context()); {
	case prefetches(r) && m.signOutPaths.Names(r):
		return nil, nil, true, &refusal{Problem: errPrefetch, by: m}
	case cause != nil:
		settle, err = m.unknown(r, brought.Pair, cause)
		return nil, settle, true, err
	case forward.HasSmuggledToken(r, m.Issuer): // in addition to them
		who, err = m.refuse(r, &refusal{Problem: errTokens, cause: bearer.ErrMalformed})
		return who, nil, true, err
	case m.Browser.CrossSite(r):
		f := &refusal{Problem: errCrossOrigin}
		if holder := m.Browser.Who(r, &brought); holder != nil {
			f.who = m.identify(holder)
		}
		who, err = m.refuse(r, f)
		return who, nil, true, err
	}
	who, settle, err = m.authenticateSession(r, &brought)
	return who, settle, true, err
}

// authenticateSession authenticates the request by the session of its cookies.
func (m *Middleware) authenticateSession(r *http.Request, brought *browser.Credential) (*identity, settleFunc, error) {
	decision, err := m.Browser.Authenticate(r, brought)
	var over *browser.OverError
	switch {
	case err == nil:
		return m.identify(decision.Holder), m.newSettle(r, decision), nil
	case errors.As(err, &over):
		who, err := m.handleOver(r, over)
		return who, func(_ int, h http.Header, _ bool) { m.Browser.Clear(h, over.Pair) }, err
	case errors.Is(err, browser.ErrSeveral):
		who, err := m.refuse(r, &refusal{Problem: errSeveral, cause: err})
		return who, nil, err
	default:
		settle, err := m.unknown(r, brought.Pair, err)
		return nil, settle, err
	}
}

// newSettle returns the settleFunc for a session. It also ends the session if the person signs out
// or the app says so.
func (m *Middleware) newSettle(r *http.Request, d *browser.Decision) settleFunc {
	out := m.signsOut(r)
	return func(status int, h http.Header, end bool) {
		if !out && !end {
			m.Browser.Settle(r.Context(), h, d)
			return
		}
		if err := m.Browser.SignOut(r, d, status, h); err != nil {
			m.Reports.Failed(r.Context(), http.StatusServiceUnavailable, err)
		}
	}
}

// unknown handles a session whose state is unknown for now. A person who signs out is signed out in
// this browser anyway.
func (m *Middleware) unknown(r *http.Request, p browser.Pair, cause error) (settleFunc, error) {
	if !m.signsOut(r) {
		return nil, m.unavailable(cause)
	}
	f := &refusal{Problem: httpapi.ProblemOf(browser.NotRevokedError(cause)), by: m, cause: browser.NotRevokedError(cause)}
	return func(_ int, h http.Header, _ bool) { m.Browser.ClearSite(h, p) }, f
}

// handleOver handles cookies of a session that is over. A person whose request could change
// something must sign in again. A person whose impersonation is over is told so for any request,
// which must not be performed in their own name.
func (m *Middleware) handleOver(r *http.Request, over *browser.OverError) (*identity, error) {
	switch {
	case over.Pair == browser.As:
		return m.refuse(r, &refusal{Problem: errActingOver, cause: over})
	case m.Require || forward.Unsafe(r):
		return m.refuse(r, &refusal{Problem: errOver, cause: over})
	default:
		return m.nobody, nil
	}
}

// withBanner returns next with the bar on its page, if an actor uses cookies and browser has a
// banner. A request that signs out gets none.
func (m *Middleware) withBanner(r *http.Request, who *identity, next caddyhttp.Handler) caddyhttp.Handler {
	if !banner.Wanted(r) || m.signOutPaths.Names(r) {
		return next
	}
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		page := m.Banner.Begin(w, r, who.SessionID)
		err := next.ServeHTTP(page, r)
		page.End(err)
		return err
	})
}
