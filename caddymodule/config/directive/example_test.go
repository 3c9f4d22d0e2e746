package directive_test

import (
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/config/directive"
)

// What is wrong is said with the line and the mend.
func ExampleRead() {
	err := directive.Read(caddyfile.NewTestDispenser(`auth_sessions {
		issuer https://app.acme.dev
		trust https://idp.acme.dev
		allow self
	}`), new(config.Block))
	fmt.Println(err)
	// Output:
	// trust https://idp.acme.dev: no audience: write the "aud" that its tokens have for this app, as in: audience https://app.example.com/auth/sessions, at Testfile:3
}
