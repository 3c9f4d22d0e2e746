package sessions

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions/event"
)

// ErrGrant means that a refresh token is not valid, and never will be again. It is "invalid_grant"
// on the wire (RFC 6749 section 5.2), for every reason. The reasons are for the log.
var ErrGrant = errors.New("refresh token is not valid")

// ErrForged means that a refresh token is malformed, or not signed by the key that it names.
// ErrOtherClient means that it belongs to another client than the one that presents it.
var (
	ErrForged      = fmt.Errorf("%w: not one of ours", ErrGrant)
	ErrOtherClient = fmt.Errorf("%w: of another client", ErrGrant)
)

// ErrClientAuth means that the client of a refresh token, which may be valid, has to authenticate
// and did not.
var ErrClientAuth = errors.New("the client of the refresh token has to authenticate")

// Reasons why a refresh token is not valid.
var (
	errTokenForm    = fmt.Errorf("%w: malformed", ErrForged)
	errTokenSigned  = fmt.Errorf("%w: its signature is wrong", ErrForged)
	errTokenKey     = fmt.Errorf("%w: signed with a key that is not ours, or no longer", ErrGrant)
	errTokenClaims  = fmt.Errorf("%w: its claims are malformed, although we signed them", ErrGrant)
	errClientGone   = fmt.Errorf("%w: its client, which had to authenticate, no longer exists", ErrGrant)
	errWrongPlace   = fmt.Errorf("%w: presented in a cookie or body where it does not belong", ErrGrant)
	errUnknown      = fmt.Errorf("%w: session unknown", ErrGrant)
	errForeign      = fmt.Errorf("%w: for another user or client than the session's", ErrGrant)
	errRevoked      = fmt.Errorf("%w: session revoked", ErrGrant)
	errPending      = fmt.Errorf("%w: session was not opened yet", ErrGrant)
	errExpired      = fmt.Errorf("%w: session expired", ErrGrant)
	errIdle         = fmt.Errorf("%w: session was idle too long", ErrGrant)
	errReuse        = fmt.Errorf("%w: used before", ErrGrant)
	errStoreBehind  = fmt.Errorf("%w: ahead of the store, which lost writes", ErrGrant)
	errUntrusted    = fmt.Errorf("%w: the caller's issuer is not trusted any more", ErrDenied)
	errUnaccepted   = fmt.Errorf("%w: the caller does not satisfy the conditions of their trust", ErrDenied)
	errPolicy       = fmt.Errorf("%w: the current policy denies it", ErrGrant)
	errGraceExpired = fmt.Errorf("%w, and repeated after the grace period", errReuse)
)

// Presented is the content of a refresh token with our signature.
type Presented struct {
	Session    Key
	UserID     string
	ClientID   string
	ClientAuth bool // the client has to authenticate
	Cookies    bool // valid only in its cookie
	Generation uint64
	Secret     [SecretSize]byte
}

// Fresh is what the next generation is made from.
type Fresh struct {
	Secret [SecretSize]byte
	KeyID  string
	// From is the address of the request.
	From string
}

// Rotation is the set of rules by which refresh tokens succeed each other.
type Rotation struct {
	// Grace is how long after a rotation the previous token gets the same successor again, for lost
	// responses and concurrent requests. 0 means not at all. For tokens in cookies, it counts from
	// when the successor is known to have arrived, and covers requests that were under way.
	Grace time.Duration
	// Permit applies the current policy to the row; if it refuses, the session is revoked.
	Permit func(*Session) error
}

// An Outcome is the result of presenting a refresh token. Its zero value is not a success.
type Outcome struct {
	// Kind is event.Refreshed, event.Retried, or the event of the reason.
	Kind event.Kind
	// Err is nil if the session goes on; otherwise it wraps ErrGrant.
	Err error
}

// Present is the transition of a row when a refresh token is presented at now. It is a pure
// function. What it stores is separate from its outcome: a detected reuse is stored and refused.
//
//	generation   secret     since rotation   outcome     stored
//	live         right                       refreshed   next generation
//	live - 1     previous   under Grace      retried     nothing
//	lower        otherwise                   reuse       session revoked
//	live         wrong                       behind      session revoked
//	higher                                   behind      session revoked
//
// If the tokens live in cookies (Session.Cookies), live - 1 depends on whether and when the live
// generation was confirmed:
//
//	live         since rotation   since confirmation   outcome   stored
//	unconfirmed  under Grace / 2                       retried   nothing
//	unconfirmed  longer                                retried   the live generation, renewed
//	confirmed                     under Grace          retried   as above, by the time since rotation
//	confirmed                     longer               reuse     session revoked
//
// A renewed generation keeps its number and its secret and gets new times: its tokens count from
// now and are signed with the current key. Presenting the live token proves that it arrived, and so
// do its access tokens (Confirm).
func (r *Rotation) Present(row Session, p *Presented, fresh *Fresh, now time.Time) (next Session, write bool, out Outcome) {
	if err := checkLive(&row, p, now); err != nil {
		return row, false, Outcome{Kind: event.Denied, Err: err}
	}
	if reason, out := r.misuse(&row, p, now); out.Err != nil {
		return revokeRow(row, now, reason, out)
	}
	if err := r.Permit(&row); err != nil {
		return revokeRow(row, now, EndPolicy, Outcome{Kind: event.Revoked, Err: fmt.Errorf("%w: %w", errPolicy, err)})
	}
	if !p.isLive(&row) {
		return r.retry(row, fresh, now)
	}
	row.Generation++
	row.SecretPrev, row.Secret = row.Secret, fresh.Secret
	row.KeyID = fresh.KeyID
	row.RotatedFrom = fresh.From
	if now.After(row.RotatedAt) {
		row.RotatedAt = now
	}
	return row, true, Outcome{Kind: event.Refreshed}
}

// retry responds to a valid token of the previous generation. In a browser, the lost response may
// be so old that its access token has expired, or that the session is about to end although it is
// in use: then the live generation is renewed.
func (r *Rotation) retry(row Session, fresh *Fresh, now time.Time) (next Session, write bool, out Outcome) {
	out = Outcome{Kind: event.Retried}
	if !row.Cookies || now.Sub(row.RotatedAt) < max(r.Grace/2, time.Millisecond) {
		return row, false, out
	}
	row.RotatedAt, row.KeyID = now, fresh.KeyID
	return row, true, out
}

// Confirm is the transition of a row when an access token of that generation was seen: if it is the
// live generation, it has arrived, and the previous refresh token is valid only for Grace from now
// on. It is a pure function.
func (r *Rotation) Confirm(row Session, generation uint64, now time.Time) (next Session, write bool) {
	if !row.Cookies || !row.Live(now) || generation != row.Generation || generation <= row.Confirmed {
		return row, false
	}
	row.Confirmed, row.ConfirmedAt = generation, now
	return row, true
}

// Inspect is the transition of a row when a refresh token is presented for something other than a
// refresh. A proof of reuse, or of a store that lost writes, is stored and refused as in Present,
// so that nobody can test a copied token unnoticed. Otherwise nothing is stored, and the zero
// Outcome means that the token is valid.
func (r *Rotation) Inspect(row Session, p *Presented, now time.Time) (next Session, write bool, out Outcome) {
	if err := checkLive(&row, p, now); err != nil {
		return row, false, Outcome{Kind: event.Denied, Err: err}
	}
	if reason, out := r.misuse(&row, p, now); out.Err != nil {
		return revokeRow(row, now, reason, out)
	}
	return row, false, Outcome{}
}

// misuse returns why a token of a live row proves that its session must be revoked. The Outcome is
// zero if it is the live token, or the previous one within Grace.
func (r *Rotation) misuse(row *Session, p *Presented, now time.Time) (EndReason, Outcome) {
	live, before := p.isLive(row), p.isPrevious(row)
	switch {
	case p.Generation >= row.Generation && !live:
		return EndStoreBehind, Outcome{Kind: event.StoreBehind, Err: errStoreBehind}
	case p.Generation < row.Generation && !before:
		return EndReuse, Outcome{Kind: event.Reuse, Err: errReuse}
	case before && r.isOver(row, now):
		return EndReuse, Outcome{Kind: event.Reuse, Err: errGraceExpired}
	default:
		return "", Outcome{}
	}
}

// isOver reports whether the grace period of the previous token is over.
func (r *Rotation) isOver(row *Session, now time.Time) bool {
	begin := row.RotatedAt
	if row.Cookies {
		if row.Confirmed < row.Generation {
			return false // as far as is known, nobody has the live one
		}
		begin = row.ConfirmedAt
	}
	return max(0, now.Sub(begin)) >= r.Grace
}

// checkLive returns why a token of this row is not valid, before its generation is compared. A token
// with another user or client than the row has no effect on the session: it cannot have been minted
// from this row.
func checkLive(row *Session, p *Presented, now time.Time) error {
	switch {
	case row.UserID != p.UserID || row.ClientID != p.ClientID:
		return errForeign
	case !row.RevokedAt.IsZero():
		return errRevoked
	case row.Pending != nil:
		return errPending
	case !now.Before(row.ExpiresAt):
		return errExpired
	case !now.Before(row.IdleEnd()):
		return errIdle
	default:
		return nil
	}
}

// isLive reports whether p is the live refresh token of the row.
func (p *Presented) isLive(row *Session) bool {
	return p.Generation == row.Generation && subtle.ConstantTimeCompare(row.Secret[:], p.Secret[:]) == 1
}

// isPrevious reports whether p is the refresh token before the live one.
func (p *Presented) isPrevious(row *Session) bool {
	return p.Generation+1 == row.Generation && subtle.ConstantTimeCompare(row.SecretPrev[:], p.Secret[:]) == 1
}

func revokeRow(row Session, now time.Time, reason EndReason, out Outcome) (Session, bool, Outcome) {
	row.RevokedAt, row.EndReason = now, reason
	return row, true, out
}
