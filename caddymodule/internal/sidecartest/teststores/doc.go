// Package teststores has store modules that only tests have: they do less than they could, or fail.
package teststores

import "github.com/caddyserver/caddy/v2"

// Register registers them all.
func Register() {
	caddy.RegisterModule(flawed{})
	caddy.RegisterModule(forgetful{})
}
