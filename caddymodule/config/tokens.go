package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// Session limits users' own sessions.
type Session struct {
	// The lifetime of a session if the request does not ask for one. Default: 30 days.
	TTL caddy.Duration `json:"ttl,omitempty" example:"30d"`

	// The maximum lifetime of a request. Default: 365 days.
	MaxTTL caddy.Duration `json:"max_ttl,omitempty" example:"365d"`

	// A session that is not refreshed for that long ends. At least twice the lifetime of an access
	// token. Default: 14 days.
	Idle caddy.Duration `json:"idle,omitempty" example:"14d"`

	// How many sessions of each kind a user may have; the least recently used one is evicted. 0
	// means no limit. Default: 200
	MaxPerUser *int `json:"max_per_user,omitempty" example:"200"`
}

// RefreshToken says how refresh tokens are minted.
type RefreshToken struct {
	// How long a used refresh token gets the same successor again, so that clients that lost a
	// response stay signed in. From 0 to 5 minutes, and at most a quarter of the lifetime of an
	// access token. Default: 30 seconds.
	Grace *caddy.Duration `json:"grace,omitempty" example:"30s"`

	// The signature algorithm: `EdDSA` or `RS256`, which are deterministic. Default: `EdDSA`
	Algorithm string `json:"algorithm,omitempty" example:"EdDSA"`

	// A file with the private signing key, PEM or JWK, instead of a generated one.
	Key string `json:"key,omitempty" placeholders:"resolve" example:"/etc/keys/refresh.pem"`
}

// AccessToken says how access tokens are minted.
type AccessToken struct {
	// Their lifetime, at most 1 hour. Default: 10 minutes.
	TTL caddy.Duration `json:"ttl,omitempty" example:"10m"`

	// The signature algorithm, an asymmetric one. Default: `ES256`
	Algorithm string `json:"algorithm,omitempty" example:"ES256"`

	// A file with the private signing key, PEM or JWK, instead of a generated one.
	Key string `json:"key,omitempty" placeholders:"resolve" example:"/etc/keys/access.pem"`

	// Their "aud". Default: the issuer.
	Audience []string `json:"audience,omitempty" placeholders:"resolve" example:"https://app.example.com"`
}

// SigningKeys configures generated keys.
type SigningKeys struct {
	// How long a key signs before the next one replaces it: at least 1 day, or 0 for forever.
	// Default: 30 days.
	Rotate *caddy.Duration `json:"rotate,omitempty" example:"30d"`
}

// longest is the maximum of all durations.
const longest = caddy.Duration(3650 * day)

func (b *Block) checkAccessToken() error {
	a := b.AccessToken
	if a.TTL <= 0 || a.TTL > caddy.Duration(time.Hour) {
		return wrong("access_token.ttl", "access_token: ttl is %s: write more than 0s and at most 1h", formatDuration(a.TTL))
	}
	if alg, err := jose.ParseAlgorithm(a.Algorithm); err != nil || alg.Symmetric() {
		return wrong("access_token.algorithm", "access_token: algorithm %q cannot be used here: write one of %s", a.Algorithm, names(jose.Asymmetric()))
	}
	return checkList("access_token.audience", "access_token: audience", a.Audience)
}

func (b *Block) checkRefreshToken() error {
	r := b.RefreshToken
	most := min(b.AccessToken.TTL/4, caddy.Duration(5*time.Minute))
	if *r.Grace < 0 || *r.Grace > most {
		return wrong("refresh_token.grace", "refresh_token: grace is %s: write 0s to %s, a quarter of the life of an access token (ttl %s) and at most 5m",
			formatDuration(*r.Grace), formatDuration(most), formatDuration(b.AccessToken.TTL))
	}
	if alg := jose.Algorithm(r.Algorithm); alg != jose.EdDSA && alg != jose.RS256 {
		return wrong("refresh_token.algorithm", "refresh_token: algorithm %q cannot be used here: write EdDSA or RS256, which sign deterministically", r.Algorithm)
	}
	return nil
}

func (b *Block) checkSession() error {
	s := b.Session
	if *s.MaxPerUser < 0 {
		return wrong("session.max_per_user", "session: max_per_user is %d: write how many sessions a user may have, or 0 for any number", *s.MaxPerUser)
	}
	if err := checkLife("session", s.TTL, s.MaxTTL, s.Idle); err != nil {
		return err
	}
	if s.Idle < 2*b.AccessToken.TTL {
		return wrong("session.idle", "session: idle is %s: it must be at least %s, twice the life of an access token (ttl %s)",
			formatDuration(s.Idle), formatDuration(2*b.AccessToken.TTL), formatDuration(b.AccessToken.TTL))
	}
	return nil
}

func checkLife(block string, ttl, maxTTL, idle caddy.Duration) error {
	lives := []struct {
		word string
		life caddy.Duration
	}{{"ttl", ttl}, {"max_ttl", maxTTL}, {"idle", idle}}
	for _, l := range lives {
		if l.life <= 0 || l.life > longest {
			return wrong(block+"."+l.word, "%s: %s is %s: write more than 0s and at most %s", block, l.word, formatDuration(l.life), formatDuration(longest))
		}
	}
	if ttl > maxTTL {
		return wrong(block+".ttl", "%s: ttl %s is longer than max_ttl %s: shorten ttl or raise max_ttl", block, formatDuration(ttl), formatDuration(maxTTL))
	}
	return nil
}

func (b *Block) checkSigningKeys() error {
	rotate := *b.SigningKeys.Rotate
	if rotate != 0 && (rotate < caddy.Duration(day) || rotate > longest) {
		return wrong("signing_keys.rotate", "signing_keys: rotate is %s: write at least 1d, or 0s to keep a key forever", formatDuration(rotate))
	}
	return nil
}

// formatDuration formats a duration as an operator would write it.
func formatDuration(d caddy.Duration) string {
	t := time.Duration(d)
	if t != 0 && t%day == 0 {
		return fmt.Sprintf("%dd", t/day)
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (s *Session) Lifetimes() sessions.Lifetimes {
	return sessions.Lifetimes{TTL: time.Duration(s.TTL), MaxTTL: time.Duration(s.MaxTTL), Idle: time.Duration(s.Idle)}
}

func (b *Block) setTokenDefaults() {
	b.AccessToken, b.RefreshToken = cmp.Or(b.AccessToken, new(AccessToken)), cmp.Or(b.RefreshToken, new(RefreshToken))
	a, r := b.AccessToken, b.RefreshToken
	a.TTL = cmp.Or(a.TTL, caddy.Duration(10*time.Minute))
	a.Algorithm = cmp.Or(a.Algorithm, "ES256")
	if a.Audience == nil {
		a.Audience = []string{b.Issuer}
	}
	r.Grace = cmp.Or(r.Grace, new(min(caddy.Duration(30*time.Second), a.TTL/4)))
	r.Algorithm = cmp.Or(r.Algorithm, "EdDSA")
}

func (b *Block) setLifeDefaults() {
	b.Session, b.Impersonation = cmp.Or(b.Session, new(Session)), cmp.Or(b.Impersonation, new(Impersonation))
	s, i := b.Session, b.Impersonation
	s.MaxTTL = cmp.Or(s.MaxTTL, caddy.Duration(365*day))
	s.TTL = cmp.Or(s.TTL, min(caddy.Duration(30*day), s.MaxTTL))
	s.Idle = cmp.Or(s.Idle, caddy.Duration(14*day))
	s.MaxPerUser = cmp.Or(s.MaxPerUser, new(200))

	i.MaxTTL = cmp.Or(i.MaxTTL, caddy.Duration(8*time.Hour))
	i.TTL = cmp.Or(i.TTL, min(caddy.Duration(time.Hour), i.MaxTTL))
	i.Idle = cmp.Or(i.Idle, max(caddy.Duration(15*time.Minute), b.AccessToken.TTL*3/2))
}
