//go:build !lean || postgres

package main

import _ "authsidecar/caddymodule/postgres"
