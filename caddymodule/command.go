package caddymodule

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "auth-sessions",
		Usage: "<command>",
		Short: "Makes keys and tokens to try auth_sessions with",
		Long: `
Makes what a caller of auth_sessions needs: a key pair that stands in for an
identity provider, and tokens that are signed with it. For development and
tests; in production, keys and tokens come from your identity provider.

	$ caddy auth-sessions keygen --output idp.jwk --jwks idp.jwks.json
	$ caddy auth-sessions token --key idp.jwk --issuer https://idp.example.com \
		--audience https://app.example.com/auth/sessions --sub alice`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			cmd.AddCommand(keygenCommand(), tokenCommand())
		},
	})
}
