package demoidp_test

import (
	"fmt"
	"net/http/httptest"
	"time"

	"authsidecar/caddymodule/cli/demoidp"
	"authsidecar/sessions/jose"
)

// A provider for one site, as the command runs it.
func Example() {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		panic(err)
	}
	provider, err := demoidp.New(demoidp.Config{
		Issuer: "http://127.0.0.1:8083", Client: "demo", Sites: []string{"http://127.0.0.1:8080/auth/sessions"},
		People: []demoidp.Person{{Name: "alice"}}, Key: key, Now: time.Now,
	})
	if err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	provider.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1:8083/.well-known/openid-configuration", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output:
	// 200 application/json
}
