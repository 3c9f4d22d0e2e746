package caddymodule

import (
	"fmt"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/oauthapi"
)

// addOAuth adds the OAuth endpoints and the discovery documents, as far as they are configured.
func (inst *instance) addOAuth(h *Handler, keys *keyring.Keyring) error {
	if !h.Discovers() {
		return nil
	}
	c := oauthapi.Config{
		Issuer: h.Issuer, KeysPath: h.Path + "/jwks.json", Keys: keys.Access.Public, MaxAge: keyCache,
		Audience: h.AccessToken.Audience, Sessions: inst.manager, Verifier: inst.verifier,
		ClientIP: observe.ClientIP, Observer: observer{inst}, Limited: inst.reports.Limited,
	}
	if h.OAuth != nil {
		c.Path = h.OAuth.Path
		for _, client := range h.OAuth.Clients {
			made, err := inst.newClient(h, client)
			if err != nil {
				return fmt.Errorf("oauth: client %s: %w", client.ID, err)
			}
			c.Clients = append(c.Clients, made)
		}
	}
	api, err := oauthapi.New(c)
	if err != nil {
		return fmt.Errorf("oauth: %w", err)
	}
	inst.own = append(inst.own, api)
	return nil
}

// newClient makes a client: its secrets and key files are read here, its keys are fetched later.
func (inst *instance) newClient(h *Handler, c *config.Client) (made oauthapi.Client, err error) {
	made = oauthapi.Client{ID: c.ID, Public: c.Public}
	if made.Secrets, err = c.SecretHashes(); err != nil || c.JWKS == "" {
		return made, err
	}
	source := &trusted{issuer: bearer.Issuer{Name: c.ID}}
	if c.IsRemote() {
		err = source.fromRemote(h.ctx, h.logger, &config.Trust{Issuer: c.ID, JWKS: c.JWKS, CA: c.CA, InsecureHTTP: c.InsecureHTTP}, jose.KeyPolicy{})
	} else {
		err = source.fromFile(h.ctx, h.logger, c.JWKS, jose.KeyPolicy{})
	}
	made.Keys = source.issuer.Keys
	inst.clients = append(inst.clients, source)
	return made, err
}
