package caddymodule_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule/internal/routes"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions/forward"
)

// Package observe does not import caddyhttp, and reads what that keeps of a request.
func TestObserve_ReadsWhatCaddyKeepsOfARequest(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	r := caddyhttp.PrepareRequest(httptest.NewRequest(http.MethodGet, "/", nil), caddy.NewReplacer(), w, new(caddyhttp.Server))
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "192.0.2.1")
	if ip := observe.ClientIP(r); ip != "192.0.2.1" {
		t.Errorf("the client is at %q", ip)
	}
	fields := new(caddyhttp.ExtraLogFields)
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.ExtraLogFieldsCtxKey, fields))
	vars := len(r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any))
	observe.Answered(r)()
	if got := len(r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)); got != vars+1 {
		t.Errorf("%d variables of the request, want one more than %d", got, vars)
	}
	if reflect.DeepEqual(fields, new(caddyhttp.ExtraLogFields)) {
		t.Error("nothing is added to the access log entry")
	}
}

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
		if got := testing.AllocsPerRun(10, func() { observe.Forwarded(r, who, routes.HasAccessLog) }); (got == 0) != test.free {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
