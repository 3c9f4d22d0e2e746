package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// An adminOverview answers GET status.
type adminOverview struct {
	Instances []instanceStatus `json:"instances"`
}

// instanceStatus tells how an issuer of ours does. It holds no secret.
type instanceStatus struct {
	Issuer      string        `json:"issuer"`
	Path        string        `json:"path"`
	Ready       bool          `json:"ready"`
	Trust       []trustStatus `json:"trust"`
	SigningKeys []ringStatus  `json:"signing_keys"`
	Store       storeStatus   `json:"store"`
	// Sessions is about how many are live; absent while nobody has counted them.
	Sessions *sessionCount `json:"sessions,omitempty"`
	// Denied is how many sessions and cutoffs are remembered as ended.
	Denied int        `json:"denied"`
	Feed   feedStatus `json:"feed"`
}

// trustStatus is a trusted issuer, and its keys.
type trustStatus struct {
	bearer.Status
	Audience []string `json:"audience"`
	Users    bool     `json:"users"`
	// JWKS are its public keys, where they were asked for.
	JWKS *jwkSet `json:"jwks,omitempty"`
}

// jwkSet is public keys, as RFC 7517 section 5 writes them.
type jwkSet struct {
	Keys []json.RawMessage `json:"keys"`
}

// ringStatus is a signing key.
type ringStatus struct {
	Use       string            `json:"use"` // refresh or access
	ID        string            `json:"kid"`
	Algorithm jose.Algorithm    `json:"alg"`
	State     sessions.KeyState `json:"state"`
	// Generated tells that it lives in Caddy's storage and is rotated; else it is of
	// a file.
	Generated bool      `json:"generated"`
	From      time.Time `json:"signs_from,omitzero"`
	Until     time.Time `json:"signs_until,omitzero"`
	// JWK is its public half, of keys for access tokens, where it was asked for.
	JWK json.RawMessage `json:"jwk,omitempty"`
}

// storeStatus tells whether the store answers.
type storeStatus struct {
	Engine string `json:"engine"`
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
	// Millis is how long the answer took.
	Millis float64 `json:"answered_in_ms,omitempty"`
}

// sessionCount is how many sessions are live, of each kind.
type sessionCount struct {
	Own            int `json:"own"`
	Impersonations int `json:"impersonations"`
}

// feedStatus tells whether what other nodes end is heard.
type feedStatus struct {
	State string `json:"state"` // none: the store has no feed; hearing; blind
	// Silent is how long ago it was heard last, Blind for how long the node has been
	// blind, in milliseconds.
	Silent int64 `json:"silent_ms,omitempty"`
	Blind  int64 `json:"blind_ms,omitempty"`
}

// adminStatus answers GET status. keys=true adds public keys.
func adminStatus(_ http.ResponseWriter, r *adminRequest) (any, error) {
	found, err := r.instances()
	if err != nil {
		return nil, err
	}
	keys, err := r.flag("keys")
	if err != nil {
		return nil, err
	}
	overview := adminOverview{Instances: make([]instanceStatus, len(found))}
	for i, inst := range found {
		overview.Instances[i] = inst.status(r.Context(), keys)
	}
	return overview, nil
}

func (inst *instance) status(ctx context.Context, keys bool) instanceStatus {
	minter := inst.manager.Minter
	s := instanceStatus{
		Issuer: inst.issuer, Path: strings.TrimPrefix(minter.RefreshAudience, inst.issuer), Ready: inst.ready.Load(),
		Trust: make([]trustStatus, len(inst.trust)),
		Store: storeStatus{Engine: inst.engine()},
		Feed:  feedStatus{State: "none"},
	}
	for i, t := range inst.trust {
		s.Trust[i] = t.status(keys)
	}
	now := time.Now()
	s.SigningKeys = append(inst.ringStatus("refresh", minter.Keys.Refresh, now, false), inst.ringStatus("access", minter.Keys.Access, now, keys)...)
	if s.Ready {
		s.Store.ask(ctx, inst.store.store)
		if n, ok := inst.store.live.of(inst.issuer); ok {
			s.Sessions = &sessionCount{n.own, n.impersonated}
		}
		s.Denied = inst.store.watch.Deny.Len()
		s.Feed = feedOf(&inst.store.watch)
	}
	return s
}

// engine is the name of the store module.
func (inst *instance) engine() string { return engineOf(inst.opener) }

// engineOf is the name of a store module.
func engineOf(opener StoreOpener) string {
	if module, ok := opener.(caddy.Module); ok {
		return module.CaddyModule().ID.Name()
	}
	return "unknown"
}

func (t *trusted) status(keys bool) trustStatus {
	s := trustStatus{Status: bearer.Status{Source: "secret", Keys: []bearer.KeyStatus{}}, Audience: t.issuer.Audiences, Users: t.issuer.Users}
	if source, ok := t.issuer.Keys.(interface{ Status() bearer.Status }); ok {
		s.Status = source.Status()
	}
	s.Issuer = t.issuer.Name
	if source, ok := t.issuer.Keys.(interface{ Public() []*jose.Key }); keys && ok {
		s.JWKS = &jwkSet{Keys: publicJWKs(source.Public())}
	}
	return s
}

// publicJWKs leaves out what is not for others.
func publicJWKs(keys []*jose.Key) []json.RawMessage {
	set := make([]json.RawMessage, 0, len(keys))
	for _, key := range keys {
		if jwk, err := key.PublicJWK(); err == nil {
			set = append(set, jwk)
		}
	}
	return set
}

func (inst *instance) ringStatus(use string, ring *sessions.Ring, now time.Time, keys bool) []ringStatus {
	generated := false
	for i := range inst.rings {
		generated = generated || inst.rings[i].ring == ring
	}
	described := ring.Describe(now)
	shown := make([]ringStatus, len(described))
	for i, k := range described {
		shown[i] = ringStatus{Use: use, ID: k.ID, Algorithm: k.Algorithm, State: k.State, Generated: generated, From: k.From, Until: k.Until}
		if keys {
			shown[i].JWK, _ = k.Public.PublicJWK() // it is never symmetric
		}
	}
	return shown
}

// askTimeout is how long a store may take to tell that it is there.
const askTimeout = 2 * time.Second

func (s *storeStatus) ask(ctx context.Context, store sessions.Store) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	began := time.Now()
	err := ping(ctx, store)
	s.Millis = float64(time.Since(began).Microseconds()) / 1000
	if s.OK = err == nil; !s.OK {
		s.Error = err.Error()
	}
}

// ping tells whether the store answers.
func ping(ctx context.Context, store sessions.Store) error {
	if pinger, ok := sessions.As[sessions.Pinger](store); ok {
		return pinger.Ping(ctx)
	}
	_, err := store.Get(ctx, sessions.Key{})
	if errors.Is(err, sessions.ErrNotFound) {
		return nil
	}
	return err
}

func feedOf(w *sessions.Watcher) feedStatus {
	s := feedStatus{State: "none", Silent: w.Silence().Milliseconds(), Blind: w.Blind().Milliseconds()}
	switch {
	case w.Blind() > 0:
		s.State = "blind"
	case w.Silence() > 0:
		s.State = "hearing"
	}
	return s
}
