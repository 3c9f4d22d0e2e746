package sessions

import (
	"errors"
	"fmt"
)

// Errors of stores.
var (
	// ErrNotFound means that no row with that key exists.
	ErrNotFound = errors.New("session not found")
	// ErrUnavailable means that the store did not respond, or that the outcome of the operation is
	// unknown. The endpoints answer 503.
	ErrUnavailable = errors.New("session store unavailable")
	// ErrSetup means that opening the store will fail until an operator changes the configuration,
	// a permission, or the data. It may wrap ErrUnavailable too.
	ErrSetup = errors.New("session store cannot be opened like this")
	// ErrNoStore means that the store does not exist and was not to be created.
	ErrNoStore = errors.New("there is no session store")
	// ErrClosed means that the store is closed, for example by a reload that moves it.
	ErrClosed = fmt.Errorf("%w: closed", ErrUnavailable)
	// ErrRevoked means that the session of an access token was revoked.
	ErrRevoked = errors.New("session was revoked")
	// ErrBadCursor means that a cursor is malformed or belongs to another query.
	ErrBadCursor = errors.New("cursor cannot be read")
)

// Errors of decisions. On the wire, ErrDenied is the same for every cause: the cause is for the log
// only, so that a response does not reveal who is protected.
var (
	// ErrDenied means that the policy does not allow the session.
	ErrDenied = errors.New("caller may not have this session")
	// ErrStale means that the issuer has logged the caller out since they authenticated: after
	// authenticating there again, they may have the session.
	ErrStale = fmt.Errorf("%w: the issuer has logged the caller out since the token's sign-in", ErrDenied)
	// ErrReasonRequired means that the policy would allow the same request with a reason.
	ErrReasonRequired = errors.New("a reason is required")
	// ErrClient means that the policy would allow the same request for the caller's own client.
	ErrClient = errors.New("caller may not name this client")
	// ErrReport means that the policy would allow the same request without a report about the
	// caller's client.
	ErrReport = errors.New("caller may not report its client")

	errNoRule       = fmt.Errorf("%w: no rule allows it", ErrDenied)
	errNotRecorded  = fmt.Errorf("%w: no rule allows it by what was recorded of the caller's claims", ErrDenied)
	errProtected    = fmt.Errorf("%w: the user is protected", ErrDenied)
	errCallerOwn    = fmt.Errorf("%w: the token is one of ours", ErrDenied)
	errOldUserID    = fmt.Errorf("%w: %w", ErrDenied, ErrUserID)
	errCallerActing = fmt.Errorf("%w: the token acts for somebody else", ErrDenied)
)

// Errors of requests that are never granted.
var (
	// ErrUserID means that the user id is not 1 to 255 bytes of UTF-8, contains control, format,
	// bidi or invisible characters, or has white space at its ends.
	ErrUserID = errors.New("user id is not acceptable")
	// ErrLifetime means that the requested lifetime is not positive or exceeds the maximum.
	ErrLifetime = errors.New("requested lifetime is out of range")
	// ErrText means that the reason or the client id is too long or contains control characters.
	ErrText = errors.New("text is not acceptable")
	// ErrKept means that the claims that the session would keep of the caller's token are larger
	// than maxKept, or maxKeptInCookies, bytes.
	ErrKept = errors.New("claims to keep are too large")
	// ErrIdempotencyMismatch means that the Idempotency-Key was used for another
	// request.
	ErrIdempotencyMismatch = errors.New("idempotency key was used for another request")
	// ErrIdempotencySpent means that the session of this Idempotency-Key exists, but repeating the
	// request no longer returns its tokens.
	ErrIdempotencySpent = errors.New("session of this idempotency key cannot be answered again")
)
