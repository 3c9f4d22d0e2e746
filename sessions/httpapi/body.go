package httpapi

import (
	"errors"
	"net/http"

	"authsidecar/sessions/internal/endpoint"
)

// maxBody is how many bytes of a body are read.
const maxBody = 4096

// readBody reads a JSON body, no more than maxBody of it. One that does not come in time is
// problemTimeout, one too many problemBusy.
func (a *API) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if !endpoint.IsMedia(r.Header, "application/json") {
		return nil, problemMedia
	}
	body, err := a.bodies.Read(w, r, maxBody)
	switch {
	case err == nil:
		return body, nil
	case errors.Is(err, endpoint.ErrTooLarge):
		return nil, problemTooLarge
	case errors.Is(err, endpoint.ErrTimeout):
		return nil, problemTimeout
	case errors.Is(err, endpoint.ErrBusy):
		return nil, problemBusy
	default:
		return nil, problemRequest
	}
}

// LeaveBody is called before a request is answered whose body nobody reads: it may never come,
// and the answer does not wait for it. The function that it returns is called afterwards.
func LeaveBody(w http.ResponseWriter, r *http.Request) (answered func()) {
	return endpoint.LeaveBody(w, r)
}
