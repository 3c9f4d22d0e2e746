package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"authsidecar/caddymodule/adminapi"
	"authsidecar/caddymodule/cli/explain"
	"authsidecar/sessions/bearer"
)

// loadConfig reads the configuration as JSON.
func (e *explainer) loadConfig() ([]byte, error) {
	for _, file := range e.envFile {
		if err := loadEnv(file); err != nil {
			return nil, fmt.Errorf("--envfile: %w", err)
		}
	}
	config, _, _, err := caddycmd.LoadConfig(e.config, e.adapter)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	if len(config) > 0 {
		return config, nil
	}
	if e.offline {
		return nil, fmt.Errorf("%w: no configuration is here: name one by --config", errNoBlock)
	}
	address, err := caddycmd.DetermineAdminAPIAddress(e.address, nil, "", "")
	if err != nil {
		return nil, fmt.Errorf("finding the admin endpoint: %w", err)
	}
	resp, err := caddycmd.AdminAPIRequest(address, http.MethodGet, "/config/", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: no configuration is here, and no server answers at %s to be asked for its own: name a configuration by --config, or the admin endpoint of the server by --address (%w)", errNoBlock, address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

// A handler is an auth_sessions block of a configuration, with what identifies it.
type handler struct {
	Issuer string
	Trust  []handlerTrust
	raw    []byte
}

type handlerTrust struct {
	Issuer  string
	Issuers []string
}

// handlersIn finds the blocks in a configuration, wherever they are, one per issuer.
func handlersIn(config []byte) ([]*handler, error) {
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	var found []*handler
	var failed error
	eachObject(tree, func(node map[string]any) bool {
		if node["handler"] != any("auth_sessions") {
			return true
		}
		h := new(handler)
		data, err := json.Marshal(node)
		if err == nil {
			h.raw, err = data, json.Unmarshal(data, h)
		}
		failed = errors.Join(failed, err)
		if !slices.ContainsFunc(found, func(have *handler) bool { return have.Issuer == h.Issuer }) {
			found = append(found, h)
		}
		return false
	})
	if failed != nil {
		return nil, fmt.Errorf("reading the configuration: %w", failed)
	}
	return found, nil
}

// eachObject calls look with every object in a tree; look reports whether to continue inside it.
func eachObject(node any, look func(map[string]any) (inside bool)) {
	switch node := node.(type) {
	case []any:
		for _, item := range node {
			eachObject(item, look)
		}
	case map[string]any:
		if !look(node) {
			return
		}
		for _, item := range node {
			eachObject(item, look)
		}
	}
}

// chooseHandler returns the block with that issuer of ours, or else the only one, or else the only
// one that trusts the token's issuer.
func chooseHandler(all []*handler, issuer, tokenIssuer string) (*handler, error) {
	trusts := func(h *handler) bool {
		return slices.ContainsFunc(h.Trust, func(t handlerTrust) bool {
			issuer := bearer.Issuer{Name: t.Issuer, Issuers: t.Issuers}
			_, ok := issuer.TrustedAs(tokenIssuer)
			return ok
		})
	}
	chosen := all
	switch {
	case issuer != "":
		chosen = slices.DeleteFunc(slices.Clone(all), func(h *handler) bool { return h.Issuer != issuer })
	case len(all) > 1:
		chosen = slices.DeleteFunc(slices.Clone(all), func(h *handler) bool { return !trusts(h) && h.Issuer != tokenIssuer })
	}
	if len(chosen) == 1 {
		return chosen[0], nil
	}
	names := make([]string, len(all))
	for i, h := range all {
		names[i] = h.Issuer
	}
	slices.Sort(names)
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: no auth_sessions block is in this configuration", errNoBlock)
	}
	return nil, fmt.Errorf("name the block that the token is for with --issuer: there are %s", strings.Join(names, ", "))
}

// loadSite returns the block for a token of that issuer.
func (e *explainer) loadSite(ctx context.Context, tokenIssuer string) (*explain.Site, error) {
	config, err := e.loadConfig()
	if err != nil {
		return nil, err
	}
	handlers, err := handlersIn(config)
	if err != nil {
		return nil, err
	}
	h, err := chooseHandler(handlers, e.issuer, tokenIssuer)
	if err != nil {
		return nil, err
	}
	var raw struct {
		Storage json.RawMessage `json:"storage"`
	}
	if err := json.Unmarshal(config, &raw); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	caddyCtx, err := caddy.ProvisionContext(&caddy.Config{StorageRaw: raw.Storage, Logging: errorsOnly()})
	if err != nil {
		return nil, fmt.Errorf("reading the storage of the configuration: %w", err)
	}
	block, err := e.read(caddyCtx, h.raw)
	if err != nil {
		return nil, err
	}
	asked := tokenIssuer
	if e.offline {
		asked = ""
	}
	return explain.New(ctx, block, e.serverKeys(block.Issuer), asked)
}

// serverKeys asks the running server for the public keys that it has; nil if that fails.
func (e *explainer) serverKeys(issuer string) *adminapi.InstanceStatus {
	if e.offline {
		return nil
	}
	var overview adminapi.Overview
	ask := e.adminClient
	ask.issuer = issuer
	if ask.call(http.MethodGet, "status", ask.query("keys", "true"), &overview) != nil || len(overview.Instances) != 1 {
		return nil
	}
	return &overview.Instances[0]
}

// errorsOnly logs only errors.
func errorsOnly() *caddy.Logging {
	return &caddy.Logging{Logs: map[string]*caddy.CustomLog{caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "ERROR"}}}}
}

// errNoBlock means that there is no block to check a token with.
var errNoBlock = errors.New("nothing was checked")
