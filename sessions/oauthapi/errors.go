package oauthapi

import (
	"net/http"
	"strconv"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
)

// An answerError is an error response. Its text is fixed and within the characters of RFC 6749
// section 5.2, so no response contains what a request sent.
type answerError struct {
	status      int
	code        string
	description string
	retryAfter  int // in seconds
}

func (e *answerError) Error() string { return e.description }

// Reason returns the name of the error in metrics.
func (e *answerError) Reason() string {
	if e.status == http.StatusTooManyRequests {
		return reasonLimited
	}
	return e.code
}

const reasonLimited = "rate_limited"

// AttackReasons are the reasons that guessing leads to.
var AttackReasons = []string{codeClient, reasonLimited}

// Codes of RFC 6749 section 5.2, RFC 7009 section 2.2.1 and RFC 8707 section 2. The last two are
// from RFC 6749 section 4.1.2.1, where the others have no code.
const (
	codeRequest     = "invalid_request"
	codeClient      = "invalid_client"
	codeGrant       = "invalid_grant"
	codeGrantType   = "unsupported_grant_type"
	codeScope       = "invalid_scope"
	codeTarget      = "invalid_target"
	codeTokenType   = "unsupported_token_type"
	codeUnavailable = "temporarily_unavailable"
	codeInternal    = "server_error"
)

func invalidRequest(description string) *answerError {
	return &answerError{status: http.StatusBadRequest, code: codeRequest, description: description}
}

// The error responses.
var (
	errPath   = &answerError{status: http.StatusNotFound, code: codeRequest, description: "Nothing is served at this spelling of the path."}
	errMethod = &answerError{status: http.StatusMethodNotAllowed, code: codeRequest, description: "See Allow for the methods of this endpoint."}

	errMedia    = invalidRequest("Send the parameters in the body, as application/x-www-form-urlencoded in UTF-8, without Content-Encoding.")
	errForm     = invalidRequest("The body is not a valid form: encode each value as application/x-www-form-urlencoded, in UTF-8.")
	errQuery    = invalidRequest("Send the parameters in the body: a URL is kept in logs.")
	errMany     = invalidRequest("The body has more than 64 parameters.")
	errBroken   = invalidRequest("The body ended too early, or its length or its chunks are wrong. Send the request again.")
	errRepeated = invalidRequest("A parameter is given twice.")
	errTooLarge = &answerError{status: http.StatusRequestEntityTooLarge, code: codeRequest, description: "The body is larger than 40 KiB."}
	errTimeout  = &answerError{status: http.StatusRequestTimeout, code: codeRequest, description: "The body did not arrive in time. Send the request again."}

	errMethods  = invalidRequest("Authenticate by one method: the Authorization header, client_secret, or client_assertion.")
	errClientID = invalidRequest("client_id names another client than the one that authenticates.")
	errClient   = &answerError{status: http.StatusUnauthorized, code: codeClient, description: "The client is unknown, or did not authenticate as required."}
	errLimited  = &answerError{status: http.StatusTooManyRequests, code: codeUnavailable, description: "Too many attempts from this address have failed. Try again later."}

	errNoGrantType  = invalidRequest("grant_type is missing.")
	errGrantType    = &answerError{status: http.StatusBadRequest, code: codeGrantType, description: "grant_type is refresh_token, or that of RFC 8693 for token exchange."}
	errNoRefresh    = invalidRequest("refresh_token is missing.")
	errNoToken      = invalidRequest("token is missing.")
	errGrant        = &answerError{status: http.StatusBadRequest, code: codeGrant, description: "The refresh token is invalid, is no longer valid, or was issued to another client."}
	errScope        = &answerError{status: http.StatusBadRequest, code: codeScope, description: "Scopes are not supported: leave scope out."}
	errTarget       = &answerError{status: http.StatusBadRequest, code: codeTarget, description: "This is not one of the configured audiences of access tokens."}
	errForeignToken = &answerError{status: http.StatusBadRequest, code: codeTokenType, description: "The token is from another issuer: revoke it there."}

	errSubject   = invalidRequest("subject_token and subject_token_type are both needed.")
	errActor     = invalidRequest("actor_token and actor_token_type go together.")
	errNoActor   = invalidRequest("A user id as subject_token needs the JWT of the caller as actor_token.")
	errTokenType = invalidRequest("A token type is not supported: tokens are of type jwt, access_token or id_token, and a subject_token may be a user id.")
	errRequested = invalidRequest("requested_token_type is access_token or refresh_token.")
	errUser      = invalidRequest("The subject of the subject_token is not a user here.")
	errTokens    = invalidRequest("The subject_token or the actor_token is not valid here, or no longer valid.")
	errMayAct    = invalidRequest("The may_act claim of the subject_token does not name this actor.")
	errDenied    = invalidRequest("This caller may not have a session for this user.")
	errReason    = invalidRequest("Say in reason why you act as this user.")
	errUserID    = invalidRequest("A user id has 1 to 255 bytes, without control or invisible characters and without white space at its ends.")
	errText      = invalidRequest("A reason has at most 500 bytes, without control or invisible characters.")
	errKept      = invalidRequest("The claims of the token that the session is to keep are too large.")

	errInternal    = &answerError{status: http.StatusInternalServerError, code: codeInternal, description: "Something went wrong here. It was logged."}
	errUnavailable = &answerError{status: http.StatusServiceUnavailable, code: codeUnavailable, description: "Try again soon.", retryAfter: 1}
)

// The order of causes matters: an error may wrap several of them.
var causes = []struct {
	Err    error
	Answer *answerError
}{
	{bearer.ErrRefused, errTokens}, // RFC 8693 section 2.2.2: invalid_request
	{sessions.ErrGrant, errGrant},  // for every reason, including the policy: clients can only do one thing
	{sessions.ErrRevoked, errTokens},
	{sessions.ErrUserID, errUserID},
	{sessions.ErrText, errText},
	{sessions.ErrKept, errKept},
	{sessions.ErrReasonRequired, errReason},
	{sessions.ErrDenied, errDenied}, // for every reason: nobody must learn who is protected
	{sessions.ErrClient, errDenied},
	{endpoint.ErrTooLarge, errTooLarge},
	{endpoint.ErrTimeout, errTimeout},
	{endpoint.ErrBroken, errBroken},
	{endpoint.ErrBusy, errUnavailable},
}

// errorOf maps errors to the wire; nothing else does. Unknown errors become a 500 without details.
func errorOf(err error) *answerError {
	if bearer.IsUnavailable(err) { // never invalid_grant, which makes clients discard the session
		return endpoint.AnswerTo(err, causes, errUnavailable)
	}
	return endpoint.AnswerTo(err, causes, errInternal)
}

// write writes the error. A client that used the Authorization header is told the scheme (RFC 6749
// section 5.2).
func (e *answerError) write(w http.ResponseWriter, request http.Header) {
	if e.status == http.StatusUnauthorized && len(request["Authorization"]) > 0 {
		w.Header().Set("WWW-Authenticate", `Basic realm="oauth", charset="UTF-8"`)
	}
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.retryAfter))
	}
	endpoint.Write(w, e.status, "application/json", []byte(`{"error":"`+e.code+`","error_description":"`+e.description+`"}`))
}
