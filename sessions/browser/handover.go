package browser

import (
	"cmp"
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/internal/endpoint"
)

// The values of deliver.
const (
	inCookie = "cookie"
	byLink   = "link"
)

// Handover implements all ways of delivery to browsers: in cookies and with a link.
type Handover struct {
	*Authenticator
	Links *Links
	Path  string // that of Config
}

var (
	// errTooLong is the error for tokens that are too long for a browser's cookies.
	errTooLong = httpapi.NewProblem(400, "cookies_too_large", "Cookies too large",
		"The tokens of this session do not fit into cookies, which have 4096 bytes in all: keep fewer claims, or use shorter names.")
	// errNotHere is the error for requesting cookies of an impersonation on the wrong host.
	errNotHere = httpapi.NewProblem(400, "wrong_host", "Impersonations have a host of their own",
		"Send the request to the host on which people act as others: its cookies are good there alone.")
)

// Prepare implements httpapi.Deliverer. A browser says which page sends the request. A request that
// does not say so comes from a program that relays the cookies, since no page can make a browser
// send a bearer token.
func (h Handover) Prepare(r *http.Request, way string, req *sessions.CreateRequest) error {
	switch {
	case way == byLink:
		req.Link = true
	case req.ReturnTo != "":
		return httpapi.ErrReturnTo
	case way != inCookie:
		return httpapi.ErrDeliver
	case (r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "") && h.CrossSite(r):
		return httpapi.ErrCrossOrigin
	default:
		req.Cookies = true
	}
	if confidential := h.Manager.Minter.Confidential; confidential[req.ClientID] || req.ClientID == "" && confidential[req.Caller.ClientID] {
		return sessions.ErrClient // which could not authenticate when the session is rotated
	}
	return nil
}

// Deliver implements httpapi.Deliverer.
func (h Handover) Deliver(w http.ResponseWriter, r *http.Request, way string, grant *sessions.Grant) error {
	session := &grant.Session
	switch {
	case way == byLink:
		endpoint.WriteJSON(w, http.StatusOK, "application/json", h.Links.answer(h.Path, grant))
	case session.Impersonation && !h.Links.isAt(r, session):
		return cmp.Or(h.Manager.SignOut(r.Context(), session, h.ClientIP(r)), error(errNotHere))
	case !h.Jar.Fits(PairOf(session), grant):
		return cmp.Or(h.Manager.SignOut(r.Context(), session, h.ClientIP(r)), error(errTooLong))
	default:
		h.SetSession(w.Header(), r, grant)
		httpapi.WriteSession(w, grant)
	}
	return nil
}

// A linkAnswer is the response for a session that is handed over. It contains no token.
type linkAnswer struct {
	SessionID     string `json:"session_id"`
	UserID        string `json:"user_id"`
	Impersonation bool   `json:"is_impersonation"`
	Link          string `json:"link"`
	LinkEnd       string `json:"link_expires_at"`
}

func (l *Links) answer(path string, grant *sessions.Grant) *linkAnswer {
	s := &grant.Session
	return &linkAnswer{
		SessionID: s.ID, UserID: s.UserID, Impersonation: s.Impersonation,
		Link: l.URL(path, grant), LinkEnd: s.End().UTC().Format(time.RFC3339),
	}
}

// Interface guard
var _ httpapi.Deliverer = Handover{}
