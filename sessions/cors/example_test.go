package cors_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"authsidecar/sessions/cors"
)

// A browser asks before a script of a page sends a token: pages of the origins that were
// named may, and others get no answer that lets them.
func Example() {
	policy := cors.New([]string{"https://spa.example.com"})
	for _, origin := range []string{"https://spa.example.com", "https://evil.example"} {
		request := httptest.NewRequest(http.MethodOptions, "/auth/sessions", nil)
		request.Header.Set("Origin", origin)
		request.Header.Set("Access-Control-Request-Method", "POST")
		answer := httptest.NewRecorder()
		answered := policy.Serve(answer, request)
		fmt.Printf("%v %d %q\n", answered, answer.Code, answer.Header().Get("Access-Control-Allow-Origin"))
	}
	fmt.Println(cors.Check("*") != nil)
	// Output:
	// true 204 "https://spa.example.com"
	// true 204 ""
	// true
}
