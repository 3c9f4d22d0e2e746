package sessions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// scanPages bounds how much of the store one request reads, so that a filter that
// selects little of what the caller may see costs little.
const scanPages = 10

// RightsOf returns what the caller, who asks from ip, may manage. Who acts for a
// user is not the user, and may manage nothing: ErrForbidden.
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

// ConsoleCaller returns who signed in at the console (Minter.Console), by a live session of theirs,
// with the claims that it recorded then, and so what rules they are asked: they have for a day what
// allow and manage give them. The errors are ErrSignInAgain, and ErrForbidden where the session is
// of no console, or its issuer is not trusted with its caller any more.
func (m *Manager) ConsoleCaller(s *Session) (*Caller, error) {
	trust := m.trust(s.Actor.Issuer)
	switch {
	case !m.ofConsole(s) || s.Impersonation || trust == nil:
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

// MayAct reports whether there are users for whom the caller may have a session, as far as that can
// be said of none of them.
func (m *Manager) MayAct(c *Caller) bool { return !c.Own && !c.Acting && m.Policy.mayAllow(c) }

// adminSubject is who ended a session, in events, where the operator
// did. It has no issuer, so that no caller has this name.
const adminSubject = "admin"

// Operator returns the rights of the operator of the server: over every session of the
// realm. What it ends is ended by adminSubject. A filter that names nothing lists all.
func (m *Manager) Operator() *Rights {
	return &Rights{
		operator: true,
		caller:   &Caller{Principal: Principal{Subject: adminSubject}},
		manage:   []Rule{{Name: adminSubject, When: everySession{}}},
	}
}

// LinkAgain returns the link of a pending session that the caller asked for: ErrNotFound for every
// other one.
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

// listing reads what the store has of this realm.
func (m *Manager) listing() listing { return listing{m.Store, m.Realm, m.IDSecret} }

// List returns a page of the live sessions that the filter selects and the caller
// may see, newest first. It can be shorter than limit, and even empty, with a Next:
// callers who want all of them go on from there.
func (m *Manager) List(ctx context.Context, r *Rights, f Filter, cursor string, limit int) (found Page, err error) {
	missing := func() int { return limit - len(found.Sessions) }
	found.Next, err = (&selection{m, r, f}).walk(ctx, cursor, scanPages, missing, time.Time{}, func(s *Session) { found.Sessions = append(found.Sessions, *s) })
	if err != nil {
		return Page{}, err
	}
	return found, nil
}

// Get returns a live session that the caller may see. Every other one is
// ErrNotFound, so that callers do not learn which ids exist.
func (m *Manager) Get(ctx context.Context, r *Rights, id string) (Session, error) {
	s, err := m.Store.Get(ctx, Key{Realm: m.Realm, ID: id})
	if err != nil {
		return Session{}, fmt.Errorf("reading session: %w", err)
	}
	if !m.live(&s, m.Store.Now()) || !r.Over(&s) {
		return Session{}, ErrNotFound
	}
	return s, nil
}

// Revoke ends a live session that the caller may end; every other one is
// ErrNotFound.
func (m *Manager) Revoke(ctx context.Context, r *Rights, id string) error {
	s, err := m.Get(ctx, r, id)
	if err != nil {
		return err
	}
	return m.end(ctx, s.Key(), EndRevoked, r.by())
}

// A Revocation is what came of ending many sessions.
type Revocation struct {
	// Revoked is how many sessions were ended; with dry run, would be.
	Revoked int
	// More means that there are more than were counted. Without a Next they are over
	// already.
	More bool
	// Next is the cursor to go on from, where the request is to be sent again with it.
	Next string
}

// revokeStep is how many sessions one request ends or counts at the most, and
// revokeScan how many pages of sessions are read for that.
const (
	revokeStep = 1000
	revokeScan = 200
	revokePage = 100 // rows of a page
	revokeJoin = 16  // rows that are revoked together: they share what a commit costs
)

// RevokeAll ends all live sessions that the filter selects and the caller may
// end. Where they may end whatever it selects, a cutoff revokes them all at once, also
// those of which no row was found. One page of them is counted, and their rows are revoked
// if there are no more; else that is left to revocation.Watcher.SweepCutoffs: nobody waits
// for it. To count them all is what dryRun is for. Else the caller's right is decided for each, and the
// request ends a part of them: the next one goes on from the Next of its answer. A
// filter that names nothing is ErrForbidden; a cursor of anything else ErrBadCursor.
func (m *Manager) RevokeAll(ctx context.Context, r *Rights, f Filter, cursor string, dryRun bool) (Revocation, error) {
	if f.Empty() {
		return Revocation{}, ErrForbidden
	}
	whole := !dryRun && m.revocations().KeepsCutoffs() && r.overAll(&f)
	if whole && cursor != "" {
		return Revocation{}, ErrBadCursor // there is no going on: a cutoff ends what is before it, too
	}
	pages := revokeScan
	if whole {
		pages = 1
	}
	selected, next, err := m.endable(ctx, r, f, cursor, pages)
	if err != nil {
		return Revocation{}, err
	}
	done := Revocation{Revoked: len(selected), More: next != "", Next: next}
	if dryRun {
		return done, nil
	}
	if whole {
		if err := m.revocations().AddCutoff(ctx, m.Realm, f, r.caller.Principal); err != nil {
			return Revocation{}, err
		}
		if done.Next = ""; done.More {
			return done, nil
		}
	}
	if n, err := m.endEach(ctx, selected, revokeJoin, EndRevoked, r.by()); err != nil {
		return Revocation{Revoked: n, More: true}, err
	}
	return done, nil
}

// endEach ends sessions, atOnce at a time, until one cannot be ended, and returns how many it ended.
// Those that are gone count.
func (m *Manager) endEach(ctx context.Context, keys []Key, atOnce int, reason EndReason, by ender) (int, error) {
	var group sync.WaitGroup
	var next, ended atomic.Int64
	failed := make(chan error, atOnce)
	for range min(len(keys), atOnce) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(keys)) && len(failed) == 0; i = next.Add(1) - 1 {
				if err := m.end(ctx, keys[i], reason, by); err != nil && !errors.Is(err, ErrNotFound) {
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

// RevokeRows revokes sessions, so many at once, on behalf of by, whose right to do that was decided
// before: a bulk revocation revokes the rows that it selects. It returns how many it revoked, or found
// gone, until an error.
func (m *Manager) RevokeRows(ctx context.Context, keys []Key, atOnce int, by Principal) (int, error) {
	return m.endEach(ctx, keys, atOnce, EndRevoked, ender{by: by})
}

// endable returns the keys of live sessions that the filter selects and the caller
// may end: of whole pages, until there are revokeStep or that many pages were read. next
// is the cursor of the page after these.
func (m *Manager) endable(ctx context.Context, r *Rights, f Filter, cursor string, pages int) (keys []Key, next string, err error) {
	rows := func() int {
		if len(keys)+revokePage > revokeStep {
			return 0
		}
		return revokePage
	}
	over := m.revocations().RevokedUntil(m.Realm, &f)
	next, err = (&selection{m, r, f}).walk(ctx, cursor, pages, rows, over, func(s *Session) { keys = append(keys, s.Key()) })
	return keys, next, err
}

// Linked returns the pending session that a link opens, and opens nothing. The errors are those
// of Open.
func (m *Manager) Linked(ctx context.Context, req *OpenRequest) (Session, error) {
	return (&opening{Manager: m, req: req}).look(ctx)
}

// Open opens a pending session by its link, once: its life begins, and it has tokens from now
// on. Today's policy is asked again with what the row recorded of the caller; a no ends the
// session. The errors wrap ErrLink where the link is good for nothing, ErrOpener where it is not
// good in this browser, and ErrUnavailable or keyring.ErrNoKey where that is unknown.
func (m *Manager) Open(ctx context.Context, req *OpenRequest) (*Grant, error) {
	return (&opening{Manager: m, req: req}).open(ctx)
}

// CurrentOf returns the live session that an access token of ours is of.
func (m *Manager) CurrentOf(ctx context.Context, c *Caller) (Session, error) {
	s, err := m.Store.Get(ctx, Key{Realm: m.Realm, ID: c.SessionID})
	if err != nil {
		return Session{}, fmt.Errorf("reading session: %w", err)
	}
	if !c.Own || !m.live(&s, m.Store.Now()) || s.UserID != c.Subject || s.Pending != nil {
		return Session{}, ErrNotFound
	}
	return s, nil
}

// SignOut ends the session that its holder presented a token of, from ip.
func (m *Manager) SignOut(ctx context.Context, s *Session, ip string) error {
	holder := s.Actor
	if !s.Impersonation {
		holder = Principal{Issuer: m.Realm, Subject: s.UserID}
	}
	return m.end(ctx, s.Key(), EndRevoked, ender{by: holder, ip: ip})
}

// Confirm writes down that an access token of ours arrived where it was sent, so that the
// refresh token of the generation before is good for the grace period from now on, and not
// longer: see Rotation. It is for tokens that a request brought, never for those that its
// answer is to bring. It does nothing unless the caller is Unconfirmed, and of several at once
// one does it; after an error, which wraps ErrUnavailable, the caller is Unconfirmed again.
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
		m.revocations().Remember(&row)
	case !errors.Is(err, ErrNotFound):
		c.Arrived.Store(false)
		return fmt.Errorf("confirming generation: %w", err)
	}
	return nil
}
