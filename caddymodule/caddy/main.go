// Command caddy is Caddy with its standard modules and authsidecar: what xcaddy
// would build, for where there is no xcaddy.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "authsidecar/caddymodule"
	_ "authsidecar/caddymodule/postgres"
	_ "authsidecar/caddymodule/redis"
)

func main() { caddycmd.Main() }
