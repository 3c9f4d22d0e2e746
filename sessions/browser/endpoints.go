package browser

import (
	"net/http"

	"authsidecar/sessions/browser/banner"
	"authsidecar/sessions/browser/signin"
)

// ClosePath is where people sign out, below our path.
const ClosePath = "/close"

// An Endpoint is one that browsers use, below our path.
type Endpoint struct {
	// Rest is where, below the path: "/close".
	Rest string
	// Methods are those that it has; all others get 405.
	Methods []string
	// NeedsStore is whether it can do nothing without the store.
	NeedsStore bool
	// Serve answers. An error is answered as httpapi.ProblemOf says.
	Serve func(w http.ResponseWriter, r *http.Request) error
	// Down returns the error to answer while the store is not open, for that cause, and sets
	// what headers there are to be. Nil: the cause.
	Down func(w http.ResponseWriter, r *http.Request, cause error) error
}

// endpoints are what is served: a line each.
func (a *API) endpoints() []Endpoint {
	all := []Endpoint{
		{Rest: ClosePath, Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.close, Down: a.closeDown},
		{Rest: SignedOutPath, Methods: []string{http.MethodGet}, Serve: a.signedOut},
	}
	if !a.Console {
		all = append(all,
			Endpoint{Rest: OpenPath, Methods: []string{http.MethodGet, http.MethodHead}, Serve: a.open},
			Endpoint{Rest: OpenPath + "/preview", Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.preview},
			Endpoint{Rest: OpenPath + "/confirm", Methods: []string{http.MethodPost}, NeedsStore: true, Serve: a.confirm},
		)
	}
	if a.Banner {
		all = append(all,
			Endpoint{Rest: banner.ScriptPath, Methods: []string{http.MethodGet, http.MethodHead}, Serve: bannerScript},
			Endpoint{Rest: banner.StatePath, Methods: []string{http.MethodGet}, NeedsStore: true, Serve: a.acting},
		)
	}
	if a.SignIn != nil {
		all = append(all,
			Endpoint{Rest: SignInPath, Methods: []string{http.MethodGet}, NeedsStore: true, Serve: a.signIn},
			Endpoint{Rest: signin.CallbackPath(SignInPath), Methods: []string{http.MethodGet}, NeedsStore: true, Serve: a.signedIn},
		)
	}
	return all
}
