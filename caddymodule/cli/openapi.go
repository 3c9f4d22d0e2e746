package cli

import (
	"github.com/spf13/cobra"

	"authsidecar/caddymodule/openapi"
)

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
