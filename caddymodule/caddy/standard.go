//go:build !lean

package main

import _ "github.com/caddyserver/caddy/v2/modules/standard"
