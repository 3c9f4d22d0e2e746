package oauthapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// Limits on client assertions.
const (
	assertionLeeway   = 30 * time.Second
	assertionLifetime = time.Hour // as common libraries issue them
)

// assertions verifies client assertions: JWTs by a client, about itself, for us (RFC 7523 section
// 3), each valid once (OpenID Connect Core 1.0 section 9).
type assertions struct {
	verifier  *bearer.Verifier // nil: no client has keys
	audiences []string
	now       func() time.Time
	seen      map[string]*replays // by client
}

func newAssertions(c *Config, endpoints []string) (*assertions, error) {
	a := &assertions{audiences: append([]string{c.Issuer}, endpoints...), now: c.Now, seen: make(map[string]*replays)}
	config := bearer.Config{Now: c.Now, CacheBytes: -1} // a valid assertion is not valid again
	for i := range c.Clients {
		client := &c.Clients[i]
		if client.Keys == nil {
			continue
		}
		a.seen[client.ID] = c.Memory.of(client.ID)
		config.Issuers = append(config.Issuers, bearer.Issuer{
			Name: client.ID, Keys: client.Keys, Audiences: a.audiences, Leeway: assertionLeeway, MaxLifetime: assertionLifetime,
			Types: []string{"JWT", "client-authentication+jwt", bearer.NoType},
		})
	}
	if len(config.Issuers) == 0 {
		return a, nil
	}
	var err error
	a.verifier, err = bearer.New(config)
	return a, err
}

// byAssertion returns the client of a credential with an assertion.
func (all *clients) byAssertion(ctx context.Context, c credential) (*Client, error) {
	id, err := all.assertions.verify(ctx, c.assertion)
	switch {
	case err != nil:
		return nil, err
	case c.id != "" && c.id != id:
		return nil, errClientID
	default:
		return all.find(id), nil
	}
}

// verify returns the client of an assertion. It accepts each assertion once.
func (a *assertions) verify(ctx context.Context, assertion string) (client string, err error) {
	if a.verifier == nil {
		return "", errClient
	}
	caller, err := a.verifier.Verify(ctx, assertion)
	switch {
	case errors.Is(err, bearer.ErrKeysUnavailable):
		return "", fmt.Errorf("verifying assertion: %w", err)
	case err != nil:
		return "", errClient
	}
	id, ok := assertionID(assertion, caller.Claims)
	if !ok || caller.Subject != caller.Issuer || caller.Acting || !a.isForUsOnly(caller.Claims["aud"]) {
		return "", errClient
	}
	switch fresh, full := a.seen[caller.Issuer].add(id, caller.ExpiresAt.Add(assertionLeeway), a.now()); {
	case full:
		return "", fmt.Errorf("remembering assertion: %w", sessions.ErrUnavailable)
	case !fresh:
		return "", errClient
	default:
		return caller.Issuer, nil
	}
}

// assertionID returns what identifies an assertion: its jti, or else, since RFC 7523 section 3 does
// not require one, the signed part (without the signature, since ECDSA has several valid ones).
func assertionID(assertion string, claims map[string]any) (id string, ok bool) {
	jti, said := claims["jti"]
	if !said {
		return assertion[:strings.LastIndexByte(assertion, '.')], true
	}
	id, ok = jti.(string)
	return id, ok && id != ""
}

// isForUsOnly reports whether every name in an audience is ours. Otherwise another audience could
// replay the token.
func (a *assertions) isForUsOnly(aud any) bool {
	list, ok := aud.([]any)
	if !ok {
		list = []any{aud}
	}
	for _, item := range list {
		if name, _ := item.(string); !slices.Contains(a.audiences, name) {
			return false
		}
	}
	return true
}
