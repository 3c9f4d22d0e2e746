package console_test

import (
	"fmt"
	"net/http/httptest"

	"authsidecar/sessions"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/browser/console"
	"authsidecar/sessions/urlpath"
)

// All of the console's host is the console's, whatever the port, and nothing of any other host.
func ExampleConsole() {
	here := &browser.Authenticator{Jar: browser.NewJar("__Host-session", true), Manager: &sessions.Manager{}}
	pages, err := console.New(console.Config{
		Origin: "https://sessions.example.com", Path: "/auth/sessions", Issuer: "https://idp.example.com",
		Browsers: browser.New(browser.Config{Path: "/auth/sessions", Authenticator: here, Console: true}),
		Links:    &browser.Links{Origin: "https://app.example.com", ImpersonateOrigin: "https://app.example.com"},
	})
	if err != nil {
		panic(err)
	}
	for _, url := range []string{"https://sessions.example.com/orders", "https://SESSIONS.example.com.:8443/", "https://app.example.com/"} {
		fmt.Println(url, pages.Route(httptest.NewRequest("GET", url, nil)).Owner == urlpath.Ours)
	}
	// Output:
	// https://sessions.example.com/orders true
	// https://SESSIONS.example.com.:8443/ true
	// https://app.example.com/ false
}
