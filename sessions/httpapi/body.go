package httpapi

import (
	"errors"
	"net/http"

	"authsidecar/sessions/internal/endpoint"
)

// maxBody is the maximum size of a body, in bytes.
const maxBody = 4096

// readBody reads a JSON body of up to maxBody bytes. The error is problemTimeout if it does not
// arrive in time, and problemBusy if too many are being read.
func (a *API) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if !endpoint.IsMedia(r.Header, "application/json") {
		return nil, problemMedia
	}
	body, err := a.bodies.Read(w, r, maxBody)
	if err != nil {
		return nil, BodyProblem(err)
	}
	return body, nil
}

// BodyProblem returns the problem for a body that could not be read, within the limit maxBody.
func BodyProblem(err error) *Problem {
	switch {
	case errors.Is(err, endpoint.ErrTooLarge):
		return problemTooLarge
	case errors.Is(err, endpoint.ErrTimeout):
		return problemTimeout
	case errors.Is(err, endpoint.ErrBusy):
		return problemBusy
	default:
		return problemBroken
	}
}

// LeaveBody must be called before a request is answered whose body was not read, so that the
// response does not wait for the body. Call the function that it returns afterwards.
func LeaveBody(w http.ResponseWriter, r *http.Request) (answered func()) {
	return endpoint.LeaveBody(w, r)
}
