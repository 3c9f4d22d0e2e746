package observe

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions/forward"
)

// What the access log would say of a request that is forwarded costs nothing where there is none.
func TestForwarded_CostsNothingWithoutAnAccessLog(t *testing.T) {
	who := &forward.Who{UserID: "alice", SessionID: "s"}
	for name, test := range map[string]struct {
		server *caddyhttp.Server
		free   bool
	}{
		"no access log": {&caddyhttp.Server{}, true},
		"an access log": {&caddyhttp.Server{Logs: new(caddyhttp.ServerLogConfig)}, false},
		"not said":      {nil, false},
	} {
		ctx := context.WithValue(t.Context(), caddyhttp.ServerCtxKey, test.server)
		ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{})
		r := httptest.NewRequest("GET", "/", nil).WithContext(context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, new(caddyhttp.ExtraLogFields)))
		if got := testing.AllocsPerRun(10, func() { Forwarded(r, who) }); (got == 0) != test.free {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
