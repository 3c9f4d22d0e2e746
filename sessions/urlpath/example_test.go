package urlpath_test

import (
	"fmt"
	"net/url"

	"authsidecar/sessions/urlpath"
)

// A path of ours is answered, what some server could take for it goes to nobody, and the rest
// is the app's.
func Example() {
	ours := urlpath.NewOwn("/auth/sessions", false)
	for _, raw := range []string{"/auth/sessions", "/x/../auth/sessions", "/auth//sessions", "/auth/sessions;v=1", "/users/a%40example.com"} {
		u, err := url.Parse(raw)
		if err != nil {
			panic(err)
		}
		owner := map[urlpath.Owner]string{urlpath.Ours: "ours", urlpath.Alias: "nobody's", urlpath.Pass: "the app's"}[ours.Match(u).Owner]
		fmt.Println(raw, owner, urlpath.Canonical(u))
	}
	// Output:
	// /auth/sessions ours true
	// /x/../auth/sessions ours false
	// /auth//sessions ours false
	// /auth/sessions;v=1 nobody's false
	// /users/a%40example.com the app's true
}
