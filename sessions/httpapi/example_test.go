package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/httpapi"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/urlpath"
)

// A handler asks whose a request is: ours is answered, and the rest goes to the app. Who
// sends no token is asked for one.
func Example() {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		panic(err)
	}
	keys, err := bearer.NewStatic(key.Public())
	if err != nil {
		panic(err)
	}
	verifier, err := bearer.New(bearer.Config{Issuers: []bearer.Issuer{
		{Name: "https://idp.example.com", Keys: keys, Audiences: []string{"https://app.example.com"}},
	}})
	if err != nil {
		panic(err)
	}
	api := httpapi.New(httpapi.Config{
		Path: "/auth/sessions", Verifier: verifier,
		ClientIP: func(r *http.Request) string { return r.RemoteAddr },
	})

	for _, path := range []string{"/", "/auth/sessions"} {
		request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"user_id":"alice"}`))
		match := api.Route(request)
		if match.Owner == urlpath.Pass {
			fmt.Println(path, "is the app's")
			continue
		}
		answer := httptest.NewRecorder()
		api.Serve(answer, request, match)
		fmt.Println(path, answer.Code, answer.Header().Get("WWW-Authenticate"), answer.Header().Get("Content-Type"))
	}
	// Output:
	// / is the app's
	// /auth/sessions 401 Bearer application/problem+json
}
