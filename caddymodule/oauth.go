package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/internal/routes"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/oauthapi"
)

// addOAuth adds the OAuth endpoints and the discovery documents, as far as they are configured.
func (inst *instance) addOAuth(h *Handler) error {
	if !h.Discovers() {
		return nil
	}
	c := oauthapi.Config{
		Issuer: h.Issuer, KeysPath: h.Path + "/jwks.json", Keys: inst.keyring.Access.Public, MaxAge: keyCache,
		Audience: h.AccessToken.Audience, Sessions: inst.manager, Verifier: inst.verifier,
		ClientIP: inst.attemptIP(), Observer: observer{inst},
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
	memory, _, err := memories.LoadOrNew(h.Issuer, func() (caddy.Destructor, error) { return sharedMemory{oauthapi.NewMemory()}, nil })
	if err != nil {
		return err
	}
	inst.releaseMemory = func() error { _, err := memories.Delete(h.Issuer); return err }
	c.Memory = memory.(sharedMemory).Memory
	api, err := oauthapi.New(c)
	if err != nil {
		return errors.Join(fmt.Errorf("oauth: %w", err), inst.releaseMemory())
	}
	inst.own = append(inst.own, api)
	return nil
}

// memories remember OAuth requests, by issuer, so that a reload neither makes a used assertion
// valid again nor resets the limit of failed attempts.
var memories = caddy.NewUsagePool()

type sharedMemory struct{ *oauthapi.Memory }

// Destruct implements caddy.Destructor.
func (sharedMemory) Destruct() error { return nil }

// attemptIP returns a function that returns the address whose failed attempts are limited. It
// warns, once, if clients can make that address up: which proxies the server trusts is known only
// once there are requests.
func (inst *instance) attemptIP() func(*http.Request) string {
	var warned sync.Once
	return func(r *http.Request) string {
		if routes.IsClaimedIP(r) {
			warned.Do(func() {
				inst.logger.Warn("clients can evade the limit of failed attempts, and have others limited: of X-Forwarded-For the first address counts, which a client can make up; write trusted_proxies_strict beside trusted_proxies",
					zap.String("issuer", inst.issuer))
			})
		}
		return observe.ClientIP(r)
	}
}

// newClient creates a client. Its secrets and key files are read now, other keys are fetched later.
func (inst *instance) newClient(h *Handler, c *config.Client) (made oauthapi.Client, err error) {
	made = oauthapi.Client{ID: c.ID, Public: c.Public}
	if made.Secrets, err = c.SecretHashes(); err != nil || c.JWKS == "" {
		return made, err
	}
	source := &trusted{issuer: bearer.Issuer{Name: c.ID}}
	if c.IsRemote() {
		err = source.fromRemote(h.ctx, h.logger.With(zap.String("client_id", c.ID)), &config.Trust{Issuer: c.ID, JWKS: c.JWKS, CA: c.CA, InsecureHTTP: c.InsecureHTTP}, jose.KeyPolicy{})
	} else {
		err = source.fromFile(h.ctx, h.logger, c.JWKS, jose.KeyPolicy{})
	}
	made.Keys = source.issuer.Keys
	inst.clients = append(inst.clients, source)
	return made, err
}
