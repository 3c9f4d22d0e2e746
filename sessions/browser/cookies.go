package browser

import (
	"errors"
	"net/http"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/httpapi"
)

// Cookies lets people use the endpoints of an httpapi.API with cookies, to see and revoke their own
// sessions.
type Cookies struct{ *Authenticator }

// Caller implements httpapi.Cookies.
func (c Cookies) Caller(w http.ResponseWriter, r *http.Request) (*sessions.Caller, error) {
	brought := c.Brought(r)
	if !brought.There() {
		return nil, bearer.ErrNoToken
	}
	if c.CrossSite(r) {
		return nil, httpapi.ErrCrossOrigin
	}
	decision, err := c.Authenticate(r, &brought)
	var over *OverError
	switch {
	case errors.As(err, &over):
		c.Clear(w.Header(), over.Pair)
		return nil, sessions.ErrEnded
	case errors.Is(err, ErrSeveral):
		return nil, bearer.ErrMalformed
	case err != nil:
		return nil, err
	}
	c.Settle(r.Context(), w.Header(), decision)
	return decision.Holder.Caller(), nil
}

// SignedOut implements httpapi.Cookies.
func (c Cookies) SignedOut(w http.ResponseWriter, r *http.Request) {
	if brought := c.Brought(r); brought.There() {
		c.Clear(w.Header(), brought.Pair)
	}
}

// inCookie is the value of deliver for delivery in cookies.
const inCookie = "cookie"

// errTooLong is the error for tokens that are too long for a browser's cookies.
var errTooLong = httpapi.NewProblem(400, "cookies_too_large", "Cookies too large",
	"The tokens of this session do not fit into cookies, which have 4096 bytes in all: keep fewer claims, or use shorter names.")

// Prepare implements httpapi.Deliverer. A browser says which page sends the request. A request that
// does not say so comes from a program that relays the cookies, since no page can make a browser
// send a bearer token.
func (c Cookies) Prepare(r *http.Request, way string, req *sessions.CreateRequest) error {
	if way != inCookie {
		return httpapi.ErrDeliver
	}
	if (r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "") && c.CrossSite(r) {
		return httpapi.ErrCrossOrigin
	}
	req.Cookies = true
	return c.keeps(req)
}

// keeps returns an error if the session of a request cannot live in cookies: its client could not
// authenticate when the session is rotated.
func (c Cookies) keeps(req *sessions.CreateRequest) error {
	if confidential := c.Manager.Minter.Confidential; confidential[req.ClientID] || req.ClientID == "" && confidential[req.Caller.ClientID] {
		return sessions.ErrClient
	}
	return nil
}

// Deliver implements httpapi.Deliverer.
func (c Cookies) Deliver(w http.ResponseWriter, r *http.Request, _ string, grant *sessions.Grant) error {
	pair := PairOf(&grant.Session)
	if !c.Jar.Fits(pair, grant) {
		if err := c.Manager.SignOut(r.Context(), &grant.Session, c.ClientIP(r)); err != nil {
			return err
		}
		return errTooLong
	}
	c.Give(w.Header(), r, grant)
	httpapi.WriteSession(w, grant)
	return nil
}

// Interface guards
var (
	_ httpapi.Deliverer = Cookies{}
	_ httpapi.Cookies   = Cookies{}
)
