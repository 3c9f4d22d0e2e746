package browser

import (
	"net/http"

	"authsidecar/sessions/browser/banner"
	"authsidecar/sessions/browser/signin"
	"authsidecar/sessions/internal/endpoint"
)

// ClosePath is where people sign out, below our path.
const ClosePath = "/close"

// addEndpoints registers the endpoints, one per line.
func (a *API) addEndpoints() {
	gets, reads, posts := []string{http.MethodGet}, []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	a.Add(a.Path+ClosePath, endpoint.Endpoint{Methods: posts, NeedsStore: true, Serve: a.close, Unavailable: a.closeUnavailable})
	a.Add(a.Path+SignedOutPath, endpoint.Endpoint{Methods: gets, Serve: a.signedOut})
	if !a.Console {
		a.Add(a.Path+OpenPath, endpoint.Endpoint{Methods: reads, Serve: a.open})
		a.Add(a.Path+OpenPath+"/preview", endpoint.Endpoint{Methods: posts, NeedsStore: true, Serve: a.preview})
		a.Add(a.Path+OpenPath+"/confirm", endpoint.Endpoint{Methods: posts, NeedsStore: true, Serve: a.confirm})
	}
	if a.Banner {
		a.Add(a.Path+banner.ScriptPath, endpoint.Endpoint{Methods: reads, Serve: bannerScript})
		a.Add(a.Path+banner.StatePath, endpoint.Endpoint{Methods: gets, NeedsStore: true, Serve: a.acting})
	}
	if a.SignIn != nil {
		a.Add(a.Path+SignInPath, endpoint.Endpoint{Methods: gets, NeedsStore: true, Serve: a.signIn})
		a.Add(a.Path+signin.CallbackPath(SignInPath), endpoint.Endpoint{Methods: gets, NeedsStore: true, Serve: a.signedIn})
	}
}
