package identity

import (
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions/forward"
)

// An identity is who is asking, as it was decided for a request. Those of one token share
// it: it is never changed.
type identity struct {
	*forward.Who             // nil: nobody that we know
	by           *Middleware // that decided it
	headers      []string
	vars         []namedVar
	find         func(key string) (any, bool)

	mu        sync.Mutex
	assertion string
	minted    time.Time
}

type namedVar struct {
	name  string
	value any
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
