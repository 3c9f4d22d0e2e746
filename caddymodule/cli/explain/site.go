package explain

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"authsidecar/caddymodule/adminapi"
	"authsidecar/caddymodule/internal/reltime"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// A Site is an auth_sessions block as the server would have it, with the keys that are available.
type Site struct {
	*Block
	issuers  []bearer.Issuer
	keysFrom map[string]string // by issuer, for people to read
	keysErr  map[string]error  // by issuer, if fetching failed
	verifier *bearer.Verifier
	token    string
}

// New returns the block with the keys that are available: from the running server (nil for none),
// from the issuer that may be contacted ("" for none), and from the storage.
func New(ctx context.Context, block *Block, running *adminapi.InstanceStatus, asked string) (site *Site, err error) {
	site = &Site{Block: block, keysFrom: make(map[string]string), keysErr: make(map[string]error)}
	site.load(ctx, running, asked)
	site.verifier, err = bearer.New(bearer.Config{Issuers: site.issuers})
	return site, err
}

// load loads the keys of our own tokens and of each trusted issuer.
func (s *Site) load(ctx context.Context, running *adminapi.InstanceStatus, asked string) {
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
			ask := asked != "" && (isOf(asked, issuer) || isSpelling(asked, issuer))
			issuer.Keys, s.keysFrom[issuer.Name], s.keysErr[issuer.Name] = remoteKeys(ctx, t, remote, runningKeys(running, t, i), ask)
		}
		s.issuers = append(s.issuers, issuer)
	}
}

// runningKeys returns the keys that the running server has for the issuer at that index, or nil.
func runningKeys(running *adminapi.InstanceStatus, t *Trusted, at int) *adminapi.TrustStatus {
	if running == nil || at >= len(running.Trust) || running.Trust[at].Issuer != t.Name || running.Trust[at].JWKS == nil {
		return nil
	}
	return &running.Trust[at]
}

// remoteKeys returns the keys of the running server, or else those fetched from the issuer, or else
// saved ones. The error is that of fetching.
func remoteKeys(ctx context.Context, t *Trusted, remote *bearer.Remote, running *adminapi.TrustStatus, ask bool) (keys bearer.KeySource, from string, err error) {
	if running != nil {
		if set := setOf(running.JWKS.Keys, t.Accepts); set != nil {
			return set, "keys of the running server, got " + reltime.Ago(running.FetchedAt, time.Now()), nil
		}
	}
	if ask {
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
	return possiblyOutdated{known}, "keys that were remembered " + reltime.Ago(remote.Status().FetchedAt, time.Now()), err
}

// ownKeys returns the public keys of our access tokens, from the server or the block.
func (s *Site) ownKeys(ctx context.Context, running *adminapi.InstanceStatus) (keys bearer.KeySource, from string) {
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

// setOf returns a source of public keys; nil if there are none.
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

// noKeys is a source without keys.
type noKeys struct{}

// Key returns an error that says nothing about the token.
func (noKeys) Key(context.Context, string, jose.Algorithm) (*jose.Key, error) {
	return nil, bearer.ErrKeysUnavailable
}

// Version never changes.
func (noKeys) Version() uint64 { return 0 }

// possiblyOutdated are keys that may be outdated: for a key that is not among them, the result is
// unknown.
type possiblyOutdated struct{ *bearer.Static }

// Key returns a saved key.
func (r possiblyOutdated) Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	key, err := r.Static.Key(ctx, kid, alg)
	if errors.Is(err, jose.ErrUnknownKey) {
		return nil, bearer.ErrKeysUnavailable
	}
	return key, err
}

// Interface guards
var (
	_ bearer.KeySource = noKeys{}
	_ bearer.KeySource = possiblyOutdated{}
)
