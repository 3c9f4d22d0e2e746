package caddymodule

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"authsidecar/caddymodule/config/directive"
)

func init() {
	httpcaddyfile.RegisterDirective(directive.Word, parseDirective)
	httpcaddyfile.RegisterDirectiveOrder(directive.Word, httpcaddyfile.Before, "redir")
}

func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if h.IsNamedRoute() { // Caddy keeps only one directive there, and sorts invoke behind most others
		return nil, errors.New("auth_sessions in a named route: what stands beside invoke would run before it; write a snippet in place of the named route, (name) { ... }, and import name in place of invoke")
	}
	handler := new(Handler)
	if err := directive.Read(h.Dispenser, &handler.Block); err != nil {
		return nil, err
	}
	return h.NewRoute(nil, handler), nil
}
