package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// checkReach refuses a configuration in which what answers every request stands before a handler
// of ours: as in a route, which keeps the order of the Caddyfile. The app would be open to all.
func checkReach(ctx caddy.Context) error {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return nil //nolint:nilerr // without sites there is nothing to reach
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		var r reach
		if r.routes(server.Routes); r.hidden != nil {
			return fmt.Errorf("auth_sessions %s is never reached: %s stands before it and answers every request; put auth_sessions first in its route, or in a handle of its own", r.hidden.Issuer, r.by)
		}
	}
	return nil
}

// A reach is a walk through the handlers of a server, in the order in which requests meet them.
type reach struct {
	answered string   // the module that answers whatever comes this far; "" where none does
	hidden   *Handler // the first of ours behind one
	by       string   // that one
}

// routes walks through a list of routes. What a route answers is all only if it is for all.
func (r *reach) routes(list caddyhttp.RouteList) {
	for i := range list {
		before := r.answered
		for _, handler := range list[i].Handlers {
			r.meet(handler)
		}
		if len(list[i].MatcherSets) > 0 {
			r.answered = before
		}
	}
}

func (r *reach) meet(handler caddyhttp.MiddlewareHandler) {
	switch handler := handler.(type) {
	case *caddyhttp.Subroute:
		r.routes(handler.Routes)
	case *Handler:
		if r.answered != "" && r.hidden == nil {
			r.hidden, r.by = handler, r.answered
		}
	case *reverseproxy.Handler: // forward_auth goes on after some answers
		if len(handler.HandleResponse) == 0 {
			r.answered = "reverse_proxy"
		}
	case *caddyhttp.StaticResponse:
		if handler.StatusCode != "103" { // early hints are no answer
			r.answered = "respond"
		}
	case *caddyhttp.StaticError:
		r.answered = "error"
	}
}
