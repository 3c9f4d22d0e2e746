package browser_test

import (
	"fmt"
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/browser"
)

// A session gets into a browser, and comes back with its next request.
func ExampleJar() {
	jar := browser.NewJar("__Host-session", true)
	answer := make(http.Header)
	now := time.Now()
	jar.Set(answer, browser.Own, &sessions.Grant{AccessToken: "access", RefreshToken: "refresh", Now: now, AccessExpires: now.Add(10 * time.Minute)})
	for _, line := range answer["Set-Cookie"] {
		fmt.Println(line)
	}
	own, as, err := jar.Read(&http.Request{Header: http.Header{"Cookie": {"theme=dark; __Host-session=access; __Host-session-refresh=refresh"}}})
	fmt.Println(own, as.Present(), err)
	// Output:
	// __Host-session=access; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax
	// __Host-session-refresh=refresh; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax
	// {access refresh} false <nil>
}
