// Command caddy is Caddy with authsidecar: what xcaddy would build, for where there is no xcaddy and
// for the tests. With the build tag lean it has the modules that a sidecar needs, in place of all
// standard ones, and no store but pebble unless a tag names it: redis, postgres.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "authsidecar/caddymodule"
)

func main() { caddycmd.Main() }
