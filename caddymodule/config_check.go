package caddymodule

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// A fault is something wrong in a configuration.
type fault struct {
	// at is where: the words that lead there, with the number of a repeated one,
	// joined by dots, as in trust.0.audience.
	at  string
	err error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// wrong returns a fault at that place.
func wrong(at, format string, args ...any) error {
	return &fault{at: at, err: fmt.Errorf(format, args...)}
}

// check tells what is wrong with a configuration whose defaults are set, as far
// as that can be told without reading a file or the network. Its errors are
// faults.
func (h *Handler) check() error {
	checks := []func() error{
		h.checkIssuer, h.checkPath, h.checkTrusts, h.checkRules, h.checkProtect,
		h.checkAccessToken, h.checkRefreshToken, h.checkSession, h.checkImpersonation, h.checkSigningKeys,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) checkIssuer() error {
	if h.Issuer == "" {
		return wrong("issuer", "issuer is missing: say what our tokens name as theirs, as in: issuer https://app.example.com")
	}
	u, err := absoluteURL(h.Issuer)
	if err != nil {
		return wrong("issuer", "issuer %q: %w", h.Issuer, err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return wrong("issuer", "issuer %q has a query: remove it", h.Issuer)
	}
	return nil
}

// absoluteURL reads an http or https URL that is written in its one normal form
// and has no user, no fragment and no placeholder.
func absoluteURL(s string) (*url.URL, error) {
	if hasPlaceholder(s) {
		return nil, fmt.Errorf("placeholders are not known here: write the value, or {$NAME}, which is read when the Caddyfile is")
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("this is no absolute URL: write it with https:// and the host")
	}
	if u.Fragment != "" || strings.Contains(s, "#") {
		return nil, fmt.Errorf("a URL with a fragment is not known here: remove it")
	}
	if u.User != nil {
		return nil, fmt.Errorf("a URL with a user is not known here: remove it")
	}
	if u.String() != s {
		return nil, fmt.Errorf("this URL has several spellings: write it as %s", u)
	}
	return u, nil
}

func hasPlaceholder(s string) bool { return strings.ContainsAny(s, "{}") }

func (h *Handler) checkPath() error {
	p := h.Path
	bad := func(why string) error {
		return wrong("path", "path %q %s: write an absolute path, as in: path /auth/sessions", p, why)
	}
	switch {
	case !strings.HasPrefix(p, "/"):
		return bad("does not start with a slash")
	case p == "/":
		return bad("is the whole site")
	case hasPlaceholder(p):
		return bad("has a placeholder")
	case strings.Contains(p, "*"):
		return bad("has a wildcard")
	case strings.ContainsAny(p, `%;?#\`):
		return bad(`has one of % ; ? # \`)
	case strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return bad("has a blank, or something beyond ASCII")
	case strings.HasSuffix(p, "/") || strings.HasSuffix(p, "."):
		return bad("ends in a slash or a dot")
	case path.Clean(p) != p:
		return bad("has empty or dotted segments")
	}
	return nil
}

func (h *Handler) checkProtect() error {
	if h.Protect != nil && len(h.Protect) == 0 {
		return wrong("protect", "protect names nobody: name user ids, or remove it")
	}
	for i, pattern := range h.Protect {
		if sessions.CheckUserID(pattern) != nil {
			return wrong("protect", "protect: %q can be no user id: mend it or remove it", pattern)
		}
		if slices.Contains(h.Protect[:i], pattern) {
			return wrong("protect", "protect names %q twice: remove one", pattern)
		}
	}
	return nil
}

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

// checkList refuses a list that is empty, or has empty or repeated values or
// placeholders.
func checkList(at, what string, list []string) error {
	if len(list) == 0 {
		return wrong(at, "%s names nothing: name at least one", what)
	}
	for i, value := range list {
		if value == "" || hasPlaceholder(value) {
			return wrong(at, "%s %q is empty or has a placeholder: write the value, or {$NAME}, which is read when the Caddyfile is", what, value)
		}
		if slices.Contains(list[:i], value) {
			return wrong(at, "%s names %q twice: remove one", what, value)
		}
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

// names lists names for a message.
func names[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, name := range list {
		words[i] = string(name)
	}
	return strings.Join(words, ", ")
}
