package httpapi

import (
	"net/http"

	"authsidecar/sessions"
)

// A Deliverer hands the tokens of a session over in another way than the body of the answer:
// "deliver" of the request names it.
type Deliverer interface {
	// Prepare is called before the session is created. It refuses what cannot be, ErrDeliver
	// a way that it does not know, and notes in req what the session has to be.
	Prepare(r *http.Request, way string, req *sessions.CreateRequest) error
	// Deliver answers in place of the body with the tokens. What it returns is an error of the
	// request, whose session is nobody's by then.
	Deliver(w http.ResponseWriter, r *http.Request, way string, grant *sessions.Grant) error
}

// inBody is the way that every API knows, and the default.
const inBody = "body"

// prepare does what Deliverer.Prepare says.
func (a *API) prepare(r *http.Request, way string, req *sessions.CreateRequest) error {
	switch {
	case way == inBody && req.ReturnTo != "":
		return ErrReturnTo
	case way == inBody:
		return nil
	case a.deliver == nil:
		return ErrDeliver
	default:
		return a.deliver.Prepare(r, way, req)
	}
}

// answer answers with a new session.
func (a *API) answer(w http.ResponseWriter, r *http.Request, way string, grant *sessions.Grant) error {
	if way == inBody {
		writeGrant(w, grant)
		return nil
	}
	return a.deliver.Deliver(w, r, way, grant)
}
