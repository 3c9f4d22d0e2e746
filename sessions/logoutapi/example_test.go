package logoutapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/logoutapi"
)

// An identity provider says that Alice signed out there.
func Example() {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		panic(err)
	}
	keys, err := bearer.NewStatic(key.Public())
	if err != nil {
		panic(err)
	}
	verifier, err := bearer.New(bearer.Config{Issuers: []bearer.Issuer{{Name: idp, Keys: keys, Audiences: []string{ours}}}})
	if err != nil {
		panic(err)
	}
	api := logoutapi.New(logoutapi.Config{
		Path: "/auth/sessions", Verifier: verifier, Logouts: printed{},
		Listeners: map[string]*logoutapi.Listener{idp: {Clients: []string{"my-client"}}},
	})

	claims, err := json.Marshal(map[string]any{
		"iss": idp, "aud": "my-client", "sub": "alice", "sid": "08a5", "jti": "bWJq",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}},
	})
	if err != nil {
		panic(err)
	}
	token, err := key.Sign([]byte(`{"alg":"ES256","kid":"`+key.ID()+`","typ":"logout+jwt"}`), claims)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/auth/sessions/backchannel-logout", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	api.Serve(answer, r, api.Route(r))
	fmt.Println(answer.Code)
	// Output:
	// backchannel-logout of alice, session 08a5: revoke
	// 200
}

// printed prints notices.
type printed struct{}

// Apply prints the notice.
func (printed) Apply(_ context.Context, n *logout.Notice) (logout.Outcome, error) {
	fmt.Printf("%s of %s, session %s: %s\n", n.Kind, n.Subject, n.SID, n.Action)
	return logout.Outcome{Found: 1, Ended: 1}, nil
}
