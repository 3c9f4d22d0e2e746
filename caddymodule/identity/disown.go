package identity

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/httpapi"
)

// disown makes a request anonymous: it removes our headers, tokens, cookies and method overrides,
// and empties the placeholders. It works in place, since error routes share the header. Only the
// matcher still recognizes an impersonated session, so that restrictions continue to apply. refused
// means that nobody has been authenticated yet.
func (m *Middleware) disown(r *http.Request, who *identity, refused bool) {
	if !m.Shadow { // in shadow mode, these headers are not ours
		m.names.Delete(r.Header)
	}
	if m.AcceptCallers && (refused || who.isKnown() && !who.isOwn()) { // the token is that of another issuer
		if _, err := bearer.FromHeader(r.Header); err == nil {
			delete(r.Header, "Authorization")
		}
		forward.DropCookies(r, m.Issuer, m.Cookie, "", m.Cookie != "")
	}
	m.TokenHeaders.Delete(r.Header)
	forward.DropTokens(r.Header, m.Issuer)
	DropOverrides(r)
	gone := &identity{by: m, disowned: true}
	if who.isImpersonated() {
		gone.Who = who.Who
	}
	decide(r, gone)
}

// DropOverrides removes what could make an app take the request for one with another method, also
// from the URL that Caddy restores for error routes, and that PHP receives.
func DropOverrides(r *http.Request) {
	httpapi.DropOverrides(r)
	original := requestedURL(r)
	before := len(original.RawQuery)
	httpapi.DropOverrides(&http.Request{URL: original})
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok && len(original.RawQuery) < before {
		repl.Set("http.request.orig_uri", original.RequestURI())
	}
}
