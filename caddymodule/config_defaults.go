package caddymodule

import (
	"encoding/json"
	"time"

	"github.com/caddyserver/caddy/v2"
)

const day = 24 * time.Hour

// setDefaults fills in what the configuration leaves open, so that all blocks are
// there afterwards. Where a default could contradict what the operator wrote, it
// gives way.
func (h *Handler) setDefaults() {
	orDefault(&h.Path, "/auth/sessions")
	for _, t := range h.Trust {
		if t != nil {
			t.setDefaults(len(h.Trust) == 1)
		}
	}
	h.setTokenDefaults()
	h.setLifeDefaults()
	if h.Claims != nil {
		h.Claims.setDefaults()
	}
	if h.Identity != nil {
		h.Identity.setDefaults(h.Issuer)
	}
	if h.SigningKeys == nil {
		h.SigningKeys = new(SigningKeys)
	}
	orPointer(&h.SigningKeys.Rotate, caddy.Duration(30*day))
	if h.StoreRaw == nil {
		h.StoreRaw = json.RawMessage(`{"engine":"pebble"}`)
	}
}

func (t *Trust) setDefaults(alone bool) {
	if t.Types == nil {
		t.Types = []string{"at+jwt", "JWT", "none"}
	}
	if t.Algorithms == nil && t.Secret != "" && !t.beside() {
		t.Algorithms = []string{"HS256"}
	}
	orPointer(&t.Leeway, caddy.Duration(30*time.Second))
	orDefault(&t.MaxLifetime, caddy.Duration(day))
	orPointer(&t.Users, alone)
}

func (h *Handler) setTokenDefaults() {
	if h.AccessToken == nil {
		h.AccessToken = new(AccessToken)
	}
	orDefault(&h.AccessToken.TTL, caddy.Duration(10*time.Minute))
	orDefault(&h.AccessToken.Algorithm, "ES256")
	if h.AccessToken.Audience == nil {
		h.AccessToken.Audience = []string{h.Issuer}
	}
	if h.RefreshToken == nil {
		h.RefreshToken = new(RefreshToken)
	}
	orPointer(&h.RefreshToken.Grace, min(caddy.Duration(30*time.Second), h.AccessToken.TTL/4))
	orDefault(&h.RefreshToken.Algorithm, "EdDSA")
}

func (h *Handler) setLifeDefaults() {
	if h.Session == nil {
		h.Session = new(Session)
	}
	s := h.Session
	orDefault(&s.MaxTTL, caddy.Duration(365*day))
	orDefault(&s.TTL, min(caddy.Duration(30*day), s.MaxTTL))
	orDefault(&s.Idle, caddy.Duration(14*day))
	orPointer(&s.MaxPerUser, 200)

	if h.Impersonation == nil {
		h.Impersonation = new(Impersonation)
	}
	i := h.Impersonation
	orDefault(&i.MaxTTL, caddy.Duration(8*time.Hour))
	orDefault(&i.TTL, min(caddy.Duration(time.Hour), i.MaxTTL))
	orDefault(&i.Idle, max(caddy.Duration(15*time.Minute), h.AccessToken.TTL*3/2))
}

func orDefault[T comparable](value *T, otherwise T) {
	if *value == *new(T) {
		*value = otherwise
	}
}

func orPointer[T any](value **T, otherwise T) {
	if *value == nil {
		*value = &otherwise
	}
}
