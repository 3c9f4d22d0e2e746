package config_test

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/config"
)

// A block as an operator writes it, and what it means.
func ExampleBlock() {
	block := new(config.Block)
	err := block.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`auth_sessions {
		issuer https://app.acme.dev
		trust https://idp.acme.dev {
			audience https://app.acme.dev/auth/sessions
		}
		allow self
		allow scope sessions:impersonate
		impersonation {
			require_reason
		}
	}`))
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

// What is wrong is said with the line and the mend.
func ExampleBlock_UnmarshalCaddyfile() {
	err := new(config.Block).UnmarshalCaddyfile(caddyfile.NewTestDispenser(`auth_sessions {
		issuer https://app.acme.dev
		trust https://idp.acme.dev
		allow self
	}`))
	fmt.Println(err)
	// Output:
	// trust https://idp.acme.dev: no audience: write the "aud" that its tokens have for this app, as in: audience https://app.example.com/auth/sessions, at Testfile:3
}
