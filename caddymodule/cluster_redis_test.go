package caddymodule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "authsidecar/caddymodule/redis"
	"authsidecar/sessions/redisstore/redistest"
)

func init() {
	engines["redis"] = func(t *testing.T) *engine {
		server := redistest.Start(t, "appendonly yes", "appendfsync always")
		return &engine{
			store:    storeRedis(t, server.Addr()),
			stop:     server.Kill,
			start:    func() { server.Begin(t) },
			cutFeeds: func() { server.CLI(t, "CLIENT", "KILL", "TYPE", "pubsub") },
		}
	}
	engines["redis cluster"] = func(t *testing.T) *engine {
		c := redistest.StartCluster(t, "appendonly yes", "appendfsync always")
		address := c.Nodes[0].Addr() + "/?addr=" + c.Nodes[1].Addr() + "&addr=" + c.Nodes[2].Addr()
		each := func(do func(*redistest.Server)) func() {
			return func() {
				for _, node := range c.Nodes {
					do(node)
				}
			}
		}
		return &engine{
			store:    storeRedis(t, address),
			stop:     each((*redistest.Server).Kill),
			start:    each(func(node *redistest.Server) { node.Begin(t) }),
			cutFeeds: each(func(node *redistest.Server) { node.CLI(t, "CLIENT", "KILL", "TYPE", "pubsub") }),
		}
	}
}

// storeRedis are the words for that address.
func storeRedis(t *testing.T, address string) string {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(redistest.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("store redis redis://%s {\n\t\t\tpassword {file.%s}\n\t\t}", address, password)
}
