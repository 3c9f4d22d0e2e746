package observe

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// What Caddy keeps of a request, by the names of package caddyhttp. That package is not imported: it
// is the whole HTTP server, and the admin API and the commands need of this package only what they
// report. A test of caddymodule holds that these are its names.
const (
	varsKey      caddy.CtxKey = "vars"
	logFieldsKey caddy.CtxKey = "extra_log_fields"

	clientIPVar = "client_ip"
)

// logFields are what is added to the access log entry of a request.
type logFields interface{ Set(field zap.Field) }

// variable returns a variable of the request with that context; nil if it has none of that name.
func variable(ctx context.Context, name string) any {
	vars, _ := ctx.Value(varsKey).(map[string]any)
	return vars[name]
}
