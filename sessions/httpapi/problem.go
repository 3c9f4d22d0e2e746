package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
)

// A Problem is an error response: problem details of RFC 9457. Its text is fixed, so no response
// contains what a request sent; only Instance differs.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	// Instance identifies the refused request in logs and audit (RFC 9457 section 3.1.5):
	// "urn:uuid:" and its UUID. "" if it has none.
	Instance string `json:"instance,omitzero"`

	// challenge is the error code of the WWW-Authenticate header of a 401 or 403 (RFC 6750 section
	// 3.1); "-" is a challenge without a code.
	challenge string
	// retryAfter is the Retry-After header, in seconds.
	retryAfter int
}

// problemType is the prefix of a problem's type URI, before the code.
const problemType = "urn:problem-type:auth-sessions:"

// NewProblem returns a problem. The meaning of a code never changes.
func NewProblem(status int, code, title, detail string) *Problem {
	return &Problem{Type: problemType + code, Title: title, Status: status, Detail: detail, Code: code}
}

// The error responses. The meaning of a code never changes.
var (
	problemCredentials = invalidRequest("Send exactly one bearer token, in one Authorization header.")
	problemUserID      = NewProblem(400, "invalid_user_id", "Invalid user id",
		"user_id must be 1 to 255 bytes, without control or invisible characters and without white space at its ends.")
	problemLifetime = NewProblem(400, "invalid_lifetime", "Invalid lifetime",
		"expires_in_millis must be more than 0 and at most the maximum that is configured for this kind of session.")
	problemText = NewProblem(400, "invalid_text", "Invalid text",
		"reason may have 500 bytes and client_id 255, without control or invisible characters.")
	problemKept = NewProblem(400, "claims_too_large", "Claims too large",
		"The claims of this token that the session is to keep have more than 4096 bytes as JSON, or 1536 where it lives in cookies: let the issuer put less into them, as fewer groups.")
	problemClient = NewProblem(400, "invalid_client_id", "Invalid client",
		"This caller may not name another client than that of its token: leave client_id out.")
	problemReport = NewProblem(400, "invalid_reported_client", "Client not taken",
		"This caller may not say who its own client is: leave client out, or let a report_client rule name this caller.")
	// ErrReturnTo is for a return_to that is not a page of this site.
	ErrReturnTo = NewProblem(400, "invalid_return_to", "Invalid way back",
		"return_to must be a path of this site, as in /orders?id=1, of at most 2048 bytes. It goes with deliver link alone.")
	problemLink = NewProblem(400, "invalid_link", "This link is not valid, or no longer",
		"It works once, and only for a short time. Ask whoever gave it to you for another one.")
	problemOpener = NewProblem(403, "sign_in_required", "Sign in to open this link",
		"Only the person who asked for this link can open it, and this browser is not signed in as that person: sign in, and open the link again.")
	// ErrDeliver is for unsupported ways of delivering tokens.
	ErrDeliver = NewProblem(400, "invalid_deliver", "Invalid way of delivery",
		"deliver must be body, which is the default, or link or cookie, which need browser in the configuration.")
	problemReason = NewProblem(400, "reason_required", "Reason required", "Say in reason why you act as this user.")
	problemKey    = NewProblem(400, "invalid_idempotency_key", "Invalid idempotency key",
		"Send one Idempotency-Key of 1 to 255 visible ASCII characters.")

	problemNoToken = NewProblem(401, "missing_token", "Authentication required",
		"Send a JWT of a trusted issuer as bearer token in the Authorization header.")
	problemToken = NewProblem(401, "invalid_token", "Invalid token", "The bearer token is not valid here, or no longer.")
	// ErrCrossOrigin is for unsafe requests whose credential a browser sends by itself, unless they
	// are known to come from a page of this site.
	ErrCrossOrigin = NewProblem(403, "cross_origin", "From another site",
		"This request would change something, and the browser does not say that a page of this site sent it.")
	problemCrossOrigin = func(p Problem) *Problem { return &p }(*ErrCrossOrigin)
	problemDenied      = NewProblem(403, "insufficient_scope", "Not allowed", "This caller may not have a session for this user.")
	// ErrPath is for paths of ours without an endpoint. ErrMethod is for unsupported methods: Allow
	// lists the supported ones.
	ErrPath          = NewProblem(404, "not_found", "Not found", "There is nothing at this path. It has to be spelled exactly, without a slash at its end.")
	problemForbidden = NewProblem(403, "insufficient_scope", "Not allowed", "This caller may not manage these sessions.")
	problemSession   = NewProblem(404, "not_found", "Not found", "There is no such session, or none that this caller may see.")
	ErrMethod        = NewProblem(405, "method_not_allowed", "Method not allowed", "This address supports only the methods in the Allow header. If you opened it in a browser, go back and use the button or link on the page.")
	problemFilter    = invalidRequest("Name the sessions: user_id, actor (with actor_issuer where it is not the caller's) or impersonations=true, each at most once; a page by cursor and limit (1 to 100).")
	problemCursor    = NewProblem(400, "invalid_cursor", "Invalid cursor", "Take cursor from next_cursor of the page before, with the same filter.")
	problemGrant     = NewProblem(400, "invalid_grant", "Invalid refresh token", "The refresh token is not valid, or no longer.")
	// problemClientAuth is not invalid_grant, which would make clients discard a live session. 401
	// with this code: RFC 6749 section 5.2.
	problemClientAuth = NewProblem(401, "invalid_client", "The client has to authenticate",
		"This refresh token is of a client that authenticates: refresh at the OAuth token endpoint.")
	problemBroken = invalidRequest("The body ended too early, or its length or its chunks are wrong. Send the request again.")
	problemSpent  = NewProblem(409, "idempotency_key_spent", "Already answered",
		"The session of this Idempotency-Key was created before and its tokens cannot be answered again. Use a new key for a new session.")
	problemTooLarge = NewProblem(413, "body_too_large", "Body too large", "The body may have 4096 bytes.")
	problemMedia    = NewProblem(415, "unsupported_media_type", "Unsupported media type",
		"Send the body as application/json in UTF-8, without Content-Encoding.")
	// ErrFormMedia is for bodies that should be a form and have another content type.
	ErrFormMedia = NewProblem(415, "unsupported_media_type", "Unsupported media type",
		"Send the form as application/x-www-form-urlencoded, without Content-Encoding.")
	problemTimeout  = NewProblem(408, "request_timeout", "Request timeout", "The body did not arrive in time. Send the request again.")
	problemMismatch = NewProblem(422, "idempotency_key_reused", "Idempotency key reused",
		"This Idempotency-Key was used for another request.")
	problemInternal    = NewProblem(500, "internal", "Internal error", "Something went wrong here. It was logged.")
	problemBusy        = NewProblem(503, "unavailable", "Unavailable", "Too many requests are being read. Try again soon.")
	problemUnavailable = NewProblem(503, "unavailable", "Unavailable", "Try again soon.")
)

func init() {
	problemNoToken.challenge = "-"
	problemCrossOrigin.challenge = "-" // the same token would be accepted in Authorization
	problemClientAuth.challenge = "-"
	problemOpener.challenge = "-"
	problemToken.challenge = "invalid_token"
	problemDenied.challenge = "insufficient_scope"
	problemForbidden.challenge = "insufficient_scope"
	problemUnavailable.retryAfter = 1
	problemBusy.retryAfter = 1
}

// The order of causes matters: an error may wrap several of them.
var causes = []struct {
	Err    error
	Answer *Problem
}{
	{sessions.ErrGrant, problemGrant}, // for every reason, including the policy: clients can only do one thing
	{sessions.ErrClientAuth, problemClientAuth},
	{sessions.ErrLink, problemLink}, // for every reason, including the policy
	{sessions.ErrOpener, problemOpener},
	{bearer.ErrNoToken, problemNoToken},
	{bearer.ErrMalformed, problemCredentials},
	{bearer.ErrRefused, problemToken},
	{sessions.ErrRevoked, problemToken},
	{sessions.ErrUserID, problemUserID},
	{sessions.ErrLifetime, problemLifetime},
	{sessions.ErrText, problemText},
	{sessions.ErrKept, problemKept},
	{sessions.ErrReasonRequired, problemReason},
	{sessions.ErrClient, problemClient},
	{sessions.ErrReport, problemReport},
	{sessions.ErrDenied, problemDenied}, // for every reason: nobody must learn who is protected
	{sessions.ErrForbidden, problemForbidden},
	{sessions.ErrNotFound, problemSession}, // unknown sessions and those of others alike
	{sessions.ErrBadCursor, problemCursor},
	{sessions.ErrIdempotencyMismatch, problemMismatch},
	{sessions.ErrIdempotencySpent, problemSpent},
}

// ProblemOf maps errors to the wire; nothing else does. Unknown errors become a 500 without
// details.
func ProblemOf(err error) *Problem {
	if bearer.IsUnavailable(err) {
		return endpoint.AnswerTo(err, causes, problemUnavailable)
	}
	return endpoint.AnswerTo(err, causes, problemInternal)
}

// instanceType turns a UUID into a URI (RFC 9562 section 4).
const instanceType = "urn:uuid:"

// WithInstance returns the problem of a request with this UUID, with which support staff find the
// request in the logs and the audit. For "" it returns the problem unchanged.
func (p *Problem) WithInstance(uuid string) *Problem {
	if uuid == "" {
		return p
	}
	of := *p
	of.Instance = instanceType + uuid
	return &of
}

// Reference returns the UUID of the request, for people to read; "" if it has none.
func (p *Problem) Reference() string { return strings.TrimPrefix(p.Instance, instanceType) }

// Error makes a problem an error, which ProblemOf returns unchanged.
func (p *Problem) Error() string { return p.Detail }

// Write writes the problem as application/problem+json.
func (p *Problem) Write(w http.ResponseWriter) {
	p.setHeader(w.Header())
	endpoint.WriteJSON(w, p.Status, "application/problem+json", p)
}

// setHeader sets what an answer says of the problem in its header.
func (p *Problem) setHeader(header http.Header) {
	switch p.challenge {
	case "":
	case "-":
		header.Set("WWW-Authenticate", "Bearer")
	default:
		header.Set("WWW-Authenticate", `Bearer error="`+p.challenge+`", error_description="`+p.Detail+`"`)
	}
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
}
