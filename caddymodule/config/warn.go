package config

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions/bearer"
)

// Warnings returns warnings about settings that are valid but dangerous, each with what to do about
// it. Defaults must be set, and Check must have passed.
func (b *Block) Warnings() (found []string) {
	for _, look := range []func() []string{b.warnIssuer, b.warnTrust, b.warnCallers, b.warnClaims, b.warnLives, b.warnImpersonation, b.warnRules, b.warnCORS} {
		found = append(found, look()...)
	}
	return found
}

func (b *Block) warnIssuer() (found []string) {
	if u, err := url.Parse(b.Issuer); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		found = append(found, "tokens travel in the clear: the issuer is plain http and not this machine; serve it by https, here or in front")
	}
	return found
}

func (b *Block) warnTrust() (found []string) {
	for _, t := range b.Trust {
		name := "trust " + t.Issuer
		if t.symmetric() {
			found = append(found, name+": HMAC: whoever can verify these tokens can make them too, here and at the issuer; let the issuer sign with a key pair, and name its public keys with jwks or key")
		}
		for _, audience := range t.Audience {
			if slices.Contains(b.AccessToken.Audience, audience) {
				found = append(found, fmt.Sprintf("%s: audience %s is that of the app's access tokens too: whoever is sent a token for the app could have sessions with it; ask the issuer for tokens with an audience of their own, such as %s%s",
					name, audience, b.Issuer, b.Path))
			}
		}
		if b.exampleKeys(t) {
			found = append(found, name+": keys of the example: whoever has the file can call as anybody; name your identity provider, and its keys")
		}
	}
	return found
}

// exampleDir is the folder in which xcaddy.sh keeps the keys that stand in for an identity
// provider.
const exampleDir = ".example"

// exampleKeys reports whether the example's keys are trusted outside this machine: those in its
// folder, or those of a reserved name (RFC 2606), unless our issuer has such a name too.
func (b *Block) exampleKeys(t *Trust) bool {
	ours := hostOf(b.Issuer)
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

// isReserved reports whether a host is reserved for documentation and tests.
func isReserved(host string) bool {
	for _, name := range []string{"example.com", "example.net", "example.org", "example", "test", "invalid"} {
		if host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return false
}

// warnLives warns about lifetimes that are longer than is wise. They are allowed, since some apps
// need them.
func (b *Block) warnLives() (found []string) {
	lives := []struct {
		what string
		life caddy.Duration
		most time.Duration
		why  string
	}{
		{"session: ttl", b.Session.TTL, 90 * day, "a forgotten session is good that long"},
		{"session: max_ttl", b.Session.MaxTTL, 365 * day, "a request may ask for that"},
		{"session: idle", b.Session.Idle, 30 * day, "a stolen refresh token that goes unnoticed is good that long"},
		{"impersonation: ttl", b.Impersonation.TTL, 8 * time.Hour, "longer than a shift"},
		{"impersonation: max_ttl", b.Impersonation.MaxTTL, 24 * time.Hour, "longer than a day's work"},
		{"impersonation: idle", b.Impersonation.Idle, 2 * time.Hour, "an unattended desk leaves the session open"},
		{"access_token: ttl", b.AccessToken.TTL, 30 * time.Minute, "where tokens are verified without this sidecar, a revoked session goes on that long"},
		{"refresh_token: grace", *b.RefreshToken.Grace, time.Minute, "a thief who is that quick is not noticed"},
		{"signing_keys: rotate", *b.SigningKeys.Rotate, 180 * day, "a stolen key is good that long"},
	}
	for _, l := range lives {
		if l.life > caddy.Duration(l.most) {
			found = append(found, fmt.Sprintf("%s is %s: %s; write at most %s, unless you have to", l.what, formatDuration(l.life), l.why, formatDuration(caddy.Duration(l.most))))
		}
	}
	if *b.SigningKeys.Rotate == 0 && (b.RefreshToken.Key == "" || b.AccessToken.Key == "") {
		found = append(found, "signing_keys: rotate is 0s: a stolen key is good forever; write at most 180d, or rotate by hand")
	}
	for _, t := range b.Trust {
		if t.MaxLifetime > caddy.Duration(day) {
			found = append(found, fmt.Sprintf("trust %s: max_lifetime is %s: a stolen token of a caller can create sessions for that long; write at most 1d, unless you have to", t.Issuer, formatDuration(t.MaxLifetime)))
		}
	}
	return found
}

func (b *Block) warnCORS() (found []string) {
	for _, origin := range b.CORS {
		if u, err := url.Parse(origin); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
			found = append(found, fmt.Sprintf("cors %s: plain http: whoever is on the way to that page can make its scripts theirs, and they read tokens; serve it by https", origin))
		}
	}
	return found
}

// warnImpersonation warns about impersonation without a reason, and about an empty protect.
func (b *Block) warnImpersonation() (found []string) {
	if !slices.ContainsFunc(b.Allow, func(r *Rule) bool { return !r.Self }) {
		return nil
	}
	if !b.Impersonation.RequireReason {
		found = append(found, "allow lets callers impersonate without giving a reason: write impersonation { require_reason }")
	}
	if len(b.Protect) == 0 {
		found = append(found, "allow lets callers impersonate everybody, administrators too: name who must not be impersonated, as in: protect user root admin-*")
	}
	return found
}

// mutable are claims that people or their administrators can often change to somebody else's value.
var mutable = []string{"preferred_username", "username", "upn", "unique_name", "nickname", "name", "phone_number"}

// warnCallers warns about trusts that can mistake one caller for another.
func (b *Block) warnCallers() (found []string) {
	for _, t := range b.Trust {
		name := "trust " + t.Issuer
		last := t.UserClaim[strings.LastIndexByte(t.UserClaim, '/')+1:]
		switch {
		case t.Unverified:
			found = append(found, fmt.Sprintf("%s: user_claim %s unverified: whoever can write another's address into their profile can call as them; name a claim that nobody can change, such as oid or sub", name, t.UserClaim))
		case slices.Contains(mutable, last):
			found = append(found, fmt.Sprintf("%s: user_claim %s: whoever can change theirs to another's can call as them; name a claim that nobody can change, such as oid or sub", name, t.UserClaim))
		case bearer.IsEmail(t.UserClaim) && len(t.Tenants) > 1 && *t.Users:
			found = append(found, fmt.Sprintf("%s: user_claim %s with several tenants: each of them can give its users any address; name a claim that is different in each, such as oid or sub", name, t.UserClaim))
		}
		if t.InsecureHTTP {
			what := "can replace them, and call as anybody"
			if t.JWKSToken != "" {
				what += ", and reads jwks_token"
			}
			found = append(found, name+": insecure_http: whoever is on the way to its keys "+what+"; let it serve them by https, with ca for a certificate authority of your own")
		}
		if t.IDTokens > caddy.Duration(time.Hour) {
			found = append(found, fmt.Sprintf("%s: id_tokens is %s: an ID token that leaked, by the URL of a logout, can create sessions for that long; write at most 1h, unless you have to", name, formatDuration(t.IDTokens)))
		}
		if t.TokenHeader != "" {
			found = append(found, fmt.Sprintf("%s: token_header %s: Caddy writes this header to access logs in clear; add to each log: format filter { request>headers>%s delete }", name, t.TokenHeader, http.CanonicalHeaderKey(t.TokenHeader)))
		}
	}
	return found
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
