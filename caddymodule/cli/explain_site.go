package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/adminapi"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// A site is an auth_sessions block as the server would have it, with the keys that
// can be had from here.
type site struct {
	*Block
	issuers  []bearer.Issuer
	keysFrom map[string]string // by issuer, for people
	keysErr  map[string]error  // by issuer, of those who were asked
	verifier *bearer.Verifier
	token    string
}

// loadSite finds the block that a token of that issuer is for.
func (e *explainer) loadSite(ctx context.Context, tokenIssuer string) (*site, error) {
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
	caddyCtx, err := caddy.ProvisionContext(&caddy.Config{StorageRaw: raw.Storage, Logging: quiet()})
	if err != nil {
		return nil, fmt.Errorf("reading the storage of the configuration: %w", err)
	}
	block, err := e.read(caddyCtx, h.raw)
	if err != nil {
		return nil, err
	}
	s := &site{Block: block, keysFrom: make(map[string]string), keysErr: make(map[string]error)}
	s.load(ctx, e.serverKeys(block.Issuer), e.offline)
	s.verifier, err = bearer.New(bearer.Config{Issuers: s.issuers})
	return s, err
}

// quiet logs what is wrong, and nothing else.
func quiet() *caddy.Logging {
	return &caddy.Logging{Logs: map[string]*caddy.CustomLog{caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "ERROR"}}}}
}

// serverKeys asks the running server for the public keys that it knows; nil where it
// cannot be asked.
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

// load gets the keys: of our own tokens, and of each trusted issuer.
func (s *site) load(ctx context.Context, running *adminapi.InstanceStatus, offline bool) {
	own := s.Own
	own.Keys = noKeys{}
	if keys, from := s.ownKeys(ctx, running); keys != nil {
		own.Keys, s.keysFrom[own.Name] = keys, from
	}
	s.issuers = append(s.issuers, own)
	for i := range s.Trusted {
		t := &s.Trusted[i]
		issuer := t.Issuer
		s.keysFrom[issuer.Name] = "keys of the configuration"
		if remote, ok := issuer.Keys.(*bearer.Remote); ok {
			issuer.Keys, s.keysFrom[issuer.Name], s.keysErr[issuer.Name] = remoteKeys(ctx, t, remote, runningKeys(running, t, i), offline)
		}
		s.issuers = append(s.issuers, issuer)
	}
}

// runningKeys are those that the running server has of the issuer at that place; nil for none.
func runningKeys(running *adminapi.InstanceStatus, t *Trusted, at int) *adminapi.TrustStatus {
	if running == nil || at >= len(running.Trust) || running.Trust[at].Issuer != t.Name || running.Trust[at].JWKS == nil {
		return nil
	}
	return &running.Trust[at]
}

// remoteKeys are those that the running server has, else those that the issuer gives, else those
// that are remembered. The error is of asking the issuer.
func remoteKeys(ctx context.Context, t *Trusted, remote *bearer.Remote, running *adminapi.TrustStatus, offline bool) (keys bearer.KeySource, from string, err error) {
	if running != nil {
		if set := setOf(running.JWKS.Keys, t.Accepts); set != nil {
			return set, "keys of the running server, got " + ago(running.FetchedAt, time.Now()), nil
		}
	}
	if !offline {
		var got []*jose.Key
		if got, err = remote.Fetch(ctx); err == nil {
			keys, err = bearer.NewStatic(got...)
			return keys, "keys of the issuer, got just now", err
		}
	}
	t.Load(ctx)
	known, failed := bearer.NewStatic(remote.Public()...)
	if failed != nil {
		return noKeys{}, "", err
	}
	return remembered{known}, "keys that were remembered " + ago(remote.Status().FetchedAt, time.Now()), err
}

// ownKeys are the public keys of our access tokens: the server's, or those of the block.
func (s *site) ownKeys(ctx context.Context, running *adminapi.InstanceStatus) (keys bearer.KeySource, from string) {
	if running != nil {
		var jwks []json.RawMessage
		for _, key := range running.SigningKeys {
			if key.JWK != nil {
				jwks = append(jwks, key.JWK)
			}
		}
		if set := setOf(jwks, jose.KeyPolicy{}); set != nil {
			return set, "signing keys of the running server"
		}
	}
	return s.OwnKeys()
}

// setOf makes a source of public keys; nil where there are none.
func setOf(jwks []json.RawMessage, policy jose.KeyPolicy) bearer.KeySource {
	data, err := json.Marshal(adminapi.KeySet{Keys: jwks})
	if err != nil {
		return nil
	}
	set, _, err := jose.ParseSet(data, policy)
	if err != nil || set.Len() == 0 {
		return nil
	}
	source, err := bearer.NewStatic(set.Keys()...)
	if err != nil {
		return nil
	}
	return source
}

// noKeys are keys that nobody has.
type noKeys struct{}

// Key finds none, which says nothing about the token.
func (noKeys) Key(context.Context, string, jose.Algorithm) (*jose.Key, error) {
	return nil, bearer.ErrKeysUnavailable
}

// Version is always the same.
func (noKeys) Version() uint64 { return 0 }

// remembered are keys that may not be the newest: of one that is not among them
// nobody can tell.
type remembered struct{ *bearer.Static }

// Key finds the key, if it is remembered.
func (r remembered) Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	key, err := r.Static.Key(ctx, kid, alg)
	if errors.Is(err, jose.ErrUnknownKey) {
		return nil, bearer.ErrKeysUnavailable
	}
	return key, err
}

// Interface guards
var (
	_ bearer.KeySource = noKeys{}
	_ bearer.KeySource = remembered{}
)
