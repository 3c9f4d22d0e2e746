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

// Pending is what a session that is handed over by a link waits with, until somebody opens
// the link. Until then it has no tokens and does not count for MaxPerUser, and it ends when
// the link does: ExpiresAt.
type Pending struct {
	// Life is how long the session lives once it is opened.
	Life time.Duration
	// ByActor means that it is opened where its actor is signed in, and nowhere else.
	ByActor bool
	// ReturnTo is where the browser goes then: a path of the site, "" for none.
	ReturnTo string
}

// ErrLink means that the code of a link opens nothing, or no more: one error for every
// reason, which is for the log. ErrOpener means that it may well, but not here: its actor
// has to be signed in.
var (
	ErrLink   = errors.New("link is not valid")
	ErrOpener = errors.New("the actor of the session is not signed in here")

	errLinkForm    = fmt.Errorf("%w: by its form", ErrLink)
	errLinkUnknown = fmt.Errorf("%w: session unknown", ErrLink)
	errLinkCode    = fmt.Errorf("%w: by its code, or opened before", ErrLink)
	errLinkRevoked = fmt.Errorf("%w: session revoked", ErrLink)
	errLinkExpired = fmt.Errorf("%w: too late", ErrLink)
	errLinkPolicy  = fmt.Errorf("%w: today's policy says no", ErrLink)
)

// An OpenRequest presents the code of a link.
type OpenRequest struct {
	Code string
	// By is the live session of whoever is signed in where the link is opened; nil for nobody.
	By *Session
	// IP is the address that the request comes from.
	IP string
}

// An opening is one request that presents the code of a link, on its way through a Manager.
type opening struct {
	*Manager
	req *OpenRequest
	key Key
	mac []byte

	returnTo string
}

// linkMACSize is how many bytes of the MAC are in a code, and maxLinkID how long the id in one
// may be.
const (
	linkMACSize = 16
	maxLinkID   = 64
)

// linkOf returns the code of the link that opens a pending session: its id, and a MAC over the
// secret of its row. So neither a stolen database nor a guess opens anything, and whatever
// gives the row another secret ends the link.
func linkOf(s *Session, secret []byte) string {
	return s.ID + "." + base64.RawURLEncoding.EncodeToString(linkMAC(s, secret))
}

func linkMAC(s *Session, secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	writeParts(mac, "link", s.Realm, s.ID, string(s.Secret[:]))
	return mac.Sum(nil)[:linkMACSize]
}

// read reads the code of the request.
func (o *opening) read() error {
	id, text, ok := strings.Cut(o.req.Code, ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(mac) != linkMACSize || id == "" || len(id) > maxLinkID {
		return errLinkForm
	}
	o.key, o.mac = Key{Realm: o.Realm, ID: id}, mac
	return nil
}

// look does what Manager.Linked says.
func (o *opening) look(ctx context.Context) (Session, error) {
	if err := o.read(); err != nil {
		return Session{}, err
	}
	row, err := o.Store.Get(ctx, o.key)
	if err != nil {
		return Session{}, o.unread(err)
	}
	if err := o.refusal(&row, o.Store.Now()); err != nil {
		return Session{}, err
	}
	if err := o.permit(&row); err != nil {
		return Session{}, fmt.Errorf("%w: %w", errLinkPolicy, err)
	}
	return row, nil
}

// open does what Manager.Open says.
func (o *opening) open(ctx context.Context) (*Grant, error) {
	if err := o.read(); err != nil {
		return nil, err // of no session: nothing happened to any
	}
	if _, err := o.Store.Get(ctx, o.key); errors.Is(err, ErrNotFound) {
		return nil, errLinkUnknown // the same: whoever makes up codes fills no audit
	}
	signer, err := o.Minter.Keys.Refresh.Signing(o.Store.Now())
	if err != nil {
		return nil, fmt.Errorf("opening session: %w", err)
	}
	fresh := Fresh{KeyID: signer.ID(), From: o.req.IP}
	_, _ = rand.Read(fresh.Secret[:]) // it never fails: it ends the process instead
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
		row, out = Session{Realm: o.Realm, ID: o.key.ID}, Outcome{Kind: event.Failed, Err: o.unread(err)}
		if errors.Is(out.Err, ErrLink) {
			out.Kind = event.Denied
		}
	}
	return o.opened(ctx, &row, now, out)
}

// opened reports what came of it, and mints the tokens of what was opened.
func (o *opening) opened(ctx context.Context, row *Session, now time.Time, out Outcome) (grant *Grant, err error) {
	happened := Event{Kind: out.Kind, Session: row, IP: o.req.IP, By: o.by(), Err: out.Err}
	if out.Err == nil {
		if grant, err = o.grant(row, now); err != nil {
			happened.Kind, happened.Err = event.Failed, err
		} else {
			grant.ReturnTo = o.returnTo
		}
	}
	o.revocations().Remember(row)
	o.report(ctx, &happened)
	if happened.Err != nil {
		return nil, happened.Err
	}
	(&eviction{o.Manager, row}).enforce(ctx)
	return grant, nil
}

// by is whoever is signed in where the link is opened.
func (o *opening) by() Principal {
	if o.req.By == nil {
		return Principal{}
	}
	return o.req.By.Actor
}

// unread is the error of a row that a code names and that cannot be had.
func (o *opening) unread(err error) error {
	if errors.Is(err, ErrNotFound) {
		return errLinkUnknown
	}
	return fmt.Errorf("opening session: %w", err)
}

// present is the transition of a row when the code of its link is presented to open it. Once
// it did, the row has another secret, and the code is that of no row.
//
//	the code is of the row        outcome   stored
//	and it may be opened here     opened    the session, which begins its life
//	but today's policy says no    revoked   session ended
//	otherwise                     denied    nothing
func (o *opening) present(row Session, fresh *Fresh, now time.Time) (next Session, write bool, out Outcome) {
	if err := o.refusal(&row, now); err != nil {
		return row, false, Outcome{Kind: event.Denied, Err: err}
	}
	if err := o.permit(&row); err != nil {
		return end(row, now, EndPolicy, Outcome{Kind: event.Revoked, Err: fmt.Errorf("%w: %w", errLinkPolicy, err)})
	}
	if now.After(row.RotatedAt) {
		row.RotatedAt = now
	}
	o.returnTo, row.ExpiresAt = row.Pending.ReturnTo, row.RotatedAt.Add(row.Pending.Life)
	row.Generation++ // the first that has tokens
	row.Secret, row.KeyID, row.RotatedFrom = fresh.Secret, fresh.KeyID, fresh.From
	row.Pending = nil
	return row, true, Outcome{Kind: event.Opened}
}

// permit asks today's policy about the row, as a refresh does.
func (o *opening) permit(row *Session) error {
	return (&presentation{Manager: o.Manager}).permit(row)
}

// refusal reports why a code does not open this row here.
func (o *opening) refusal(row *Session, now time.Time) error {
	switch {
	case row.Pending == nil || !hmac.Equal(o.mac, linkMAC(row, o.IDSecret)):
		return errLinkCode
	case !row.RevokedAt.IsZero() || o.cutOff(row):
		return errLinkRevoked
	case !row.Live(now):
		return errLinkExpired
	case row.Pending.ByActor && !o.actorIsHere(row):
		return ErrOpener
	default:
		return nil
	}
}

// actorIsHere reports whether whoever is signed in is the actor of the row, by whichever
// spelling of their issuer.
func (o *opening) actorIsHere(row *Session) bool {
	here := o.req.By
	if here == nil || here.Impersonation || here.Actor.Subject != row.Actor.Subject {
		return false
	}
	is, was := o.trust(here.Actor.Issuer), o.trust(row.Actor.Issuer)
	return is != nil && was != nil && is.Name == was.Name
}
