package config

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions"
	"authsidecar/sessions/oauthapi"
)

// OAuth configures the OAuth endpoints and their clients.
type OAuth struct {
	// The path below which `token`, `revoke` and `introspect` are: absolute and clean, without a
	// trailing slash, wildcards or placeholders. Default: `/oauth`
	Path string `json:"path,omitempty" example:"/oauth"`

	// The clients that may use the endpoints. At least one is required.
	Clients []*Client `json:"clients"`
}

// Client is an OAuth client. It is public, or confidential with either secrets or jwks.
type Client struct {
	// Its client_id. Required.
	ID string `json:"id"`

	// Whether the client does not authenticate, like apps in browsers and on phones, which cannot
	// keep a secret.
	Public bool `json:"public,omitempty" example:""`

	// Its secret, 32 to 1024 bytes, or several while one replaces another. Placeholders are
	// resolved when the configuration is loaded: `{env.NAME}` or `{file.path}`.
	Secrets []string `json:"secrets,omitempty" placeholders:"secret"`

	// SHA-256 hashes of its secrets, in hexadecimal: instead of them, or in addition.
	SecretSHA256 []string `json:"secret_sha256,omitempty" placeholders:"resolve" example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`

	// The keys with which it authenticates (`private_key_jwt`): an https URL of a JWK set (http
	// only for this machine), or the path of a file with PEM, a JWK or a JWK set, which is read
	// again when it changes.
	JWKS string `json:"jwks,omitempty" example:"https://client.example.com/jwks.json"`

	// A file with the CA certificates (PEM) that are trusted for the server of jwks. Default: those
	// of the system.
	CA string `json:"ca,omitempty" placeholders:"resolve" example:"/etc/ssl/internal-ca.pem"`

	// Whether the keys may be fetched over plain HTTP: only safe in a private network.
	InsecureHTTP bool `json:"insecure_http,omitempty" example:""`
}

// Discovers reports whether the discovery documents are served.
func (b *Block) Discovers() bool { return b.Discovery || b.OAuth != nil }

// PublishesKeys reports whether the public keys of access tokens are served without lifecycle.
func (b *Block) PublishesKeys() bool {
	return b.Discovers() || b.Identity != nil && b.Identity.Assertion != nil
}

// ClientNames returns the ids of all clients, and of those that authenticate.
func (b *Block) ClientNames() (all, confidential map[string]bool) {
	if b.OAuth == nil {
		return nil, nil
	}
	all, confidential = make(map[string]bool), make(map[string]bool)
	for _, c := range b.OAuth.Clients {
		all[c.ID], confidential[c.ID] = true, !c.Public
	}
	return all, confidential
}

// IsRemote reports whether the client's keys are fetched from a server.
func (c *Client) IsRemote() bool { return isURL(c.JWKS) }

// SecretHashes returns the hashes of the client's secrets.
func (c *Client) SecretHashes() (hashes [][32]byte, err error) {
	for _, secret := range c.Secrets {
		text, err := placeholder.Resolve(secret)
		if err != nil {
			return nil, fmt.Errorf("secret: %w", err)
		}
		hash, err := oauthapi.HashSecret(text)
		if err != nil {
			return nil, fmt.Errorf("secret: %w; make one with: openssl rand -hex 32", err)
		}
		hashes = append(hashes, hash)
	}
	for _, text := range c.SecretSHA256 {
		hash, err := parseHash(text)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

func parseHash(text string) (hash [32]byte, err error) {
	data, err := hex.DecodeString(text)
	if err != nil || len(data) != len(hash) {
		return hash, fmt.Errorf("secret_sha256 is not 64 hexadecimal digits: make it with: printf %%s \"$SECRET\" | sha256sum | cut -d' ' -f1")
	}
	return [32]byte(data), nil
}

func (b *Block) checkOAuth() error {
	if issuer, err := url.Parse(b.Issuer); err == nil && b.Discovers() && slices.Contains(oauthapi.Documents(strings.TrimSuffix(issuer.Path, "/")), b.Health) {
		return wrong("health", "health %s is a discovery document's path: choose another", b.Health)
	}
	if b.OAuth == nil {
		return nil
	}
	at := b.OAuth.Path
	if why := pathProblem(at); why != "" {
		return wrong("oauth.path", "oauth: path %q %s: write an absolute path, as in: path /oauth", at, why)
	}
	for _, name := range [...]string{"/token", "/revoke", "/introspect"} {
		if strings.EqualFold(at+name, b.Health) || isWithin(at+name, b.Path) {
			return wrong("oauth.path", "oauth: path %s makes an endpoint of %s%s, where health or sessions are: choose another path", at, at, name)
		}
	}
	if len(b.OAuth.Clients) == 0 {
		return wrong("oauth", "oauth has no client: name those that may use the endpoints, as in: client my-app { public }")
	}
	for i, c := range b.OAuth.Clients {
		if err := b.checkClient(fmt.Sprintf("client.%d", i), c, b.OAuth.Clients[:i]); err != nil {
			return err
		}
	}
	return nil
}

// isWithin reports whether path is other or below it.
func isWithin(path, other string) bool {
	path, other = strings.ToLower(path), strings.ToLower(other)
	return path == other || strings.HasPrefix(path, other+"/")
}

func (b *Block) checkClient(at string, c *Client, before []*Client) error {
	switch {
	case c == nil || c.ID == "":
		return wrong(at, "client without a name: write its client_id, as in: client my-app")
	case sessions.CheckUserID(c.ID) != nil:
		return wrong(at, "client %q: write 1 to 255 bytes, without control or invisible characters and without white space at its ends", c.ID)
	case slices.ContainsFunc(before, func(o *Client) bool { return o.ID == c.ID }):
		return wrong(at, "client %s is given twice: make one block of the two", c.ID)
	case c.ID == b.Issuer || slices.ContainsFunc(b.Trust, func(t *Trust) bool { return t.Issuer == c.ID }):
		return wrong(at, "client %s has the name of an issuer: give it one of its own", c.ID)
	}
	return c.check(at)
}

func (c *Client) check(at string) error {
	name := "client " + c.ID
	secrets := len(c.Secrets)+len(c.SecretSHA256) > 0
	switch {
	case !c.Public && !secrets && c.JWKS == "":
		return wrong(at, "%s: neither public nor with a secret: write public where it can keep none, secret {env.NAME}, or jwks with its public keys", name)
	case c.Public && (secrets || c.JWKS != ""):
		return wrong(at+".public", "%s is public, and has something to authenticate with: keep one of them", name)
	case secrets && c.JWKS != "":
		return wrong(at+".jwks", "%s has secrets and keys: keep one way to authenticate", name)
	}
	for i, secret := range c.Secrets {
		switch {
		case slices.Contains(c.Secrets[:i], secret):
			return wrong(at+".secret", "%s: the same secret is given twice: keep one", name)
		case placeholder.In(secret) && !placeholder.Alone(secret):
			return wrong(at+".secret", "%s: a secret has braces and is not one placeholder: write {env.NAME} or {file./path}", name)
		case !placeholder.In(secret) && len(secret) < oauthapi.MinSecret:
			return wrong(at+".secret", "%s: a secret has %d bytes and needs at least %d: make one with: openssl rand -hex 32", name, len(secret), oauthapi.MinSecret)
		}
	}
	for _, text := range c.SecretSHA256 {
		if _, err := parseHash(text); err != nil && !placeholder.In(text) {
			return wrong(at+".secret_sha256", "%s: %w", name, err)
		}
	}
	return c.checkKeys(at, name)
}

// checkKeys checks where the keys come from.
func (c *Client) checkKeys(at, name string) error {
	if strings.Contains(c.JWKS, "://") {
		if err := checkKeyURL(c.JWKS, c.InsecureHTTP); err != nil {
			return wrong(at+".jwks", "%s: jwks: %w", name, err)
		}
	}
	for word, given := range map[string]bool{"ca": c.CA != "", "insecure_http": c.InsecureHTTP} {
		if given && !c.IsRemote() {
			return wrong(at+"."+word, "%s: %s is for keys that are fetched, and there are none: remove it", name, word)
		}
	}
	return nil
}

// checkDiscovery checks the paths of the discovery documents, which contain the path of the issuer.
func (b *Block) checkDiscovery() error {
	if !b.Discovers() {
		return nil
	}
	u, err := url.Parse(b.Issuer)
	if err != nil {
		return wrong("issuer", "issuer: %w", err)
	}
	if p := strings.TrimSuffix(u.Path, "/"); p != "" {
		if why := pathProblem(p); why != "" {
			return wrong("issuer", "issuer %s: its path %s, and there have to be discovery documents at it: write one without, or none", b.Issuer, why)
		}
	}
	return nil
}
