package caddymodule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "authsidecar/caddymodule/redis"
	"authsidecar/sessions/redisstore/redistest"
	"authsidecar/sessions/storetest/servertest"
)

// The servers that tests share which do them no harm.
var (
	sharedRedis        = servertest.Shared[*redistest.Server]{Start: func(t testing.TB) *redistest.Server { return redistest.Start(t) }}
	sharedRedisCluster = servertest.Shared[*redistest.Cluster]{Start: func(t testing.TB) *redistest.Cluster { return redistest.StartCluster(t) }}
)

func init() {
	engines["redis"] = func(t *testing.T, own bool) *engine {
		if !own {
			return &engine{store: storeRedis(t, sharedRedis.Get(t).Addr(), engineName())}
		}
		server := redistest.Start(t, "appendonly yes", "appendfsync always")
		return &engine{
			store:    storeRedis(t, server.Addr(), engineName()),
			stop:     server.Kill,
			start:    func() { server.Begin(t) },
			cutFeeds: func() { server.Do(t, "CLIENT", "KILL", "TYPE", "pubsub") },
		}
	}
	engines["redis cluster"] = func(t *testing.T, own bool) *engine {
		store := func(c *redistest.Cluster) string {
			return storeRedis(t, c.Nodes[0].Addr()+"/?addr="+c.Nodes[1].Addr()+"&addr="+c.Nodes[2].Addr(), engineName())
		}
		if !own {
			return &engine{store: store(sharedRedisCluster.Get(t))}
		}
		c := redistest.StartCluster(t, "appendonly yes", "appendfsync always")
		each := func(do func(*redistest.Server)) func() {
			return func() {
				for _, node := range c.Nodes {
					do(node)
				}
			}
		}
		return &engine{
			store:    store(c),
			stop:     each((*redistest.Server).Kill),
			start:    each(func(node *redistest.Server) { node.Begin(t) }),
			cutFeeds: each(func(node *redistest.Server) { node.Do(t, "CLIENT", "KILL", "TYPE", "pubsub") }),
		}
	}
}

// storeRedis are the words for that address and prefix.
func storeRedis(t *testing.T, address, prefix string) string {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(redistest.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("store redis redis://%s {\n\t\t\tpassword {file.%s}\n\t\t\tprefix %s\n\t\t}", address, password, prefix)
}
