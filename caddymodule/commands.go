package caddymodule

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"authsidecar/caddymodule/cli"
	"authsidecar/caddymodule/cli/explain"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

func init() {
	cli.Register(readBlock)
}

// readBlock reads a handler for the commands.
func readBlock(ctx caddy.Context, handler []byte) (*explain.Block, error) {
	h := new(Handler)
	if err := json.Unmarshal(handler, h); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if err := h.Prepare(); err != nil {
		return nil, fmt.Errorf("the server would refuse this configuration: %w", err)
	}
	policy, err := h.Policy()
	if err != nil {
		return nil, err
	}
	listeners, err := h.Listeners()
	if err != nil {
		return nil, err
	}
	block := &explain.Block{
		Issuer: h.Issuer, Policy: policy, Listeners: listeners, Path: h.Path,
		Own:     bearer.Issuer{Name: h.Issuer, Audiences: h.AccessToken.Audience, Own: true, Leeway: ownLeeway},
		OwnKeys: func() (bearer.KeySource, string) { return h.accessKeys(ctx) },
	}
	block.Clients, _ = h.ClientNames()
	for _, t := range h.Trust {
		made, err := newTrusted(ctx, zap.NewNop(), t)
		if err != nil {
			return nil, fmt.Errorf("trust %s: %w", t.Issuer, err)
		}
		accepts, _, err := t.KeyPolicy()
		if err != nil {
			return nil, fmt.Errorf("trust %s: %w", t.Issuer, err)
		}
		trusted := explain.Trusted{Issuer: made.issuer, Accepts: accepts, Algorithms: t.Algorithms, Load: made.load}
		for _, only := range t.Only {
			trusted.OnlyNames = append(trusted.OnlyNames, only.Name())
		}
		block.Trusted = append(block.Trusted, trusted)
	}
	return block, nil
}

// accessKeys returns the keys of access tokens, from the file or the storage; nil if there are
// none.
func (h *Handler) accessKeys(ctx caddy.Context) (keys bearer.KeySource, from string) {
	ring := keyring.NewRing(keyring.AccessTokenType)
	algorithm, err := jose.ParseAlgorithm(h.AccessToken.Algorithm)
	if file := h.AccessToken.Key; err == nil && file != "" {
		if setKeyFile(ring, file, algorithm) == nil {
			return ring, "signing key of the configuration"
		}
		return nil, ""
	}
	records, err := newKeyStore(ctx.Storage(), h.Issuer).loadKeys(ctx, "access")
	if err != nil || len(records) == 0 || ring.Set(records) != nil {
		return nil, ""
	}
	return ring, "signing keys of the storage"
}
