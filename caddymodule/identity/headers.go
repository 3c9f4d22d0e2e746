package identity

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions"
	"authsidecar/sessions/forward"
)

// withhold takes out of a request the tokens of ours that are not for the app.
func (m *Middleware) withhold(r *http.Request, who *identity) {
	m.TokenHeaders.Delete(r.Header)
	if m.Assertion != nil && !m.Shadow { // in place of the token, wherever that was
		forward.DropCookies(r, m.Issuer, m.Cookie, "", who.known())
	} else {
		forward.DropCookies(r, m.Issuer, "", "", false)
	}
}

// setHeaders tells the app, and the handlers and logs on the way there, who is asking. Where
// identity is in shadow mode, the app learns nothing.
func (m *Middleware) setHeaders(r *http.Request, who *identity) error {
	decide(r, who)
	if m.Shadow {
		return nil
	}
	values := who.headers
	if who.shared {
		values = slices.Clone(values) // later handlers may change them in place
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

// decide keeps whose request it is where the matcher, the placeholders and other blocks
// find it, in place of what was decided before.
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

// assertionReuse is how long an assertion is sent before a new one is minted, so that
// what the app gets is good for a while.
const assertionReuse = sessions.AssertionTTL * 3 / 4

// assert returns the assertion of the identity, minted not long ago. Who asks at the same
// time waits for the same one.
func (m *Middleware) assert(who *identity) (string, error) {
	a := who.assertion
	a.mu.Lock()
	defer a.mu.Unlock()
	now := m.Manager.Store.Now()
	if a.token != "" && now.Sub(a.minted) < assertionReuse {
		return a.token, nil
	}
	token, err := m.Manager.Minter.Assertion(who.caller(), who.UserID, who.Actor, m.Assertion.Audience, now)
	if err != nil {
		return "", err
	}
	a.token, a.minted = token, now
	return token, nil
}

// ownPlaceholder returns what a placeholder asks for that is ours: {http.auth.user.*}, which
// other handlers that authenticate set too, and {http.auth_sessions.user.*} and
// {http.auth_sessions.*}, which nobody else does.
func ownPlaceholder(key string) (name string, ok bool) {
	for _, prefix := range [...]string{"http.auth.user.", "http.auth_sessions.user.", "http.auth_sessions."} {
		if len(key) > len(prefix) && key[:len(prefix)] == prefix {
			return key[len(prefix):], true
		}
	}
	return "", false
}
