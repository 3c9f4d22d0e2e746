package browser

import (
	"net/http"
	"net/url"
	"strings"

	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/urlpath"
)

// SignedOutPath is where people are who signed out, below our path.
//
// A browser keeps the page that somebody left, for its back button, from when it shows another one
// (HTML Standard, "Session history": the state of an entry keeps its document). That is after the answer
// to the sign-out, whose Clear-Site-Data comes too early for it. So people go on over a page of ours:
//
//	signed-out?return_to=/bye             a page that goes on by itself to
//	signed-out?return_to=/bye&seen=true   303 to /bye, which has the browser drop what it keeps
//	signed-out                            where the provider sends them: the same, as a page
const SignedOutPath = "/signed-out"

// signedOut answers GET <path>/signed-out. It asks no store.
func (a *API) signedOut(w http.ResponseWriter, r *http.Request) error {
	if forward.Person(r) { // no page makes a browser drop it in the background
		a.cross(w.Header(), Own)
	}
	query := r.URL.Query()
	to := query.Get("return_to")
	if to == "" {
		var next []httpapi.Link
		if a.SignIn != nil {
			next = append(next, httpapi.Link{Text: "Sign in again", URL: a.Path + SignInPath})
		}
		httpapi.NewProblem(http.StatusOK, "signed_out", "You are signed out", "You can close this page.").WritePage(w, next...)
		return nil
	}
	if !urlpath.Local(to) {
		to = "/"
	}
	if query.Has("seen") {
		endpoint.NoStore(w.Header())
		SeeOther(w, to)
		return nil
	}
	next := "?" + url.Values{"return_to": {to}, "seen": {"true"}}.Encode()
	w.Header().Set("Refresh", "0;url="+next) // HTML Standard, "The Refresh header": it takes the place of this page in the history
	httpapi.NewProblem(http.StatusOK, "signed_out", "One moment", "You are taken on.").WritePage(w, httpapi.Link{Text: "Go on", URL: next})
	return nil
}

// throughSignedOut returns where somebody goes on who signed out, on their way to a path of this site:
// base is where our path is, as seen from where they are. "": they go there at once, since no browser
// drops what it got over plain HTTP.
func (a *API) throughSignedOut(r *http.Request, base, path string) string {
	if !a.Jar.secure || !forward.Person(r) || !urlpath.Local(path) {
		return ""
	}
	return base + strings.TrimPrefix(SignedOutPath, "/") + "?" + url.Values{"return_to": {path}}.Encode()
}
