package observe

import (
	"errors"
	"net/http"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
)

// Reasons of rejections that alerts and the dashboard use.
const (
	reasonNoToken     = "no_token"
	reasonRequired    = "reason_required"
	reasonUnavailable = "unavailable"
	reasonInternal    = "internal"
)

// knownReasons are the reasons of errors without a method Reason.
var knownReasons = [...]struct {
	err    error
	reason string
}{
	{bearer.ErrNoToken, reasonNoToken},
	{forward.ErrSeveral, string(Several)},
	{bearer.ErrMalformed, string(Malformed)},
	{sessions.ErrReasonRequired, reasonRequired},
	{sessions.ErrClient, "client"},
	{sessions.ErrReport, "report_client"},
	{sessions.ErrGrant, "invalid_grant"},
	{sessions.ErrLink, "invalid_link"},
	{sessions.ErrOpener, "sign_in_required"},
	{sessions.ErrClientAuth, string(ClientAuth)},
	{sessions.ErrRevoked, "ended"},
	{sessions.ErrForbidden, "forbidden"},
	{sessions.ErrDenied, "denied"},
	{bearer.ErrKeysUnavailable, "keys_unavailable"},
}

// Reason returns why a request was refused or failed, as one of a few words. An error can have a
// method Reason for that.
func Reason(status int, err error) string {
	if token, ok := errors.AsType[*bearer.Refusal](err); ok {
		return string(token.Reason)
	}
	var request interface{ Reason() string }
	if errors.As(err, &request) {
		return request.Reason()
	}
	for _, known := range knownReasons {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	switch status {
	case http.StatusNotFound:
		return "not_found"
	case http.StatusMethodNotAllowed:
		return "method"
	case http.StatusConflict, http.StatusUnprocessableEntity:
		return "idempotency"
	case http.StatusServiceUnavailable:
		return reasonUnavailable
	case http.StatusInternalServerError:
		return reasonInternal
	default:
		return "invalid_request"
	}
}
