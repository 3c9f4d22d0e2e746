package httpapi

import (
	"net/http"

	"authsidecar/sessions"
)

// A Deliverer delivers the tokens of a session in another way than the body of the response, as
// "deliver" of the request asks.
type Deliverer interface {
	// Prepare is called before the session is created. It refuses what is impossible, returns
	// ErrDeliver for an unknown way, and sets in req what the session must be.
	Prepare(r *http.Request, way string, req *sessions.CreateRequest) error
	// Deliver writes the response in place of the body with the tokens. If it returns an error,
	// nobody has the session by then.
	Deliver(w http.ResponseWriter, r *http.Request, way string, grant *sessions.Grant) error
}

// inBody is the default way, which every API supports.
const inBody = "body"

// prepare implements Deliverer.Prepare.
func (a *API) prepare(r *http.Request, way string, req *sessions.CreateRequest) error {
	switch {
	case way == inBody && req.ReturnTo != "":
		return ErrReturnTo
	case way == inBody:
		return nil
	case a.Deliver == nil:
		return ErrDeliver
	default:
		return a.Deliver.Prepare(r, way, req)
	}
}

// answer writes the response for a new session.
func (a *API) answer(w http.ResponseWriter, r *http.Request, way string, grant *sessions.Grant) error {
	if way == inBody {
		writeGrant(w, grant)
		return nil
	}
	return a.Deliver.Deliver(w, r, way, grant)
}
