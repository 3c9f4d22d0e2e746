package adminapi

import (
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/observe"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
)

// An Overview is the response to GET status.
type Overview struct {
	Versions  Versions         `json:"versions"`
	Instances []InstanceStatus `json:"instances"`
}

// Versions are the versions of the running binary.
type Versions struct {
	Module string `json:"authsidecar"` // "(devel)" if built from a clone
	Caddy  string `json:"caddy"`
	Go     string `json:"go"`
}

// versions reads the build information of the binary.
func versions() Versions {
	v := Versions{Module: "(devel)", Go: runtime.Version()}
	v.Caddy, _ = caddy.Version()
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return v
	}
	for _, module := range append(info.Deps, &info.Main) {
		if module.Path == "authsidecar" && module.Version != "" {
			v.Module = module.Version
		}
	}
	return v
}

// InstanceStatus is the state of an auth_sessions block. It contains no secret.
type InstanceStatus struct {
	Issuer      string        `json:"issuer"`
	Path        string        `json:"path"`
	Ready       bool          `json:"ready"`
	Trust       []TrustStatus `json:"trust"`
	SigningKeys []SigningKey  `json:"signing_keys"`
	Store       StoreStatus   `json:"store"`
	// Sessions is an estimate of the live sessions; absent while they have not been counted.
	Sessions *observe.LiveCount `json:"sessions,omitempty"`
	// Denied is the number of entries of the deny list: sessions and cutoffs.
	Denied int        `json:"denied"`
	Feed   FeedStatus `json:"feed"`
	// Troubles are the last error of each kind, newest first.
	Troubles []observe.Trouble `json:"troubles"`
}

// TrustStatus is the state of a trusted issuer and its keys.
type TrustStatus struct {
	bearer.Status
	Audience []string `json:"audience"`
	Users    bool     `json:"users"`
	// JWKS are its public keys, if the request asks for them.
	JWKS *KeySet `json:"jwks,omitempty"`
	// LastEvent is the last event that it sent to this node; absent if there was none.
	LastEvent *observe.IssuerEvent `json:"last_event,omitempty"`
}

// KeySet is a set of public keys (RFC 7517 section 5).
type KeySet struct {
	Keys []json.RawMessage `json:"keys"`
}

// SigningKey is a signing key.
type SigningKey struct {
	Use       string         `json:"use"` // refresh or access
	ID        string         `json:"kid"`
	Algorithm jose.Algorithm `json:"alg"`
	State     keyring.State  `json:"state"`
	// Generated means that it is in Caddy's storage and is rotated; otherwise it is from a file.
	Generated bool      `json:"generated"`
	From      time.Time `json:"signs_from,omitzero"`
	Until     time.Time `json:"signs_until,omitzero"`
	// JWK is its public key, if it is for access tokens and the request asks for it.
	JWK json.RawMessage `json:"jwk,omitempty"`
}

// StoreStatus is the state of the store.
type StoreStatus struct {
	Engine string `json:"engine"`
	// Location is where it is, for people to read: without passwords.
	Location string `json:"location,omitempty"`
	OK       bool   `json:"ok"`
	Error    string `json:"error,omitempty"`
	// Millis is how long the store took to respond.
	Millis float64 `json:"answered_in_ms,omitempty"`
}

// FeedStatus is the state of the feed of revocations by other nodes.
type FeedStatus struct {
	State string `json:"state"` // none (the store has no feed), hearing or degraded
	// Silent is how long ago the feed was last heard, and Degraded how long the node has been
	// degraded, in milliseconds.
	Silent   int64 `json:"silent_ms,omitempty"`
	Degraded int64 `json:"degraded_ms,omitempty"`
}

// status answers GET status. keys=true adds public keys.
func status(_ http.ResponseWriter, r *request) (any, error) {
	found, err := r.instances()
	if err != nil {
		return nil, err
	}
	keys, err := r.flag("keys")
	if err != nil {
		return nil, err
	}
	overview := Overview{Versions: versions(), Instances: make([]InstanceStatus, len(found))}
	for i, inst := range found {
		overview.Instances[i] = statusOf(r.Context(), inst, keys)
	}
	return overview, nil
}

func statusOf(ctx context.Context, inst *Instance, keys bool) InstanceStatus {
	s := InstanceStatus{
		Issuer: inst.Issuer, Path: inst.Path, Ready: inst.Ready(),
		Trust: make([]TrustStatus, len(inst.Trusted)),
		Store: StoreStatus{Engine: inst.Engine, Location: inst.Location},
		Feed:  FeedStatus{State: "none"}, Troubles: observe.Troubles(inst.Issuer),
	}
	for i := range inst.Trusted {
		s.Trust[i] = trustStatus(&inst.Trusted[i], keys)
		s.Trust[i].LastEvent = inst.Reports.LastIssuerEvent(s.Trust[i].Issuer)
	}
	s.SigningKeys = signingKeys(inst.Rings, keys)
	if s.Ready {
		s.Store.ping(ctx, inst.Ping)
		if n, ok := inst.Live().Of(inst.Issuer); ok {
			s.Sessions = &n
		}
		s.Denied = inst.Watch().Deny.Len()
		s.Feed = feedStatus(inst.Watch())
	}
	return s
}

func trustStatus(issuer *bearer.Issuer, keys bool) TrustStatus {
	s := TrustStatus{Status: bearer.Status{Source: "secret", Keys: []bearer.KeyStatus{}}, Audience: issuer.Audiences, Users: issuer.Users}
	if source, ok := issuer.Keys.(interface{ Status() bearer.Status }); ok {
		s.Status = source.Status()
	}
	s.Issuer = issuer.Name
	if source, ok := issuer.Keys.(interface{ Public() []*jose.Key }); keys && ok {
		s.JWKS = &KeySet{Keys: publicJWKs(source.Public())}
	}
	return s
}

// publicJWKs returns the public keys as JWKs, without those that are secret.
func publicJWKs(keys []*jose.Key) []json.RawMessage {
	set := make([]json.RawMessage, 0, len(keys))
	for _, key := range keys {
		if jwk, err := key.PublicJWK(); err == nil {
			set = append(set, jwk)
		}
	}
	return set
}

// signingKeys describes the keys of all rings; public adds the public keys for access tokens.
func signingKeys(rings []observe.Ring, public bool) []SigningKey {
	now := time.Now()
	shown := []SigningKey{}
	for _, ring := range rings {
		for _, k := range ring.Keys.Describe(now) {
			key := SigningKey{Use: ring.Use, ID: k.ID, Algorithm: k.Algorithm, State: k.State, Generated: ring.Generated, From: k.From, Until: k.Until}
			if public && ring.Use == "access" {
				key.JWK, _ = k.Public.PublicJWK() // never symmetric
			}
			shown = append(shown, key)
		}
	}
	return shown
}

// pingTimeout is how long a store may take to respond.
const pingTimeout = 2 * time.Second

func (s *StoreStatus) ping(ctx context.Context, ping func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	began := time.Now()
	err := ping(ctx)
	s.Millis = float64(time.Since(began).Microseconds()) / 1000
	if s.OK = err == nil; !s.OK {
		s.Error = err.Error()
	}
}

func feedStatus(w *revocation.Watcher) FeedStatus {
	s := FeedStatus{State: "none", Silent: w.FeedAge().Milliseconds(), Degraded: w.Degraded().Milliseconds()}
	switch {
	case w.Degraded() > 0:
		s.State = "degraded"
	case w.FeedAge() > 0:
		s.State = "hearing"
	}
	return s
}
