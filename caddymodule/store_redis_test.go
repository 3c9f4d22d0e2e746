package caddymodule_test

import (
	"fmt"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/placeholder/placeholdertest"
	"authsidecar/caddymodule/redis"
	"authsidecar/sessions/redisstore/redistest"
)

// TestRedis_ValidateTouchesNoNetwork validates a configuration whose server is nowhere.
func TestRedis_ValidateTouchesNoNetwork(t *testing.T) {
	mustLoadStore(t, "redis", `{"url": "redis://nobody@127.0.0.1:1", "max_calls": 3, "ca": "/nowhere"}`)
	wantStoresInvalid[redis.Store](t, `{"max_calls": -1}`, `{"max_calls": 10001}`, `{"timeout": -5}`, `{"wait_timeout": -5}`, `{"wait_replicas": -1}`, `{"wait_replicas": 101}`)
}

func TestRedis_NoTextKeepsAPlaceholder(t *testing.T) {
	placeholdertest.Run(t, func(s *redis.Store) error { return s.Provision(caddy.Context{}) }, nil)
}

func TestRedis_TheKeyOfAStoreNamesAllThatMatters(t *testing.T) {
	t.Setenv("REDISTEST_PASSWORD", "hunter2")
	t.Setenv("REDISTEST_URL", "redis://sidecar@db")
	wantStoreKeys(t, "redis", `{"url": "redis://sidecar@db"}`, `{"url": "{env.REDISTEST_URL}"}`, []string{
		`{}`, `{"url": "redis://sidecar@other"}`, `{"url": "redis://sidecar@db", "prefix": "other"}`,
		`{"url": "redis://sidecar@db", "password": "{env.REDISTEST_PASSWORD}"}`,
		`{"url": "redis://sidecar@db", "sentinel_password": "{env.REDISTEST_PASSWORD}"}`,
		`{"url": "redis://sidecar@db", "sentinel_user": "{env.REDISTEST_PASSWORD}"}`,
		`{"url": "redis://sidecar@db", "ca": "ca.pem"}`, `{"url": "redis://sidecar@db", "wait_replicas": 1}`,
		`{"url": "redis://sidecar@db", "wait_timeout": 5}`, `{"url": "redis://sidecar@db", "max_calls": 5}`,
		`{"url": "redis://sidecar@db", "timeout": 1000000000}`,
	})
	wantStoresRefused(t, "redis", map[string]string{
		`{"password": "{env.REDISTEST_NOWHERE}"}`:    "password: {env.REDISTEST_NOWHERE} gives nothing",
		`{"password": "{http.request.host}"}`:        "password: braces are for placeholders",
		`{"url": "{env.REDISTEST_NOWHERE}/hunter2"}`: "url: {env.REDISTEST_NOWHERE} gives nothing",
	})
}

func TestRedis_TheStoreOpensWithAPasswordFromTheEnvironment(t *testing.T) {
	server := sharedRedis.Get(t)
	config := `{"url": "redis://%s/1", "password": "{env.STORE_PASSWORD}", "prefix": %q}`
	logs := openStores(t, &storeOpening{
		Name: "redis", Password: redistest.Password, Config: fmt.Sprintf(config, server.Addr(), "mine"), Empty: fmt.Sprintf(config, server.Addr(), "other"),
		Location: server.Addr() + ", database 1, prefix mine",
		Wrong: []string{
			`{"url": "redis://x:hunter2 of another@[nowhere"}`, `{"url": "redis://x:hunter2@127.0.0.1:x"}`, `{"url": "http://x:hunter2@nowhere"}`,
			`{"url": "redis://x:hunter2@nowhere/1?skip_verify"}`,
		},
	})
	if logs.FilterMessageSnippet("persists nothing").Len() != 2 {
		t.Errorf("nobody was warned of a server that persists nothing: %v", logs.All())
	}
}

// Interface guards
var (
	_ caddymodule.StoreOpener  = (*redis.Store)(nil)
	_ caddymodule.StoreLocator = (*redis.Store)(nil)
)
