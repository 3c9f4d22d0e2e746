package identity

import (
	"errors"
	"net/http"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/forward"
)

// byCookies decides who is asking by the cookies of a browser, and takes these out of the request.
// decided is false where there is another credential, or none in cookies. settle is what an
// answer has to say of it; nil: nothing.
func (m *Middleware) byCookies(r *http.Request) (who *identity, settle func(http.Header), decided bool, err error) {
	if m.Browser == nil {
		return nil, nil, false, nil
	}
	brought := m.Browser.Brought(r)
	flows, _ := m.Browser.Jar.Flows()
	forward.DropNamed(r.Header, m.Browser.Jar.Names(), flows)
	if _, err := bearer.FromHeader(r.Header); !errors.Is(err, bearer.ErrNoToken) || !brought.There() {
		return nil, nil, false, nil
	}
	if cause := m.Open(r.Context()); cause != nil {
		return nil, nil, true, m.unavailable(cause)
	}
	switch {
	case forward.Smuggled(r, m.Issuer): // beside them
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
	who, settle, err = m.bySession(r, &brought)
	return who, settle, true, err
}

// bySession decides by the session that the cookies are of.
func (m *Middleware) bySession(r *http.Request, brought *browser.Brought) (*identity, func(http.Header), error) {
	decision, err := m.Browser.Authenticate(r, brought)
	var over *browser.OverError
	switch {
	case err == nil:
		return m.identify(decision.Holder), func(h http.Header) { m.Browser.Settle(r.Context(), h, decision) }, nil
	case errors.As(err, &over):
		who, err := m.overInBrowser(r, over)
		return who, func(h http.Header) { m.Browser.Clear(h, over.Pair) }, err
	case errors.Is(err, browser.ErrSeveral):
		who, err := m.refuse(r, &refusal{Problem: errSeveral, cause: err})
		return who, nil, err
	default:
		return nil, nil, m.unavailable(err)
	}
}

// overInBrowser is for cookies of a session that is over. Whoever meant to change something is
// asked to sign in again; whoever acted as somebody else is told that this is over, whatever they
// asked for: it must not happen in their own name.
func (m *Middleware) overInBrowser(r *http.Request, over *browser.OverError) (*identity, error) {
	switch {
	case over.Pair == browser.As:
		return m.refuse(r, &refusal{Problem: errActingOver, cause: over})
	case m.Require || forward.Unsafe(r):
		return m.refuse(r, &refusal{Problem: errOver, cause: over})
	default:
		return m.nobody, nil
	}
}
