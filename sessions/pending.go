package sessions

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"authsidecar/sessions/event"
)

// Pending is the state of a session that is handed over with a link, until the link is opened.
// Until then it has no tokens, does not count for MaxPerUser, and ends when the link expires
// (ExpiresAt).
type Pending struct {
	// Life is how long the session lives after it is opened.
	Life time.Duration
	// ByActor means that only its actor can open it, and must be signed in where they do.
	ByActor bool
	// ReturnTo is the path on the site that the browser is then sent to; "" for none.
	ReturnTo string
}

// ErrLink means that the code of a link is not valid, or no longer: one error for every reason,
// which is for the log only. ErrOpener means that the code may be valid, but the actor of the
// session is not signed in here.
var (
	ErrLink   = errors.New("link is not valid")
	ErrOpener = errors.New("the actor of the session is not signed in here")

	errLinkForm    = fmt.Errorf("%w: malformed", ErrLink)
	errLinkUnknown = fmt.Errorf("%w: session unknown", ErrLink)
	errLinkCode    = fmt.Errorf("%w: its code is wrong, or it was opened before", ErrLink)
	errLinkRevoked = fmt.Errorf("%w: session revoked", ErrLink)
	errLinkExpired = fmt.Errorf("%w: expired", ErrLink)
	errLinkPolicy  = fmt.Errorf("%w: the current policy denies it", ErrLink)
)

// An OpenRequest presents the code of a link.
type OpenRequest struct {
	Code string
	// By is the live session of the person who is signed in where the link is opened; nil if nobody
	// is.
	By *Session
	// IP is the address of the request.
	IP string
}

// An opening is one request that presents the code of a link while a Manager handles it.
type opening struct {
	*Manager
	req *OpenRequest
	key Key
	mac []byte

	returnTo string
}

// linkMACSize is the size of the MAC in a code, in bytes, and maxLinkID the maximum length of the
// id.
const (
	linkMACSize = 16
	maxLinkID   = 64
)

// linkOf returns the code of the link that opens a pending session: its id, and a MAC over the
// secret of its row. So neither a stolen database nor guessing opens a session, and the link
// becomes invalid once the row gets another secret.
func linkOf(s *Session, secret []byte) string {
	return s.ID + "." + base64.RawURLEncoding.EncodeToString(linkMAC(s, secret))
}

func linkMAC(s *Session, secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	writeParts(mac, "link", s.Realm, s.ID, string(s.Secret[:]))
	return mac.Sum(nil)[:linkMACSize]
}

// read parses the code of the request.
func (o *opening) read() error {
	id, text, ok := strings.Cut(o.req.Code, ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(mac) != linkMACSize || id == "" || len(id) > maxLinkID {
		return errLinkForm
	}
	o.key, o.mac = Key{Realm: o.Realm, ID: id}, mac
	return nil
}

// preview implements Manager.Linked.
func (o *opening) preview(ctx context.Context) (Session, error) {
	if err := o.read(); err != nil {
		return Session{}, err
	}
	row, err := o.Store.Get(ctx, o.key)
	if err != nil {
		return Session{}, o.readError(err)
	}
	if err := o.refusal(&row, o.Store.Now()); err != nil {
		return Session{}, err
	}
	if err := o.permit(&row); err != nil {
		return Session{}, fmt.Errorf("%w: %w", errLinkPolicy, err)
	}
	return row, nil
}

// open implements Manager.Open.
func (o *opening) open(ctx context.Context) (*Grant, error) {
	if err := o.read(); err != nil {
		return nil, err // the code belongs to no session, so there is nothing to report
	}
	if _, err := o.Store.Get(ctx, o.key); errors.Is(err, ErrNotFound) {
		return nil, errLinkUnknown // likewise: made-up codes must not fill the audit
	}
	signer, err := o.Minter.Keys.Refresh.Signing(o.Store.Now())
	if err != nil {
		return nil, fmt.Errorf("opening session: %w", err)
	}
	fresh := Fresh{KeyID: signer.ID(), From: o.req.IP}
	_, _ = rand.Read(fresh.Secret[:]) // never fails: it crashes the process instead
	if err := o.observer().Before(ctx, event.Opened, &Session{Realm: o.Realm, ID: o.key.ID, IP: o.req.IP}); err != nil {
		return nil, err
	}
	var now time.Time
	var out Outcome
	row, err := o.Store.Update(ctx, o.key, func(row Session, at time.Time) (next Session, write bool) {
		now = at
		next, write, out = o.present(row, &fresh, at)
		return next, write
	})
	if err != nil {
		row, out = Session{Realm: o.Realm, ID: o.key.ID}, Outcome{Kind: event.Failed, Err: o.readError(err)}
		if errors.Is(out.Err, ErrLink) {
			out.Kind = event.Denied
		}
	}
	return o.finish(ctx, &row, now, out)
}

// finish reports the outcome, and mints the tokens if the session was opened.
func (o *opening) finish(ctx context.Context, row *Session, now time.Time, out Outcome) (grant *Grant, err error) {
	happened := Event{Kind: out.Kind, Session: row, IP: o.req.IP, By: o.by(), Err: out.Err}
	if out.Err == nil {
		if grant, err = o.grant(row, now); err != nil {
			happened.Kind, happened.Err = event.Failed, err
		} else {
			grant.ReturnTo = o.returnTo
		}
	}
	o.Revocations.Remember(row)
	o.report(ctx, &happened)
	if happened.Err != nil {
		return nil, happened.Err
	}
	(&eviction{o.Manager, row}).enforce(ctx)
	return grant, nil
}

// by returns the person who is signed in where the link is opened.
func (o *opening) by() Principal {
	if o.req.By == nil {
		return Principal{}
	}
	return o.req.By.Actor
}

// readError returns the error for a row that a code names and that cannot be read.
func (o *opening) readError(err error) error {
	if errors.Is(err, ErrNotFound) {
		return errLinkUnknown
	}
	return fmt.Errorf("opening session: %w", err)
}

// present is the transition of a row when the code of its link is presented. Opening gives the row
// another secret, so that the code is no longer valid.
//
//	the code is that of the row,      outcome   stored
//	and it may be opened here         opened    the session begins
//	but the current policy refuses    revoked   session revoked
//	otherwise                         denied    nothing
func (o *opening) present(row Session, fresh *Fresh, now time.Time) (next Session, write bool, out Outcome) {
	if err := o.refusal(&row, now); err != nil {
		return row, false, Outcome{Kind: event.Denied, Err: err}
	}
	if err := o.permit(&row); err != nil {
		return revokeRow(row, now, EndPolicy, Outcome{Kind: event.Revoked, Err: fmt.Errorf("%w: %w", errLinkPolicy, err)})
	}
	if now.After(row.RotatedAt) {
		row.RotatedAt = now
	}
	o.returnTo, row.ExpiresAt = row.Pending.ReturnTo, row.RotatedAt.Add(row.Pending.Life)
	row.Generation++ // the first generation with tokens
	row.Secret, row.KeyID, row.RotatedFrom = fresh.Secret, fresh.KeyID, fresh.From
	row.Pending = nil
	return row, true, Outcome{Kind: event.Opened}
}

// permit applies the current policy to the row, as a refresh does.
func (o *opening) permit(row *Session) error {
	return (&presentation{Manager: o.Manager}).permit(row)
}

// refusal returns why the code does not open this row here; nil if it does.
func (o *opening) refusal(row *Session, now time.Time) error {
	switch {
	case row.Pending == nil || !hmac.Equal(o.mac, linkMAC(row, o.IDSecret)):
		return errLinkCode
	case !row.RevokedAt.IsZero() || o.revokedByCutoff(row):
		return errLinkRevoked
	case !row.Live(now):
		return errLinkExpired
	case row.Pending.ByActor && !o.actorIsHere(row):
		return ErrOpener
	default:
		return nil
	}
}

// actorIsHere reports whether the person who is signed in is the actor of the row, under any
// spelling of their issuer.
func (o *opening) actorIsHere(row *Session) bool {
	here := o.req.By
	if here == nil || here.Impersonation || here.Actor.Subject != row.Actor.Subject {
		return false
	}
	is, was := o.trust(here.Actor.Issuer), o.trust(row.Actor.Issuer)
	return is != nil && was != nil && is.Name == was.Name
}
