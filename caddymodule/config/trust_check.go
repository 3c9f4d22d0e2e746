package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// minSecret is the minimum length of a shared secret, in bytes: that of HS256 (RFC 7518 section
// 3.2).
const minSecret = 32

func (b *Block) checkTrusts() error {
	if len(b.Trust) == 0 {
		return wrong("trust", "no trust: name the issuer whose tokens callers present, as in: trust https://idp.example.com { audience %s%s }", b.Issuer, b.Path)
	}
	for i, t := range b.Trust {
		at := fmt.Sprintf("trust.%d", i)
		if t == nil || t.Issuer == "" {
			return wrong(at, "trust without an issuer: name the issuer, as in: trust https://idp.example.com")
		}
		if t.Issuer == b.Issuer {
			return wrong(at, "trust %s is our own issuer: our own tokens cannot create sessions; name your identity provider", t.Issuer)
		}
		if slices.ContainsFunc(b.Trust[:i], func(o *Trust) bool { return o.Issuer == t.Issuer }) {
			return wrong(at, "trust %s is given twice: an issuer has one set of keys; make one block of the two", t.Issuer)
		}
		if err := t.check(at); err != nil {
			return err
		}
	}
	return b.checkNames()
}

func (t *Trust) check(at string) error {
	name := "trust " + t.Issuer
	if len(t.Audience) == 0 {
		return wrong(at+".audience", "%s: no audience: write the \"aud\" that its tokens have for this app, as in: audience https://app.example.com/auth/sessions", name)
	}
	if err := checkList(at+".audience", name+": audience", t.Audience); err != nil {
		return err
	}
	if slices.Contains(t.Audience, "*") {
		return wrong(at+".audience", "%s: audience * accepts tokens that were issued for other apps; name the audience of the tokens that are meant for this one", name)
	}
	err := cmp.Or(t.checkSource(at, name), t.checkAlgorithms(at, name), t.checkTypes(at, name), t.checkCaller(at, name), t.checkLogout(at, name))
	if err != nil {
		return err
	}
	if *t.Leeway < 0 || *t.Leeway > caddy.Duration(5*time.Minute) {
		return wrong(at+".leeway", "%s: leeway is %s: write 0s to 5m", name, formatDuration(*t.Leeway))
	}
	if t.MaxLifetime <= 0 || t.MaxLifetime > longest {
		return wrong(at+".max_lifetime", "%s: max_lifetime is %s: write more than 0s and at most %s", name, formatDuration(t.MaxLifetime), formatDuration(longest))
	}
	return nil
}

// checkSource checks where the keys come from.
func (t *Trust) checkSource(at, name string) error {
	switch {
	case t.JWKS != "" && t.Key != "":
		return wrong(at+".key", "%s has jwks and key: an issuer has one set of keys; keep one of them", name)
	case t.JWKS == "" && t.Key == "" && t.Secret == "":
		if err := checkKeyURL(t.Issuer, t.InsecureHTTP); err != nil {
			return wrong(at, "%s has no jwks, key or secret, and cannot be asked for its keys: %w", name, err)
		}
	case strings.Contains(t.JWKS, "://"):
		if err := checkKeyURL(t.JWKS, t.InsecureHTTP); err != nil {
			return wrong(at+".jwks", "%s: jwks: %w", name, err)
		}
	}
	if err := t.checkFetch(at, name); err != nil {
		return err
	}
	switch {
	case placeholder.In(t.Secret):
		if !placeholder.Alone(t.Secret) {
			return wrong(at+".secret", "%s: the secret has braces and is not one placeholder: write {env.NAME} or {file./path}", name)
		}
	case t.Secret != "" && len(t.Secret) < minSecret:
		return wrong(at+".secret", "%s: the secret has %d bytes and needs at least %d: make one with: openssl rand -hex 32", name, len(t.Secret), minSecret)
	}
	return nil
}

// checkFetch checks the settings for fetching keys.
func (t *Trust) checkFetch(at, name string) error {
	for word, given := range map[string]bool{"ca": t.CA != "", "insecure_http": t.InsecureHTTP} {
		if given && !t.IsRemote() {
			return wrong(at+"."+word, "%s: %s is for keys that are fetched, and these are not: remove it", name, word)
		}
	}
	switch {
	case t.JWKSToken != "" && !isURL(t.JWKS):
		return wrong(at+".jwks_token", "%s: jwks_token goes to the URL of jwks alone: name that too, as in: jwks https://kubernetes.default.svc/openid/v1/jwks", name)
	case t.JWKSToken != "" && !placeholder.Alone(t.JWKSToken):
		return wrong(at+".jwks_token", "%s: this is the jwks_token itself: write where it is, {env.NAME} or {file./path}", name)
	}
	return nil
}

// checkKeyURL refuses URLs from which keys cannot be fetched safely: over http, anyone on the
// network path could replace them, unless the network is declared secure.
func checkKeyURL(s string, insecure bool) error {
	u, err := absoluteURL(s)
	if err != nil {
		return err
	}
	if u.Scheme != "https" && !insecure && !isLoopback(u.Hostname()) {
		return fmt.Errorf("%q is not protected in transit: write it with https (http is only for this machine), keep the keys in a file, or write insecure_http if the network is private", s)
	}
	return nil
}

// checkAlgorithms keeps symmetric and asymmetric keys apart (RFC 8725 section 2.1): a public key
// must never be usable as an HMAC secret. If there are both, each has its own algorithms.
func (t *Trust) checkAlgorithms(at, name string) error {
	at += ".algorithms"
	if t.Algorithms == nil {
		return nil
	}
	if err := checkList(at, name+": algorithms", t.Algorithms); err != nil {
		return err
	}
	symmetric := 0
	for _, word := range t.Algorithms {
		alg, err := jose.ParseAlgorithm(word)
		if err != nil {
			return wrong(at, "%s: algorithm %q is not known: choose from %s; or HS256, HS384, HS512 with a secret", name, word, names(jose.Asymmetric()))
		}
		if alg.Symmetric() {
			symmetric++
		}
	}
	switch {
	case symmetric > 0 && symmetric < len(t.Algorithms) && !t.hasSecretAndKeys():
		return wrong(at, "%s: algorithms mixes HMAC with asymmetric ones: keep one kind, or give both a secret and the issuer's public keys, with jwks or key", name)
	case symmetric == len(t.Algorithms) && t.hasSecretAndKeys():
		return wrong(at, "%s: algorithms has none for the public keys: name theirs too, or remove jwks and key", name)
	case symmetric > 0 && t.Secret == "" && t.IsRemote():
		return wrong(at, "%s: HMAC needs a secret, never a key set from a URL: give secret, or name asymmetric algorithms", name)
	case symmetric == 0 && t.hasSecretAndKeys():
		return wrong(at, "%s: algorithms has none for the secret: name HS256, HS384 or HS512 too, or remove secret", name)
	case symmetric == 0 && t.Secret != "":
		return wrong(at, "%s: a secret is for HS256, HS384 and HS512 alone: name one of them, or give the issuer's public keys with jwks or key", name)
	}
	return nil
}

func (t *Trust) checkTypes(at, name string) error {
	at += ".types"
	if err := checkList(at, name+": types", t.Types); err != nil {
		return err
	}
	for _, word := range t.Types {
		if bearer.IsNeverCallers(word) {
			return wrong(at, "%s: tokens of type %s are never a caller's: remove it", name, word)
		}
	}
	return nil
}
