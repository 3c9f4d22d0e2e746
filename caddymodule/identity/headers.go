package identity

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions"
	"authsidecar/sessions/forward"
)

// dropTokens removes our tokens that are not for the app from a request.
func (m *Middleware) dropTokens(r *http.Request, who *identity) {
	m.TokenHeaders.Delete(r.Header)
	if m.Assertion != nil && !m.Shadow { // in place of the token, wherever it was
		forward.DropCookies(r, m.Issuer, m.Cookie, "", who.isKnown())
	} else {
		forward.DropCookies(r, m.Issuer, "", "", false)
	}
}

// setHeaders tells the app, and handlers and logs on the way there, who the user is. In shadow mode
// the app receives nothing.
func (m *Middleware) setHeaders(r *http.Request, who *identity) error {
	decide(r, who)
	if m.Shadow {
		return nil
	}
	values := who.headers
	if who.shared {
		values = slices.Clone(values) // later handlers may modify them in place
	}
	for i, value := range values {
		if value != "" {
			r.Header[m.Headers[i].Name] = values[i : i+1 : i+1]
		}
	}
	if m.Assertion == nil || who.Who == nil {
		return nil
	}
	token, err := m.assert(who)
	if err == nil {
		r.Header["Authorization"] = []string{"Bearer " + token}
	}
	return err
}

// decide stores the identity of a request where the matcher, the placeholders and other blocks find
// it, replacing an earlier one.
func decide(r *http.Request, who *identity) {
	vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	if !ok {
		return
	}
	_, decided := vars[identityVar].(*identity)
	vars[identityVar] = who
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok && !decided {
		repl.Map(func(key string) (any, bool) { return vars[identityVar].(*identity).find(key) })
	}
}

// assertionReuse is how long an assertion is sent before a new one is minted, so that the app
// always has some time to use it.
const assertionReuse = sessions.AssertionTTL * 3 / 4

// assert returns a recently minted assertion of the identity. Concurrent requests share it.
func (m *Middleware) assert(who *identity) (string, error) {
	a := who.assertion
	a.mu.Lock()
	defer a.mu.Unlock()
	now := m.Manager.Store.Now()
	if a.token != "" && now.Sub(a.minted) < assertionReuse {
		return a.token, nil
	}
	caller := who.caller()
	token, err := m.Manager.Minter.Assertion(&caller, who.UserID, who.Actor, m.Assertion.Audience, now)
	if err != nil {
		return "", err
	}
	a.token, a.minted = token, now
	return token, nil
}

// ownPlaceholder returns the name in a placeholder of ours: {http.auth.user.*}, which other
// authentication handlers set too, and {http.auth_sessions.user.*} and {http.auth_sessions.*},
// which only we set.
func ownPlaceholder(key string) (name string, ok bool) {
	for _, prefix := range [...]string{"http.auth.user.", "http.auth_sessions.user.", "http.auth_sessions."} {
		if len(key) > len(prefix) && key[:len(prefix)] == prefix {
			return key[len(prefix):], true
		}
	}
	return "", false
}
