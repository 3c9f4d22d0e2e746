package sessions

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions/event"
)

// ErrGrant means that a refresh token is good for nothing, and never will be
// again: "invalid_grant" on the wire (RFC 6749 section 5.2), whatever the
// reason. The reasons are for the log.
var ErrGrant = errors.New("refresh token is not valid")

// ErrForged means that a refresh token has no form of ours, or not the signature of the key
// that it names. ErrOtherClient means that it is one of another client than presents it.
var (
	ErrForged      = fmt.Errorf("%w: not one of ours", ErrGrant)
	ErrOtherClient = fmt.Errorf("%w: of another client", ErrGrant)
)

// ErrClientAuth means that a refresh token, which may well be good, is of a client that has to
// authenticate, and nobody did.
var ErrClientAuth = errors.New("the client of the refresh token has to authenticate")

// Why a refresh token is not valid.
var (
	errTokenForm    = fmt.Errorf("%w: by its form", ErrForged)
	errTokenSigned  = fmt.Errorf("%w: by its signature", ErrForged)
	errTokenKey     = fmt.Errorf("%w: of a key that is not ours, or no longer", ErrGrant)
	errTokenClaims  = fmt.Errorf("%w: by its claims, which we signed", ErrGrant)
	errClientGone   = fmt.Errorf("%w: its client, which had to authenticate, is no more", ErrGrant)
	errMoved        = fmt.Errorf("%w: not where it belongs, in its cookie or elsewhere", ErrGrant)
	errUnknown      = fmt.Errorf("%w: session unknown", ErrGrant)
	errForeign      = fmt.Errorf("%w: not of this session's user or client", ErrGrant)
	errRevoked      = fmt.Errorf("%w: session revoked", ErrGrant)
	errPending      = fmt.Errorf("%w: session was not opened yet", ErrGrant)
	errExpired      = fmt.Errorf("%w: session expired", ErrGrant)
	errIdle         = fmt.Errorf("%w: session was idle too long", ErrGrant)
	errReuse        = fmt.Errorf("%w: used before", ErrGrant)
	errStoreBehind  = fmt.Errorf("%w: ahead of the store, which lost writes", ErrGrant)
	errUntrusted    = fmt.Errorf("%w: the caller's issuer is not trusted any more", ErrDenied)
	errUnaccepted   = fmt.Errorf("%w: the caller does not satisfy what their trust asks of every token", ErrDenied)
	errPolicy       = fmt.Errorf("%w: today's policy says no", ErrGrant)
	errGraceExpired = fmt.Errorf("%w, and repeated after the grace period", errReuse)
)

// Presented is what a refresh token says that carries our signature.
type Presented struct {
	Session    Key
	UserID     string
	ClientID   string
	ClientAuth bool // its client has to authenticate
	Cookies    bool // it is good in its cookie alone
	Generation uint64
	Secret     [SecretSize]byte
}

// Fresh is what the next generation is made of.
type Fresh struct {
	Secret [SecretSize]byte
	KeyID  string
	// From is the address that the refresh comes from.
	From string
}

// Rotation are the rules by which refresh tokens follow each other.
type Rotation struct {
	// Grace is for how long after a rotation the token before may come again and
	// gets the same successor: an answer was lost, or two tabs asked at once.
	// 0 never. Where tokens live in cookies it counts from when the successor is known to
	// have arrived, and covers requests that were under way.
	Grace time.Duration
	// Permit asks today's policy about the row; a no ends the session.
	Permit func(*Session) error
}

// An Outcome is what presenting a refresh token did. Its zero value is no
// success.
type Outcome struct {
	// Kind is event.Refreshed, event.Retried, or the reason's event.
	Kind event.Kind
	// Err is nil where the session goes on, else it wraps ErrGrant.
	Err error
}

// Present is the transition of a row when a refresh token is presented at now.
// It is a pure function. What it stores is apart from its outcome: a detected
// reuse is stored and refused.
//
//	generation   secret     since rotation   outcome     stored
//	live         right                       refreshed   next generation
//	live - 1     previous   under Grace      retried     nothing
//	lower        otherwise                   reuse       session ended
//	live         wrong                       behind      session ended
//	higher                                   behind      session ended
//
// Of a session whose tokens live in cookies (Session.Cookies), live - 1 goes by when the
// live generation was confirmed, and not by a clock before that:
//
//	live         since rotation   since confirmation   outcome   stored
//	unconfirmed  under Grace / 2                       retried   nothing
//	unconfirmed  longer                                retried   the live generation, renewed
//	confirmed                     under Grace          retried   the same, by the time since rotation
//	confirmed                     longer               reuse     session ended
//
// A generation that is renewed keeps its number and its secret, and begins again: its tokens
// count from now, and today's key signs them. Presenting the live token proves that it
// arrived, and so do its access tokens (Confirm).
func (r *Rotation) Present(row Session, p *Presented, fresh *Fresh, now time.Time) (next Session, write bool, out Outcome) {
	if err := alive(&row, p, now); err != nil {
		return row, false, Outcome{Kind: event.Denied, Err: err}
	}
	if reason, out := r.misuse(&row, p, now); out.Err != nil {
		return end(row, now, reason, out)
	}
	if err := r.Permit(&row); err != nil {
		return end(row, now, EndPolicy, Outcome{Kind: event.Revoked, Err: fmt.Errorf("%w: %w", errPolicy, err)})
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

// retry answers the token before the live one, which is good. What a browser missed may be
// so old that its access token is over, or that the session is about to be, though somebody
// is there and uses it: then the live generation begins again.
func (r *Rotation) retry(row Session, fresh *Fresh, now time.Time) (next Session, write bool, out Outcome) {
	out = Outcome{Kind: event.Retried}
	if !row.Cookies || now.Sub(row.RotatedAt) < max(r.Grace/2, time.Millisecond) {
		return row, false, out
	}
	row.RotatedAt, row.KeyID = now, fresh.KeyID
	return row, true, out
}

// Confirm is the transition of a row when an access token of that generation was seen: if it
// is the live one, it arrived, and the refresh token before it is good for Grace from now on.
// It is a pure function.
func (r *Rotation) Confirm(row Session, generation uint64, now time.Time) (next Session, write bool) {
	if !row.Cookies || !row.Live(now) || generation != row.Generation || generation <= row.Confirmed {
		return row, false
	}
	row.Confirmed, row.ConfirmedAt = generation, now
	return row, true
}

// Inspect is the transition of a row when a refresh token is presented for anything else than a
// refresh. What proves a reuse, or a store that lost writes, is stored and refused as Present does
// it: nobody finds out whether a copied token is still good without that being noticed. Otherwise
// nothing is stored, and the zero Outcome means that the token is good.
func (r *Rotation) Inspect(row Session, p *Presented, now time.Time) (next Session, write bool, out Outcome) {
	if err := alive(&row, p, now); err != nil {
		return row, false, Outcome{Kind: event.Denied, Err: err}
	}
	if reason, out := r.misuse(&row, p, now); out.Err != nil {
		return end(row, now, reason, out)
	}
	return row, false, Outcome{}
}

// misuse returns why a token of a live row proves that its session is to be revoked; the zero
// Outcome where it is the live token, or the one before within Grace.
func (r *Rotation) misuse(row *Session, p *Presented, now time.Time) (EndReason, Outcome) {
	live, before := p.isLive(row), p.isBefore(row)
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

// isOver reports whether the grace period of the token before the live one is over.
func (r *Rotation) isOver(row *Session, now time.Time) bool {
	begin := row.RotatedAt
	if row.Cookies {
		if row.Confirmed < row.Generation {
			return false // for all that is known, nobody has the live one
		}
		begin = row.ConfirmedAt
	}
	return max(0, now.Sub(begin)) >= r.Grace
}

// alive returns why a token of this row is good for nothing before its generation
// is even looked at. A token that is of another user or client than the row
// ends nothing: it cannot be one that we minted from it.
func alive(row *Session, p *Presented, now time.Time) error {
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

// isLive reports whether it is the row's live refresh token.
func (p *Presented) isLive(row *Session) bool {
	return p.Generation == row.Generation && subtle.ConstantTimeCompare(row.Secret[:], p.Secret[:]) == 1
}

// isBefore reports whether it is the refresh token before the live one.
func (p *Presented) isBefore(row *Session) bool {
	return p.Generation+1 == row.Generation && subtle.ConstantTimeCompare(row.SecretPrev[:], p.Secret[:]) == 1
}

func end(row Session, now time.Time, reason EndReason, out Outcome) (Session, bool, Outcome) {
	row.RevokedAt, row.EndReason = now, reason
	return row, true, out
}
