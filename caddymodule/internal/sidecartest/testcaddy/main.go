// Command testcaddy is Caddy with everything in, as in package caddymodule/caddy, and with what
// only tests have: stores that do less than they could, or fail.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/sidecartest/teststores"
	_ "authsidecar/caddymodule/postgres"
	_ "authsidecar/caddymodule/redis"
)

func main() {
	teststores.Register()
	caddycmd.Main()
}
