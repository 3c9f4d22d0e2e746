//go:build !lean || redis

package main

import _ "authsidecar/caddymodule/redis"
