package cli

import (
	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"authsidecar/caddymodule/cli/demoidp"
	"authsidecar/caddymodule/cli/explain"
	"authsidecar/caddymodule/openapi"
)

// ReadBlock reads an auth_sessions handler from a configuration and checks it as a server does,
// without network access. The storage is that of the context.
type ReadBlock func(ctx caddy.Context, handler []byte) (*explain.Block, error)

// Register registers the command with Caddy.
func Register(read ReadBlock) {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "auth-sessions",
		Usage: "<command>",
		Short: "Manages auth_sessions: lists, revokes and backs up sessions",
		Long: `
Manages a running server with auth_sessions through Caddy's admin endpoint, and its
files and stores while it is stopped.

	$ caddy auth-sessions status
	$ caddy auth-sessions list --user alice
	$ caddy auth-sessions revoke --impersonations
	$ caddy auth-sessions backup /var/backups

Explain why a token is refused:

	$ caddy auth-sessions explain --config Caddyfile < token

Verify that nobody has tampered with an audit file:

	$ caddy auth-sessions audit verify /var/log/caddy/audit.jsonl

Make what a caller needs, to try it out: a key pair that stands in for an identity
provider, and tokens that are signed with it.

	$ caddy auth-sessions keygen --output idp.jwk --jwks idp.jwks.json
	$ caddy auth-sessions token --key idp.jwk --issuer https://idp.example.com \
		--audience https://app.example.com/auth/sessions --sub alice`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			cmd.AddCommand(
				statusCommand(), listCommand(), revokeCommand(), keysCommand(), rotateKeysCommand(),
				explainCommand(read), auditCommand(), backupCommand(), restoreCommand(), copyCommand(), keygenCommand(), tokenCommand(), openapiCommand(),
				healthCommand(), demoidp.Command(),
			)
		},
	})
}

func openapiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "openapi",
		Short: "Prints the OpenAPI description of every endpoint",
		Long: `
Prints the OpenAPI 3.1 description of every endpoint as YAML: those of a site, at the paths
of the defaults, and those of Caddy's admin endpoint. What a site has of it, at its own
paths, is served where its block says openapi.

	$ caddy auth-sessions openapi > authsidecar.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(openapi.YAML)
			return err
		},
	}
}
