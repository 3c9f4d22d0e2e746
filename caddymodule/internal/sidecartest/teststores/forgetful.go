package teststores

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest"
)

// forgetful is a store module that keeps sessions in memory, and can do nothing but
// what a store must.
type forgetful struct{}

func (forgetful) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "auth_sessions.stores.forgetful", New: func() caddy.Module { return new(forgetful) }}
}

func (*forgetful) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*forgetful) StoreKey() (string, error) { return "forgetful", nil }

func (*forgetful) OpenStore(context.Context, *zap.Logger) (sessions.Store, error) {
	return struct{ sessions.Store }{new(storetest.Memory)}, nil
}
