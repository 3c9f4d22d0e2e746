package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"authsidecar/caddymodule/config/directive"
)

func init() {
	httpcaddyfile.RegisterDirective(directive.Word, parseDirective)
	httpcaddyfile.RegisterDirectiveOrder(directive.Word, httpcaddyfile.Before, "redir")
}

func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	handler := new(Handler)
	if err := directive.Read(h.Dispenser, &handler.Block); err != nil {
		return nil, err
	}
	return h.NewRoute(nil, handler), nil
}
