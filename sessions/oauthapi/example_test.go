package oauthapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/oauthapi"
)

// A client library that knows the issuer finds the endpoints in its metadata (RFC 8414).
func Example() {
	api, err := oauthapi.New(oauthapi.Config{
		Issuer: "https://app.example.com", Path: "/auth/oauth", KeysPath: "/auth/sessions/keys",
		Keys:    func() []*jose.Key { return nil },
		Clients: []oauthapi.Client{{ID: "cli", Public: true}},
	})
	if err != nil {
		panic(err)
	}
	request := httptest.NewRequest(http.MethodGet, "/.well-known/oauth-authorization-server", nil)
	answer := httptest.NewRecorder()
	api.Serve(answer, request, api.Route(request))

	var metadata struct {
		Issuer string   `json:"issuer"`
		Token  string   `json:"token_endpoint"`
		Revoke string   `json:"revocation_endpoint"`
		Grants []string `json:"grant_types_supported"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &metadata); err != nil {
		panic(err)
	}
	fmt.Println(answer.Code, metadata.Issuer)
	fmt.Println(metadata.Token)
	fmt.Println(metadata.Revoke)
	fmt.Println(metadata.Grants)
	// Output:
	// 200 https://app.example.com
	// https://app.example.com/auth/oauth/token
	// https://app.example.com/auth/oauth/revoke
	// [refresh_token urn:ietf:params:oauth:grant-type:token-exchange]
}
