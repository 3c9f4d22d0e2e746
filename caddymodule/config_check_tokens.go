package caddymodule

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions/jose"
)

// longest is the longest life of anything.
const longest = caddy.Duration(3650 * day)

func (h *Handler) checkAccessToken() error {
	a := h.AccessToken
	if a.TTL <= 0 || a.TTL > caddy.Duration(time.Hour) {
		return wrong("access_token.ttl", "access_token: ttl is %s: an access token lives for more than nothing and for at most 1h", show(a.TTL))
	}
	if alg, err := jose.ParseAlgorithm(a.Algorithm); err != nil || alg.Symmetric() {
		return wrong("access_token.algorithm", "access_token: algorithm %q is not for that: write one of %s", a.Algorithm, names(jose.Asymmetric()))
	}
	return checkList("access_token.audience", "access_token: audience", a.Audience)
}

func (h *Handler) checkRefreshToken() error {
	r := h.RefreshToken
	most := min(h.AccessToken.TTL/4, caddy.Duration(5*time.Minute))
	if *r.Grace < 0 || *r.Grace > most {
		return wrong("refresh_token.grace", "refresh_token: grace is %s: write 0s to %s, a quarter of what an access token lives (ttl %s) and never more than 5m",
			show(*r.Grace), show(most), show(h.AccessToken.TTL))
	}
	if alg := jose.Algorithm(r.Algorithm); alg != jose.EdDSA && alg != jose.RS256 {
		return wrong("refresh_token.algorithm", "refresh_token: algorithm %q is not for that: write EdDSA or RS256, which sign deterministically", r.Algorithm)
	}
	return nil
}

func (h *Handler) checkSession() error {
	s := h.Session
	if *s.MaxPerUser < 0 {
		return wrong("session.max_per_user", "session: max_per_user is %d: write how many sessions a user may have, or 0 for any number", *s.MaxPerUser)
	}
	if err := checkLife("session", s.TTL, s.MaxTTL, s.Idle); err != nil {
		return err
	}
	if s.Idle < 2*h.AccessToken.TTL {
		return wrong("session.idle", "session: idle is %s: it must be at least %s, twice what an access token lives (ttl %s)",
			show(s.Idle), show(2*h.AccessToken.TTL), show(h.AccessToken.TTL))
	}
	return nil
}

// checkImpersonation asks less of idle than checkSession does: these sessions
// are to end soon after their user went away. What is left is half an access
// token's life for a client that refreshes when its token is over.
func (h *Handler) checkImpersonation() error {
	i := h.Impersonation
	if err := checkLife("impersonation", i.TTL, i.MaxTTL, i.Idle); err != nil {
		return err
	}
	if least := h.AccessToken.TTL * 3 / 2; i.Idle < least {
		return wrong("impersonation.idle", "impersonation: idle is %s: it must be at least %s, one and a half times what an access token lives (ttl %s)",
			show(i.Idle), show(least), show(h.AccessToken.TTL))
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
			return wrong(block+"."+l.word, "%s: %s is %s: write more than nothing and at most %s", block, l.word, show(l.life), show(longest))
		}
	}
	if ttl > maxTTL {
		return wrong(block+".ttl", "%s: ttl %s is longer than max_ttl %s: shorten the one or raise the other", block, show(ttl), show(maxTTL))
	}
	return nil
}

func (h *Handler) checkSigningKeys() error {
	rotate := *h.SigningKeys.Rotate
	if rotate != 0 && (rotate < caddy.Duration(day) || rotate > longest) {
		return wrong("signing_keys.rotate", "signing_keys: rotate is %s: write at least 1d, or 0s to keep a key for ever", show(rotate))
	}
	return nil
}

// show writes a duration as an operator would.
func show(d caddy.Duration) string {
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
