package browser

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/internal/endpoint"
)

// byLink is the value of deliver for delivery with a link.
const byLink = "link"

// OpenPath is where links are opened, below our path.
const OpenPath = "/open"

// Links configures how sessions are handed over with a link, for requests with deliver: link. Of a
// link, only its pending session is stored.
type Links struct {
	// Origin is the origin of people's own sessions, and ImpersonateOrigin that of impersonations,
	// which may be the same: as in https://app.example.com.
	Origin, ImpersonateOrigin string
	// ExpireCookies are cookies of the app that are removed from the browser when an impersonation
	// begins and when it ends.
	ExpireCookies []string
	// SignIn is the path at which people sign in; "" if they cannot.
	SignIn string
}

// apart reports whether impersonations have their own host.
func (l *Links) apart() bool { return l.ImpersonateOrigin != l.Origin }

// ActingHost returns the separate host of impersonations; "" if there is none.
func (l *Links) ActingHost() string {
	if !l.apart() {
		return ""
	}
	_, host, _ := strings.Cut(l.ImpersonateOrigin, "://")
	return host
}

// URL returns the link of a grant, given our path.
func (l *Links) URL(path string, grant *sessions.Grant) string {
	return l.originOf(&grant.Session) + path + OpenPath + "#" + grant.Link
}

// originOf returns the origin of a session.
func (l *Links) originOf(s *sessions.Session) string {
	if s.Impersonation {
		return l.ImpersonateOrigin
	}
	return l.Origin
}

// isAt reports whether a request was sent to the host of a session. If all sessions have the same
// host, its name does not matter.
func (l *Links) isAt(r *http.Request, s *sessions.Session) bool {
	_, host, _ := strings.Cut(l.originOf(s), "://")
	return !l.apart() || strings.EqualFold(r.Host, host)
}

// expire removes the cookies of the app.
func (l *Links) expire(h http.Header, secure bool) {
	for _, name := range l.ExpireCookies {
		cookie := http.Cookie{Name: name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode} //nolint:gosec // a site that speaks plain HTTP, on this machine alone, could drop no Secure one
		h.Add("Set-Cookie", cookie.String())
	}
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

// Handover implements all ways of delivery: in cookies and with a link.
type Handover struct {
	Cookies
	Links *Links
	Path  string // that of Config
}

// Prepare implements httpapi.Deliverer.
func (h Handover) Prepare(r *http.Request, way string, req *sessions.CreateRequest) error {
	switch {
	case way == byLink:
		req.Link = true
		return h.keeps(req)
	case req.ReturnTo != "":
		return httpapi.ErrReturnTo
	default:
		return h.Cookies.Prepare(r, way, req)
	}
}

// Deliver implements httpapi.Deliverer.
func (h Handover) Deliver(w http.ResponseWriter, r *http.Request, way string, grant *sessions.Grant) error {
	if way != byLink && grant.Session.Impersonation && !h.Links.isAt(r, &grant.Session) {
		return cmp.Or(h.Manager.SignOut(r.Context(), &grant.Session, h.ClientIP(r)), error(errNotHere))
	}
	if way != byLink {
		return h.Cookies.Deliver(w, r, way, grant)
	}
	endpoint.WriteJSON(w, http.StatusOK, "application/json", h.Links.answer(h.Path, grant))
	return nil
}

// errNotHere is the error for requesting cookies of an impersonation on the wrong host.
var errNotHere = httpapi.NewProblem(400, "wrong_host", "Impersonations have a host of their own",
	"Send the request to the host on which people act as others: its cookies are good there alone.")

// errElsewhere is the error for opening a link on the wrong host.
var errElsewhere = httpapi.NewProblem(400, "wrong_host", "This link is for another host",
	"Open the link as it is: it names the host on which it opens.")

// Interface guard
var _ httpapi.Deliverer = Handover{}
