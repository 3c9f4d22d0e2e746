package signin_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"time"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser/signin"
)

// ExampleClient_Begin sends a browser to its provider, whose discovery document a test serves here.
func ExampleClient_Begin() {
	server := httptest.NewServer(document{})
	defer server.Close()
	verifier, err := bearer.New(bearer.Config{Issuers: []bearer.Issuer{signin.Issuer(bearer.Issuer{Name: server.URL, Keys: &bearer.Static{}}, "app")}})
	if err != nil {
		panic(err)
	}
	client, err := signin.New(signin.Config{
		Issuer: server.URL, ClientID: "app", Origins: []string{"https://app.example.com"}, Path: "/auth/sessions/sign-in",
		Verifier: verifier, Key: func() []byte { return make([]byte, 32) }, Cookie: "__Host-session-in-", Secure: true,
		HTTP: bearer.NewClient(nil), Now: func() time.Time { return noon },
	})
	if err != nil {
		panic(err)
	}

	w := httptest.NewRecorder()
	to, err := client.Begin(w, httptest.NewRequest("GET", "https://app.example.com/auth/sessions/sign-in", nil), "/orders")
	if err != nil {
		panic(err)
	}
	u, _ := url.Parse(to)
	fmt.Println(u.Path, u.Query().Get("code_challenge_method"), u.Query().Get("redirect_uri"))
	fmt.Println(w.Header().Get("Set-Cookie") != "")
	// Output:
	// /authorize S256 https://app.example.com/auth/sessions/sign-in/callback
	// true
}
