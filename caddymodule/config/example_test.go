package config_test

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/config/directive"
)

// A block as an operator writes it, and what it means.
func ExampleBlock() {
	block := new(config.Block)
	err := directive.Read(caddyfile.NewTestDispenser(`auth_sessions {
		issuer https://app.acme.dev
		trust https://idp.acme.dev {
			audience https://app.acme.dev/auth/sessions
		}
		allow self
		allow scope sessions:impersonate
		impersonation {
			require_reason
		}
	}`), block)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := block.Prepare(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("POST", block.Path)
	fmt.Println("an impersonation lives", time.Duration(block.Impersonation.TTL))
	for _, warning := range block.Warnings() {
		fmt.Println("warning:", warning)
	}
	// Output:
	// POST /auth/sessions
	// an impersonation lives 1h0m0s
	// warning: allow lets callers impersonate everybody, administrators too: name who must not be impersonated, as in: protect user root admin-*
}
