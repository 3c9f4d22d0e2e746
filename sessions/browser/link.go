package browser

import (
	"net/http"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/httpapi"
)

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

// hasOwnHost reports whether impersonations have their own host.
func (l *Links) hasOwnHost() bool { return l.ImpersonateOrigin != l.Origin }

// ActingHost returns the name of the host on which people impersonate others, where it is one of its
// own; "" for none.
func (l *Links) ActingHost() string {
	if !l.hasOwnHost() {
		return ""
	}
	_, host, _ := strings.Cut(l.ImpersonateOrigin, "://")
	return HostName(host)
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
	return !l.hasOwnHost() || strings.EqualFold(r.Host, host)
}

// expire removes the cookies of the app.
func (l *Links) expire(h http.Header, secure bool) {
	for _, name := range l.ExpireCookies {
		cookie := http.Cookie{Name: name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode} //nolint:gosec // a site that speaks plain HTTP, on this machine alone, could drop no Secure one
		h.Add("Set-Cookie", cookie.String())
	}
}

// errElsewhere is the error for opening a link on the wrong host.
var errElsewhere = httpapi.NewProblem(400, "wrong_host", "This link is for another host",
	"Open the link unchanged: it contains the host that it is for.")
