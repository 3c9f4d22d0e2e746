package sessions

import (
	"errors"
	"fmt"
)

// Errors of stores.
var (
	// ErrNotFound means that no row of that key is stored.
	ErrNotFound = errors.New("session not found")
	// ErrUnavailable means that the store did not answer, or that it is unknown
	// whether it did what it was asked to. Callers answer 503.
	ErrUnavailable = errors.New("session store unavailable")
	// ErrSetup means that a store cannot be opened whenever that is tried, until somebody
	// changes the configuration, a right, or what is there. Also where the error is
	// ErrUnavailable as well.
	ErrSetup = errors.New("session store cannot be opened like this")
	// ErrNoStore means that a store was to be opened and not made, and is not there.
	ErrNoStore = errors.New("there is no session store")
	// ErrClosed means that the store was closed, as on a reload that moves it.
	ErrClosed = fmt.Errorf("%w: closed", ErrUnavailable)
	// ErrEnded means that the session of an access token was ended before its time.
	ErrEnded = errors.New("session was ended")
	// ErrBadCursor means that a cursor cannot be read, or is of another query.
	ErrBadCursor = errors.New("cursor cannot be read")
)

// Errors of decisions. ErrDenied is one error on the wire for every cause: what
// differs is for the log alone, so that an answer does not show who is protected.
var (
	// ErrDenied means that the policy says no.
	ErrDenied = errors.New("caller may not have this session")
	// ErrStale means that the caller's issuer ended since what their token is from: whoever
	// authenticates there again may have the session.
	ErrStale = fmt.Errorf("%w: the issuer ended since what the token is from", ErrDenied)
	// ErrReasonRequired means that the policy would say yes to the same request
	// with a reason.
	ErrReasonRequired = errors.New("a reason is required")
	// ErrClient means that the policy would say yes to the same request for the
	// caller's own client.
	ErrClient = errors.New("caller may not name this client")
	// ErrReport means that the policy would say yes to the same request if it did not
	// report who the caller's client is.
	ErrReport = errors.New("caller may not report its client")

	errNoRule       = fmt.Errorf("%w: no rule allows it", ErrDenied)
	errNotRecorded  = fmt.Errorf("%w: no rule allows it by what was recorded of the caller's claims", ErrDenied)
	errProtected    = fmt.Errorf("%w: the user is protected", ErrDenied)
	errCallerOwn    = fmt.Errorf("%w: the token is one of ours", ErrDenied)
	errOldName      = fmt.Errorf("%w: %w", ErrDenied, ErrUserID)
	errCallerActing = fmt.Errorf("%w: the token acts for somebody else", ErrDenied)
)

// Errors of requests: the caller asked for what is never granted.
var (
	// ErrUserID means that the user id is not 1 to 255 bytes of UTF-8 without
	// control, format, bidi and invisible characters, and without white space at its
	// ends.
	ErrUserID = errors.New("user id is not acceptable")
	// ErrLifetime means that the requested life is not positive, or longer than
	// the maximum that applies.
	ErrLifetime = errors.New("requested lifetime is out of range")
	// ErrText means that the reason or the client id is too long or has control
	// characters.
	ErrText = errors.New("text is not acceptable")
	// ErrKept means that the claims of the caller's token that the session is to keep
	// have more than maxKept bytes, or maxKeptInCookies.
	ErrKept = errors.New("claims to keep are too large")
	// ErrIdempotencyMismatch means that the Idempotency-Key was used for another
	// request.
	ErrIdempotencyMismatch = errors.New("idempotency key was used for another request")
	// ErrIdempotencySpent means that the session of this Idempotency-Key exists,
	// but that its tokens can no longer be had by repeating the request.
	ErrIdempotencySpent = errors.New("session of this idempotency key cannot be answered again")
)
