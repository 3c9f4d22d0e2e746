// Command caddy is Caddy with authsidecar, as xcaddy would build it: for builds without xcaddy, and
// for the tests. With the build tag lean, it contains only the modules that a sidecar needs instead
// of all standard ones, and no store but pebble unless a tag adds it: redis, postgres.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "authsidecar/caddymodule"
)

func main() { caddycmd.Main() }
