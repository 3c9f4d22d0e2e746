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

// SignedOutPath is where people come after they signed out, below our path.
//
// For its back button, a browser keeps a page from the moment it shows the next one (HTML Standard,
// "Session history": an entry keeps its document). That is after the response to the sign-out, so
// its Clear-Site-Data comes too early. So people pass through a page of ours:
//
//	signed-out?return_to=/bye             a page that refreshes to
//	signed-out?return_to=/bye&seen=true   303 to /bye, which clears what the browser keeps
//	signed-out                            where the provider sends people: the same, as a page
const SignedOutPath = "/signed-out"

// signedOut answers GET <path>/signed-out. It does not use the store.
func (a *API) signedOut(w http.ResponseWriter, r *http.Request) error {
	if forward.WantsPage(r) { // so that no page can make a browser drop it in the background
		a.clearSiteData(w.Header(), Own)
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
	w.Header().Set("Refresh", "0;url="+next) // HTML Standard, "The Refresh header": it replaces this page in the history
	httpapi.NewProblem(http.StatusOK, "signed_out", "One moment", "You will be redirected.").WritePage(w, httpapi.Link{Text: "Go on", URL: next})
	return nil
}

// signedOutURL returns where a person who signed out goes next, on their way to a path of this
// site; base is our path, relative to where they are. "" means that they go there at once, since
// browsers do not clear data over plain HTTP.
func (a *API) signedOutURL(r *http.Request, base, path string) string {
	if !a.Jar.secure || !forward.WantsPage(r) || !urlpath.Local(path) {
		return ""
	}
	return base + strings.TrimPrefix(SignedOutPath, "/") + "?" + url.Values{"return_to": {path}}.Encode()
}
