package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"authsidecar/caddymodule/adminapi"
)

// An adminClient sends requests to the admin endpoint of a running Caddy, as its flags say.
type adminClient struct {
	address string
	config  string
	adapter string
	issuer  string
	json    bool
}

// addFlags adds --json and the flags that select the server, with the names that Caddy's own
// commands use.
func (c *adminClient) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&c.address, "address", "", "The admin endpoint of the running Caddy")
	flags.StringVarP(&c.config, "config", "c", "", "Configuration that names the admin endpoint")
	flags.StringVarP(&c.adapter, "adapter", "a", "", "Name of the adapter of --config")
	flags.StringVarP(&c.issuer, "issuer", "i", "", "Our issuer, where several are configured")
	addJSON(cmd, &c.json)
	c.addCompletions(cmd)
}

// addJSON adds --json to a command that prints something.
func addJSON(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "Print JSON, for scripts")
}

// disableCompletion prevents the shell from completing the values of flags with file names.
func disableCompletion(cmd *cobra.Command, flags ...string) {
	for _, flag := range flags {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions) // the flag exists
	}
}

func (c *adminClient) addCompletions(cmd *cobra.Command) {
	complete := func(flag string, values func() []string) {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return values(), cobra.ShellCompDirectiveNoFileComp
		}) // the flag exists
	}
	complete("adapter", func() []string { return []string{"caddyfile"} })
	complete("address", func() []string { return []string{"localhost:2019", "unix//run/caddy/admin.sock"} })
	complete("issuer", func() (names []string) {
		var overview adminapi.Overview
		if c.call(http.MethodGet, "status", nil, &overview) == nil {
			for _, inst := range overview.Instances {
				names = append(names, inst.Issuer)
			}
		}
		return names
	})
}

// query returns the parameters of a request, including those of the client, without empty ones.
func (c *adminClient) query(pairs ...string) url.Values {
	query := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	if c.issuer != "" {
		query.Set("issuer", c.issuer)
	}
	return query
}

// open sends a request. The caller must close the body of the response.
func (c *adminClient) open(method, path string, query url.Values) (io.ReadCloser, error) {
	if err := c.requireAdmin(); err != nil {
		return nil, err
	}
	address, err := caddycmd.DetermineAdminAPIAddress(c.address, nil, c.config, c.adapter)
	if err != nil {
		return nil, fmt.Errorf("finding the admin endpoint: %w", err)
	}
	uri := adminapi.Base + path
	if len(query) > 0 {
		uri += "?" + query.Encode()
	}
	// Caddy uses a new HTTP client for each request, which would keep its connection open.
	resp, err := caddycmd.AdminAPIRequest(address, method, uri, http.Header{"Connection": {"close"}}, nil)
	if err != nil {
		return nil, adminError(address, err)
	}
	return resp.Body, nil
}

// requireAdmin returns an error if a configuration is named and has no admin endpoint.
func (c *adminClient) requireAdmin() error {
	if c.address != "" || c.config == "" {
		return nil
	}
	raw, _, _, err := caddycmd.LoadConfig(c.config, c.adapter)
	if err != nil {
		return fmt.Errorf("reading %s: %w", c.config, err)
	}
	var config caddy.Config
	if err := json.Unmarshal(raw, &config); err == nil && config.Admin != nil && config.Admin.Disabled {
		return fmt.Errorf("%s says \"admin off\": its Caddy cannot be asked; give it an admin endpoint, as in: admin localhost:2019", c.config)
	}
	return nil
}

// call sends a request and decodes the response into a value.
func (c *adminClient) call(method, path string, query url.Values, into any) error {
	body, err := c.open(method, path, query)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("reading what Caddy answered: %w", err)
	}
	return nil
}

// adminError returns the error for a failed request, with what to do next.
func adminError(address string, err error) error {
	_, answer, refused := strings.Cut(err.Error(), "caddy responded with error: HTTP ")
	if !refused {
		return fmt.Errorf("no Caddy answers at its admin endpoint %s: start it, or name the endpoint by --address, or by --config with the running configuration; with \"admin off\" it has none (%w)", address, err)
	}
	status, body, _ := strings.Cut(answer, ": ")
	var fault struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(body), &fault) != nil || fault.Error == "" {
		if status == "404" {
			return fmt.Errorf("the Caddy at %s has no auth_sessions in it: build it in, or name another by --address", address)
		}
		return fmt.Errorf("the Caddy at %s answered %s", address, status)
	}
	switch {
	case strings.HasPrefix(fault.Error, "there are several issuers"), strings.HasPrefix(fault.Error, "there are several stores"):
		return errors.New(fault.Error + ", by --issuer")
	case strings.HasPrefix(fault.Error, "several issuers are trusted"):
		return errors.New(strings.ReplaceAll(fault.Error, "actor_issuer", "--actor-issuer"))
	}
	return errors.New(fault.Error)
}
