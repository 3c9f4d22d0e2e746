package logoutapi

import (
	"errors"
	"net/http"
	"strconv"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
)

// An answerError is an error response with fixed text. Its codes are the "error" of a logout (RFC
// 6749 section 5.2, as in Back-Channel Logout 1.0 section 2.8) and the "err" of a pushed event (RFC
// 8935 section 2.4).
type answerError struct {
	status      int
	code, err   string
	description string
	challenge   bool
}

func (e *answerError) Error() string { return e.description }

// Codes of RFC 8935 section 2.4, and two of RFC 6749 section 4.1.2.1 where it has none.
const (
	codeRequest        = "invalid_request"
	codeKey            = "invalid_key"
	codeIssuer         = "invalid_issuer"
	codeAudience       = "invalid_audience"
	codeAuthentication = "authentication_failed"
	codeUnavailable    = "temporarily_unavailable"
	codeInternal       = "server_error"
)

func invalid(code, description string) *answerError {
	return &answerError{status: http.StatusBadRequest, code: codeRequest, err: code, description: description}
}

// The error responses.
var (
	errPath   = &answerError{status: http.StatusNotFound, code: codeRequest, err: codeRequest, description: "Nothing is served at this spelling of the path."}
	errMethod = &answerError{status: http.StatusMethodNotAllowed, code: codeRequest, err: codeRequest, description: "Send a POST."}

	errForm      = invalid(codeRequest, "Send logout_token, once, in a body of application/x-www-form-urlencoded without Content-Encoding.")
	errNoEvent   = invalid(codeRequest, "Send the token as the body, as application/secevent+jwt without Content-Encoding.")
	errBroken    = invalid(codeRequest, "The body ended too early, or its length or its chunks are wrong. Send the request again.")
	errTooLarge  = &answerError{status: http.StatusRequestEntityTooLarge, code: codeRequest, err: codeRequest, description: "The body is too large."}
	errTimeout   = &answerError{status: http.StatusRequestTimeout, code: codeRequest, err: codeRequest, description: "The body did not arrive in time. Send the request again."}
	errToken     = invalid(codeRequest, "The token is not valid here.")
	errKey       = invalid(codeKey, "The signature is not that of a key of the issuer.")
	errIssuer    = invalid(codeIssuer, "No events are taken from this issuer.")
	errAudience  = invalid(codeAudience, "The token is not for this audience.")
	errSubject   = invalid(codeRequest, "The subject of the token is of another issuer.")
	errPresented = &answerError{
		status: http.StatusUnauthorized, code: codeRequest, err: codeAuthentication, challenge: true,
		description: "Present the bearer token that is configured for this transmitter.",
	}

	errUnavailable = &answerError{status: http.StatusServiceUnavailable, code: codeUnavailable, err: codeUnavailable, description: "Send the request again soon."}
	errInternal    = &answerError{status: http.StatusInternalServerError, code: codeInternal, err: codeInternal, description: "Something went wrong here. It was logged."}
)

// A refusal is why a token is not valid, for the log. The response reveals only what it may.
type refusal struct {
	answer *answerError
	why    string
	mend   string // what to do about it, if that is known
	issuer string // the configured issuer that the token names
}

// Error returns the reason.
func (r *refusal) Error() string { return "token refused: " + r.why }

// Reason returns the same reason for all refusals, for metrics.
func (*refusal) Reason() string { return Refused }

// Refused is the reason of requests with a token that is not valid.
const Refused = "issuer_token"

func refuse(answer *answerError, why, mend string) *refusal {
	return &refusal{answer: answer, why: why, mend: mend}
}

// The order of causes matters: an error may wrap several of them.
var causes = []struct {
	Err    error
	Answer *answerError
}{
	{endpoint.ErrTooLarge, errTooLarge},
	{endpoint.ErrTimeout, errTimeout},
	{endpoint.ErrBroken, errBroken},
	{endpoint.ErrBusy, errUnavailable},
}

// answerOf maps errors to the wire; nothing else does. Unknown errors become a 500 without details.
func answerOf(err error) *answerError {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.answer
	}
	if bearer.IsUnavailable(err) {
		return endpoint.AnswerTo(err, causes, errUnavailable)
	}
	return endpoint.AnswerTo(err, causes, errInternal)
}

// write writes the error; pushed selects the form of RFC 8935.
func (e *answerError) write(w http.ResponseWriter, pushed bool) {
	if e.challenge {
		w.Header().Set("WWW-Authenticate", `Bearer realm="events"`)
	}
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(1))
	}
	body := `{"error":"` + e.code + `","error_description":"` + e.description + `"}`
	if pushed {
		w.Header().Set("Content-Language", "en") // RFC 8935 section 2.3
		body = `{"err":"` + e.err + `","description":"` + e.description + `"}`
	}
	endpoint.Write(w, e.status, "application/json", []byte(body))
}
