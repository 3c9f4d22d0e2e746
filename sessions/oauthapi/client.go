package oauthapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// Lengths of secrets, in bytes.
const (
	MinSecret = 32
	MaxSecret = 1024
)

// A Client is an OAuth client: public, or confidential by secrets or by keys.
type Client struct {
	// ID is its client_id: a text as user ids are, and no user's.
	ID string
	// Public clients do not authenticate.
	Public bool
	// Secrets are SHA-256 of its secrets: several while one takes the other's place. Secrets are
	// made by machines, MinSecret to MaxSecret bytes long, so that a hash that costs nothing is
	// as good as one that costs much.
	Secrets [][sha256.Size]byte
	// Keys verify the assertions by which it authenticates (private_key_jwt).
	Keys bearer.KeySource
}

// HashSecret returns what Client.Secrets has for a secret.
func HashSecret(secret string) ([sha256.Size]byte, error) {
	if len(secret) < MinSecret || len(secret) > MaxSecret {
		return [sha256.Size]byte{}, fmt.Errorf("a secret has %d to %d bytes, and this one %d", MinSecret, MaxSecret, len(secret))
	}
	return sha256.Sum256([]byte(secret)), nil
}

// clients are those that are known.
type clients struct {
	known      map[string]*Client
	nobody     *Client // stands for unknown ones: refusing them takes the same work
	assertions *assertions
}

// newClients checks the clients. Their assertions are for the issuer, or for one of the
// endpoints.
func newClients(c *Config, endpoints ...string) (*clients, error) {
	var random [sha256.Size]byte
	_, _ = rand.Read(random[:]) // it never fails: it ends the process instead
	all := &clients{known: make(map[string]*Client, len(c.Clients)), nobody: &Client{Secrets: [][sha256.Size]byte{random}}}
	for i := range c.Clients {
		client := c.Clients[i]
		if err := client.check(); err != nil {
			return nil, fmt.Errorf("client %q: %w", client.ID, err)
		}
		if all.known[client.ID] != nil {
			return nil, fmt.Errorf("client %q is there twice", client.ID)
		}
		if len(client.Secrets) == 0 {
			client.Secrets = all.nobody.Secrets
		}
		all.known[client.ID] = &client
	}
	var err error
	all.assertions, err = newAssertions(c, endpoints)
	return all, err
}

func (c *Client) check() error {
	ways := 0
	for _, is := range [...]bool{c.Public, len(c.Secrets) > 0, c.Keys != nil} {
		if is {
			ways++
		}
	}
	switch {
	case sessions.CheckUserID(c.ID) != nil:
		return errors.New("the client_id is not valid")
	case ways != 1:
		return errors.New("it is public, or has secrets, or keys: one of them")
	}
	return nil
}

// find returns the client of that name; nobody stands for an unknown one.
func (all *clients) find(id string) *Client {
	if c := all.known[id]; c != nil {
		return c
	}
	return all.nobody
}

// named returns the id of the client that a credential names; "" if it is unknown.
func (all *clients) named(c credential) string {
	if c.assertion != "" && all.assertions.verifier != nil {
		c.id = all.assertions.verifier.IssuerOf(c.assertion)
	}
	return all.find(c.id).ID // that of nobody is empty
}

// authenticate returns which client a credential is of. All failures are errClient, or wrap
// bearer.ErrKeysUnavailable; to find out that one is costs no store access, and one hash or
// one signature.
func (all *clients) authenticate(ctx context.Context, c credential) (*Client, error) {
	if c.assertion != "" {
		return all.byAssertion(ctx, c)
	}
	client := all.find(c.id)
	if c.secret == "" && client.Public {
		return client, nil
	}
	if !client.owns(c.secret) {
		return nil, errClient
	}
	return client, nil
}

// owns reports whether the secret is one of the client's.
func (c *Client) owns(secret string) bool {
	if len(secret) > MaxSecret {
		return false
	}
	hash, same := sha256.Sum256([]byte(secret)), 0
	for i := range c.Secrets {
		same |= subtle.ConstantTimeCompare(hash[:], c.Secrets[i][:])
	}
	return same == 1 && len(secret) >= MinSecret
}
