package forward_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"authsidecar/sessions"
	"authsidecar/sessions/forward"
)

// The app reads who is asking from a header, so whatever a client sent under that name, or
// under one that an app could take for it, is removed first.
func Example() {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("X-User-Id", "root")
	request.Header["X_user_id"] = []string{"root"}
	request.Header.Set("Connection", "X-User-Id")

	forward.NewNames([]string{"X-User-Id"}).Scrub(request, nil)
	fmt.Println(len(request.Header))

	caller := &sessions.Caller{
		Principal: sessions.Principal{Issuer: "https://idp.example.com", Subject: "Zoë"}, User: true,
		Claims: sessions.Claims{"address": map[string]any{"country": "NL"}},
	}
	who := forward.Of(caller)
	request.Header.Set("X-User-Id", forward.Field("user_id").Value(who, caller.Claims))
	request.Header.Set("X-Country", forward.Field("/address/country").Value(who, caller.Claims))
	fmt.Println(request.Header.Get("X-User-Id"), request.Header.Get("X-Country"))
	// Output:
	// 0
	// Zo%C3%AB NL
}
