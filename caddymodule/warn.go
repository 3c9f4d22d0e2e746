package caddymodule

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// warn says what works and will hurt, each with its mend: when Caddy starts, and when a
// configuration is validated.
func (h *Handler) warn() {
	for _, text := range h.warnings() {
		h.logger.Warn(text, zap.String("issuer", h.Issuer))
	}
}

// warnings are of a configuration whose defaults are set and that check is content with.
func (h *Handler) warnings() (found []string) {
	for _, look := range []func() []string{h.warnIssuer, h.warnTrust, h.warnCallers, h.warnClaims, h.warnLives, h.warnImpersonation, h.warnRules} {
		found = append(found, look()...)
	}
	return found
}

func (h *Handler) warnIssuer() (found []string) {
	if u, err := url.Parse(h.Issuer); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		found = append(found, "tokens travel in the clear: the issuer is plain http and not this machine; serve it by https, here or in front")
	}
	return found
}

func (h *Handler) warnTrust() (found []string) {
	for _, t := range h.Trust {
		name := "trust " + t.Issuer
		if t.symmetric() {
			found = append(found, name+": HMAC: who can verify these tokens can make them too, here and at the issuer; let the issuer sign with a key pair, and name its public keys with jwks or key")
		}
		for _, audience := range t.Audience {
			if slices.Contains(h.AccessToken.Audience, audience) {
				found = append(found, fmt.Sprintf("%s: audience %s is that of the app's access tokens too: whoever is sent a token for the app could have sessions with it; ask the issuer for tokens of an audience of its own, as %s%s",
					name, audience, h.Issuer, h.Path))
			}
		}
		if h.exampleKeys(t) {
			found = append(found, name+": keys of the example: whoever has the file can call himself anybody; name your identity provider, and its keys")
		}
	}
	return found
}

// symmetric tells whether the issuer's tokens are signed with a shared secret.
func (t *Trust) symmetric() bool {
	return t.Secret != "" || slices.ContainsFunc(t.Algorithms, func(a string) bool { return strings.HasPrefix(a, "HS") })
}

// exampleDir is where xcaddy.sh keeps the keys that stand in for an identity provider.
const exampleDir = ".example"

// exampleKeys tells whether the example's keys are trusted off this machine: those of
// its folder, or of a name that nobody can own (RFC 2606), unless ours is one too.
func (h *Handler) exampleKeys(t *Trust) bool {
	ours := hostOf(h.Issuer)
	if isLoopback(ours) {
		return false
	}
	for _, file := range []string{t.JWKS, t.Key} {
		if !isURL(file) && slices.Contains(strings.Split(filepath.ToSlash(file), "/"), exampleDir) {
			return true
		}
	}
	return isReserved(hostOf(t.Issuer)) && !isReserved(ours)
}

func hostOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// isReserved tells whether a host is for documentation and tests alone.
func isReserved(host string) bool {
	for _, name := range []string{"example.com", "example.net", "example.org", "example", "test", "invalid"} {
		if host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return false
}

// warnLives warns of lives that are longer than is wise. Each can be written, since
// there are apps that need it.
func (h *Handler) warnLives() (found []string) {
	lives := []struct {
		what string
		life caddy.Duration
		most time.Duration
		why  string
	}{
		{"session: ttl", h.Session.TTL, 90 * day, "a forgotten session is good that long"},
		{"session: max_ttl", h.Session.MaxTTL, 365 * day, "a request may ask for that"},
		{"session: idle", h.Session.Idle, 30 * day, "a stolen refresh token that nobody misses is good that long"},
		{"impersonation: ttl", h.Impersonation.TTL, 8 * time.Hour, "longer than a shift"},
		{"impersonation: max_ttl", h.Impersonation.MaxTTL, 24 * time.Hour, "longer than a day's work"},
		{"impersonation: idle", h.Impersonation.Idle, 2 * time.Hour, "whoever left his desk has left it open"},
		{"access_token: ttl", h.AccessToken.TTL, 30 * time.Minute, "where nobody asks this sidecar, a revoked session goes on that long"},
		{"refresh_token: grace", *h.RefreshToken.Grace, time.Minute, "a thief who is that quick is not seen"},
		{"signing_keys: rotate", *h.SigningKeys.Rotate, 180 * day, "a stolen key is good that long"},
	}
	for _, l := range lives {
		if l.life > caddy.Duration(l.most) {
			found = append(found, fmt.Sprintf("%s is %s: %s; write at most %s, unless you have to", l.what, show(l.life), l.why, show(caddy.Duration(l.most))))
		}
	}
	if *h.SigningKeys.Rotate == 0 && (h.RefreshToken.Key == "" || h.AccessToken.Key == "") {
		found = append(found, "signing_keys: rotate is 0s: a stolen key is good for ever; write at most 180d, or rotate by hand")
	}
	for _, t := range h.Trust {
		if t.MaxLifetime > caddy.Duration(day) {
			found = append(found, fmt.Sprintf("trust %s: max_lifetime is %s: a stolen token of a caller makes sessions that long; write at most 1d, unless you have to", t.Issuer, show(t.MaxLifetime)))
		}
	}
	return found
}

// warnImpersonation warns of impersonation that nobody explains, or that spares nobody.
func (h *Handler) warnImpersonation() (found []string) {
	if !slices.ContainsFunc(h.Allow, func(r *Rule) bool { return !r.Self }) {
		return nil
	}
	if !h.Impersonation.RequireReason {
		found = append(found, "allow lets callers impersonate without saying why: write impersonation { require_reason }")
	}
	if len(h.Protect) == 0 {
		found = append(found, "allow lets callers impersonate everybody, administrators too: name whom not, as in: protect user root admin-*")
	}
	return found
}
