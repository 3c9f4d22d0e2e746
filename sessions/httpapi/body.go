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
		return nil, ErrMedia
	}
	body, err := a.bodies.Read(w, r, maxBody)
	if err != nil {
		return nil, BodyProblem(err)
	}
	return body, nil
}

// BodyProblem returns what is said of a body that could not be read, with maxBody for its limit.
func BodyProblem(err error) *Problem {
	switch {
	case errors.Is(err, endpoint.ErrTooLarge):
		return problemTooLarge
	case errors.Is(err, endpoint.ErrTimeout):
		return problemTimeout
	case errors.Is(err, endpoint.ErrBusy):
		return problemBusy
	default:
		return problemRequest
	}
}

// LeaveBody is called before a request is answered whose body nobody reads: it may never come,
// and the answer does not wait for it. The function that it returns is called afterwards.
func LeaveBody(w http.ResponseWriter, r *http.Request) (answered func()) {
	return endpoint.LeaveBody(w, r)
}
