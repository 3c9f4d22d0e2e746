package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is how long a server may take to report its health: less than the default timeouts
// of probes in Docker and Kubernetes.
const healthTimeout = 3 * time.Second

func healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health <url>",
		Short: "Asks the health path of a server",
		Long: `
Asks the health path of a server, the one that "health" in its auth_sessions block names,
and fails unless the server can serve: where there is no curl, as in a container.

	$ caddy auth-sessions health http://127.0.0.1:8080/auth/health`,
		Args: wantArgs(1, "say where the health path is, as in: caddy auth-sessions health http://127.0.0.1:8080/auth/health"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := askHealth(cmd.Context(), args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return err
		},
	}
}

// askHealth returns an error if the server at a URL cannot serve. It follows no redirects: the
// response must come from that server.
func askHealth(ctx context.Context, address string) error {
	at, err := url.Parse(address)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return fmt.Errorf("%q is no URL: write it as in http://127.0.0.1:8080/auth/health", address)
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking %s: %w", address, err)
	}
	// A proxy of the environment must not be used for a server on the same machine.
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return fmt.Errorf("asking %s: %w", address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: see the log of Caddy for why", address, resp.Status)
	}
	return nil
}
