package cli

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"authsidecar/caddymodule/adminapi"
)

func keysCommand() *cobra.Command {
	c := new(adminClient)
	refresh := false
	cmd := &cobra.Command{
		Use:   "keys [--refresh] [--issuer <issuer>] [--json]",
		Short: "Shows the keys in use, and fetches those of trusted issuers",
		Long: `
Shows the keys of the issuers that a running server trusts, and its own: their ids, not
the keys.

After an identity provider has withdrawn a key, fetch its keys now instead of when they
are due:

	$ caddy auth-sessions keys --refresh`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.keys(cmd, refresh) },
	}
	c.addFlags(cmd)
	cmd.Flags().BoolVar(&refresh, "refresh", false, "Fetch the keys of the trusted issuers now")
	return cmd
}

func (c *adminClient) keys(cmd *cobra.Command, refresh bool) error {
	var failed error
	if refresh {
		var answer adminapi.RefreshResult
		if err := c.call(http.MethodPost, "keys/refresh", c.query(), &answer); err != nil {
			return err
		}
		for _, trust := range answer.Trust {
			if trust.Error != "" && failed == nil {
				failed = fmt.Errorf("the keys of %s could not be fetched: %s", trust.Issuer, trust.Error)
			}
		}
	}
	var overview adminapi.Overview
	if err := c.call(http.MethodGet, "status", c.query(), &overview); err != nil {
		return err
	}
	for i := range overview.Instances {
		s := &overview.Instances[i]
		if c.json {
			if err := printJSON(cmd.OutOrStdout(), struct {
				Issuer      string                 `json:"issuer"`
				Trust       []adminapi.TrustStatus `json:"trust"`
				SigningKeys []adminapi.SigningKey  `json:"signing_keys"`
			}{s.Issuer, s.Trust, s.SigningKeys}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintln(cmd.OutOrStdout(), printable(s.Issuer))
		if err := printKeys(cmd.OutOrStdout(), s); err != nil {
			return err
		}
	}
	return failed
}

func rotateKeysCommand() *cobra.Command {
	c := new(adminClient)
	cmd := &cobra.Command{
		Use:   "rotate-keys [--issuer <issuer>] [--json]",
		Short: "Rotates the signing keys now",
		Long: `
Makes a running server sign with new keys before the current ones are due. What the old
keys signed stays valid until it expires. Keys in files of yours are not touched.

	$ caddy auth-sessions rotate-keys --issuer https://app.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer adminapi.RotateResult
			if err := c.call(http.MethodPost, "keys/rotate", c.query(), &answer); err != nil {
				return err
			}
			if c.json {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			return printSigningKeys(newTable(cmd.OutOrStdout()), answer.SigningKeys)
		},
	}
	c.addFlags(cmd)
	return cmd
}
