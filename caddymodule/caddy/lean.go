//go:build lean

package main

import _ "authsidecar/caddymodule/caddy/lean"
