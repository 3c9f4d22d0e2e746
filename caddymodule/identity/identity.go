package identity

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions/forward"
)

// An identity is who is asking, as it was decided for a request. Those of one token share
// it: it is never changed.
type identity struct {
	*forward.Who                         // nil: nobody that we know
	by           *Middleware             // that decided it
	headers      []string                // as Middleware.fields
	values       *[len(placeholders)]any // of them; nil: of whom nothing is known

	mu        sync.Mutex
	assertion string
	minted    time.Time
}

// placeholders are what is known of somebody, by its name in placeholders.
var placeholders = [...]string{"id", "session_id", "actor", "is_impersonation", "actor_issuer", "reason", "client_id"}

// variables are the first of them, by their names in the variables of a request.
var variables = [...]string{"auth_sessions.user_id", "auth_sessions.session_id", "auth_sessions.actor", "auth_sessions.is_impersonation"}

// find returns the value of a placeholder of ours.
func (id *identity) find(key string) (any, bool) {
	name, ours := ownPlaceholder(key)
	if !ours || id.values == nil {
		return "", ours
	}
	at := slices.Index(placeholders[:], name)
	if at < 0 {
		return nil, false
	}
	return id.values[at], true
}

// identityVar is the variable that the identity of a request is in.
const identityVar = "auth_sessions.identity"

// decided returns who is asking; ok is false where no Middleware decided.
func decided(r *http.Request) (who *identity, ok bool) {
	who, ok = caddyhttp.GetVar(r.Context(), identityVar).(*identity)
	return who, ok
}

// Impersonated reports whether a request is one of an impersonated session; decided is false
// where no Middleware decided whose it is.
func Impersonated(r *http.Request) (impersonated, isDecided bool) {
	who, isDecided := decided(r)
	return who.impersonated(), isDecided
}

// known reports whether it is somebody; nil is nobody.
func (id *identity) known() bool { return id != nil && id.Who != nil }

// impersonated reports whether somebody acts as somebody else.
func (id *identity) impersonated() bool { return id.known() && id.Impersonation }

// ours reports whether it is a session of ours.
func (id *identity) ours() bool { return id.known() && id.Caller.Own }
