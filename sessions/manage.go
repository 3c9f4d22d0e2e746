package sessions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// scanPages limits how much of the store one request reads, for filters that match few of the
// sessions read.
const scanPages = 10

// RightsOf returns what the caller, who sends the request from ip, may manage. An actor is not the
// user, and may manage nothing: ErrForbidden.
func (m *Manager) RightsOf(c *Caller, ip string) (*Rights, error) {
	if c.Acting {
		return nil, ErrForbidden
	}
	r := &Rights{caller: c, ip: ip}
	if c.Own || c.IsUser() {
		r.user = c.Subject
	}
	for i := range m.Manage {
		if m.Manage[i].From == c.From() && m.Manage[i].mayHold(c) {
			r.manage = append(r.manage, m.Manage[i])
		}
	}
	return r, nil
}

// ConsoleCaller returns the caller who signed in at the console (Minter.Console), given their live
// session there. The caller has the claims that were recorded at sign-in, so the rules of allow and
// manage apply to them for a day. The error is ErrSignInAgain after that, and ErrForbidden if it is
// not a session of the console or its issuer is no longer trusted.
func (m *Manager) ConsoleCaller(s *Session) (*Caller, error) {
	trust := m.trust(s.Actor.Issuer)
	switch {
	case !m.isConsoleSession(s) || s.Impersonation || trust == nil:
		return nil, ErrForbidden
	case m.Store.Now().Sub(s.CreatedAt) > consoleAge:
		return nil, ErrSignInAgain
	}
	c := m.Policy.recorded(s, trust)
	if !trust.Accepts(c) {
		return nil, ErrForbidden
	}
	c.User = trust.IsUserOf(c)
	return c, nil
}

// MayAct reports whether there may be users for whom the caller can have a session, judging by the
// caller alone.
func (m *Manager) MayAct(c *Caller) bool { return !c.Own && !c.Acting && m.Policy.mayAllow(c) }

// adminSubject stands in events for the operator who revoked a session. It has no issuer, so no
// caller has the same name.
const adminSubject = "admin"

// Operator returns the rights of the server's operator: over every session of the realm. Events
// name adminSubject as the one who revoked. An empty filter lists all sessions.
func (m *Manager) Operator() *Rights {
	return &Rights{operator: true, caller: &Caller{Principal: Principal{Subject: adminSubject}}}
}

// LinkAgain returns the link of a pending session that the caller created; for any other session it
// returns ErrNotFound.
func (m *Manager) LinkAgain(ctx context.Context, r *Rights, id string) (*Grant, error) {
	s, err := m.Get(ctx, r, id)
	switch {
	case err != nil:
		return nil, err
	case s.Pending == nil || s.Actor != r.caller.Principal:
		return nil, ErrNotFound
	}
	return m.grant(&s, m.Store.Now())
}

// listing returns the listing of this realm.
func (m *Manager) listing() listing { return listing{m.Store, m.Realm, m.IDSecret} }

// List returns a page of the live sessions that the filter selects and the caller may see, newest
// first. A page may have fewer than limit sessions, or none, and still have a Next: to get all
// sessions, continue until Next is empty.
func (m *Manager) List(ctx context.Context, r *Rights, f Filter, cursor string, limit int) (found Page, err error) {
	missing := func() int { return limit - len(found.Sessions) }
	found.Next, err = (&selection{m, r, f}).walk(ctx, cursor, scanPages, missing, time.Time{}, func(s *Session) { found.Sessions = append(found.Sessions, *s) })
	if err != nil {
		return Page{}, err
	}
	return found, nil
}

// Get returns a live session that the caller may see. For any other it returns ErrNotFound, so that
// callers do not learn which ids exist.
func (m *Manager) Get(ctx context.Context, r *Rights, id string) (Session, error) {
	s, err := m.Store.Get(ctx, Key{Realm: m.Realm, ID: id})
	if err != nil {
		return Session{}, fmt.Errorf("reading session: %w", err)
	}
	if !m.isLive(&s, m.Store.Now()) || !r.Over(&s) {
		return Session{}, ErrNotFound
	}
	return s, nil
}

// Revoke revokes a live session that the caller may revoke. For any other it returns ErrNotFound.
func (m *Manager) Revoke(ctx context.Context, r *Rights, id string) error {
	s, err := m.Get(ctx, r, id)
	if err != nil {
		return err
	}
	return m.revokeFor(ctx, s.Key(), EndRevoked, r.by())
}

// RevokeAll revokes all live sessions that the filter selects and the caller may revoke.
//
// If the caller may revoke everything that the filter selects, a cutoff revokes it all at once,
// including sessions whose rows were not read. Then one page is counted, and its rows are revoked
// if that is all; otherwise revocation.Watcher.SweepCutoffs revokes the rows in the background. Use
// dryRun to count all of them.
//
// Otherwise each session is decided on its own, and the request revokes a part of them: repeat it
// with the Next of the response. A filter that names nothing gives ErrForbidden, an invalid cursor
// ErrBadCursor.
func (m *Manager) RevokeAll(ctx context.Context, r *Rights, f Filter, cursor string, dryRun bool) (Revocation, error) {
	if f.Empty() {
		return Revocation{}, ErrForbidden
	}
	whole := !dryRun && m.Revocations.KeepsCutoffs() && r.overAll(&f)
	if whole && cursor != "" {
		return Revocation{}, ErrBadCursor // a cutoff cannot be continued: it also revokes what came before the cursor
	}
	pages := revokeScan
	if whole {
		pages = 1
	}
	selected, next, err := (&selection{m, r, f}).revocable(ctx, cursor, pages)
	if err != nil {
		return Revocation{}, err
	}
	done := Revocation{Revoked: len(selected), More: next != "", Next: next}
	if dryRun {
		return done, nil
	}
	if whole {
		if err := m.Revocations.AddCutoff(ctx, m.Realm, f, r.caller.Principal); err != nil {
			return Revocation{}, err
		}
		if done.Next = ""; done.More {
			return done, nil
		}
	}
	if n, err := m.revokeEach(ctx, selected, revokeJoin, EndRevoked, r.by()); err != nil {
		return Revocation{Revoked: n, More: true}, err
	}
	return done, nil
}

// revokeEach revokes sessions, atOnce at a time, until one fails, and returns how many it revoked,
// including those that no longer exist.
func (m *Manager) revokeEach(ctx context.Context, keys []Key, atOnce int, reason EndReason, by revoker) (int, error) {
	var group sync.WaitGroup
	var next, ended atomic.Int64
	failed := make(chan error, atOnce)
	for range min(len(keys), atOnce) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(keys)) && len(failed) == 0; i = next.Add(1) - 1 {
				if err := m.revokeFor(ctx, keys[i], reason, by); err != nil && !errors.Is(err, ErrNotFound) {
					failed <- err
					return
				}
				ended.Add(1)
			}
		})
	}
	group.Wait()
	close(failed)
	return int(ended.Load()), <-failed
}

// RevokeRows revokes the rows that a bulk revocation selects, atOnce at a time, on behalf of by,
// whose right was checked before. It stops at the first error, and returns how many rows it revoked
// or found gone.
func (m *Manager) RevokeRows(ctx context.Context, keys []Key, atOnce int, by Principal) (int, error) {
	return m.revokeEach(ctx, keys, atOnce, EndRevoked, revoker{by: by})
}

// Linked returns the pending session that a link opens, without opening it. The errors are those of
// Open.
func (m *Manager) Linked(ctx context.Context, req *OpenRequest) (Session, error) {
	return (&opening{Manager: m, req: req}).preview(ctx)
}

// Open opens a pending session with the code of its link, which works once: the session begins, and
// gets tokens. The current policy is applied to what the row recorded of the caller; if it refuses,
// the session is revoked. The errors wrap ErrLink if the link is not valid, ErrOpener if it is not
// valid in this browser, and ErrUnavailable or keyring.ErrNoKey if that is unknown.
func (m *Manager) Open(ctx context.Context, req *OpenRequest) (*Grant, error) {
	return (&opening{Manager: m, req: req}).open(ctx)
}

// CurrentOf returns the live session of one of our access tokens.
func (m *Manager) CurrentOf(ctx context.Context, c *Caller) (Session, error) {
	s, err := m.Store.Get(ctx, Key{Realm: m.Realm, ID: c.SessionID})
	if err != nil {
		return Session{}, fmt.Errorf("reading session: %w", err)
	}
	if !c.Own || !m.isLive(&s, m.Store.Now()) || s.UserID != c.Subject || s.Pending != nil {
		return Session{}, ErrNotFound
	}
	return s, nil
}

// SignOut revokes the session whose holder presented one of its tokens, from ip.
func (m *Manager) SignOut(ctx context.Context, s *Session, ip string) error {
	holder := s.Actor
	if !s.Impersonation {
		holder = Principal{Issuer: m.Realm, Subject: s.UserID}
	}
	return m.revokeFor(ctx, s.Key(), EndRevoked, revoker{by: holder, ip: ip})
}

// Confirm records that the client has received an access token of ours, so that from now on the
// previous refresh token is valid only for the grace period: see Rotation. Call it for tokens that
// a request presented, never for those in its response. It does nothing unless the caller is
// Unconfirmed; of concurrent calls, one records. After an error, which wraps ErrUnavailable, the
// caller is Unconfirmed again.
func (m *Manager) Confirm(ctx context.Context, c *Caller) error {
	if c.Arrived == nil || !c.Arrived.CompareAndSwap(false, true) {
		return nil
	}
	var rules Rotation
	row, err := m.Store.Update(ctx, m.Ref(c).Key, func(row Session, now time.Time) (next Session, write bool) {
		return rules.Confirm(row, c.Generation, now)
	})
	switch {
	case err == nil:
		m.Revocations.Remember(&row)
	case !errors.Is(err, ErrNotFound):
		c.Arrived.Store(false)
		return fmt.Errorf("confirming generation: %w", err)
	}
	return nil
}
