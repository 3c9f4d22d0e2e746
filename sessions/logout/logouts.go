package logout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"authsidecar/sessions"
)

// Logouts end sessions of a realm when issuers say so. It is safe for concurrent use.
type Logouts struct {
	// Manager ends them. Its store may be set later, before the first notice.
	Manager *sessions.Manager
	// Listens are the issuers that say so, by what rules call them: callers of no other are
	// held against marks.
	Listens func(trust string) bool

	seen seen
}

// An Outcome is what came of a notice.
type Outcome struct {
	// Ended is how many sessions ended by it, and Found how many it was about: those that had
	// ended already are not found again.
	Ended, Found int
	// Logged means that it was to be logged alone.
	Logged bool
	// Repeated means that the same notice, or a later one of the same, was here before.
	Repeated bool
}

// ErrNoStore means that the store takes no part in logouts.
var ErrNoStore = fmt.Errorf("%w: the store takes no part in logouts", sessions.ErrUnavailable)

const (
	// pageSize is how many rows are read at once, and atOnce how many are ended at once.
	pageSize = 100
	atOnce   = 32
	// timeout bounds how long a notice takes: its sender may send it again.
	timeout = 25 * time.Second
)

// Apply ends what the notice says. When it returns, the marks are durable and the sessions are
// over, with their access tokens, on this node; the others hear of it by their feed. The same
// notice may come again: what it says is done already. An error wraps sessions.ErrUnavailable:
// then it should come again.
func (l *Logouts) Apply(ctx context.Context, n *Notice) (out Outcome, err error) {
	if n.Action == Log {
		return Outcome{Logged: true}, nil
	}
	store, ok := sessions.As[Store](l.Manager.Store)
	if !ok {
		return out, ErrNoStore
	}
	// Sessions end although the issuer hangs up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	a := application{Logouts: l, store: store, Notice: n, found: make(map[string]bool), users: make(map[string]bool)}
	if err := a.mark(ctx); err != nil {
		return out, fmt.Errorf("storing marks: %w", err)
	}
	err = a.run(ctx)
	return a.out, err
}

// An application is a notice at work.
type application struct {
	*Logouts
	*Notice
	store Store
	found map[string]bool // ids
	users map[string]bool // whose account it is
	out   Outcome
}

// mark stores the marks of the notice, and looks whether they were there.
func (a *application) mark(ctx context.Context) error {
	marks := a.marks(a.Manager.Store.Now())
	names := make([]string, len(marks))
	for i := range marks {
		names[i] = marks[i].Name
	}
	there, err := a.store.Marks(ctx, a.Manager.Realm, names)
	if err != nil {
		return err
	}
	there = slices.DeleteFunc(there, func(m Mark) bool { return m.At.Before(a.At) })
	a.out.Repeated = len(there) == len(marks)
	return a.store.Mark(ctx, a.Manager.Realm, marks)
}

func (a *application) run(ctx context.Context) error {
	for _, issuer := range a.Issuers {
		if err := a.runFor(ctx, issuer); err != nil {
			return err
		}
	}
	if !a.Account {
		return nil
	}
	if a.UserID != "" {
		a.users[a.UserID] = true
	}
	yes := true
	for user := range a.users {
		if err := a.list(ctx, sessions.Query{User: user, Impersonations: &yes}, a.isOf); err != nil {
			return err
		}
	}
	return nil
}

// runFor ends what one name of the issuer finds.
func (a *application) runFor(ctx context.Context, issuer string) error {
	if a.SID != "" {
		if err := a.named(ctx, sidName(issuer, a.SID)); err != nil {
			return err
		}
	}
	if a.Subject != "" {
		if err := a.named(ctx, subjectName(issuer, a.Subject)); err != nil {
			return err
		}
	}
	no := false
	for _, subject := range []string{a.Subject, a.User} {
		if subject == "" {
			continue
		}
		err := a.list(ctx, sessions.Query{User: subject, Impersonations: &no}, a.ends)
		if err == nil {
			err = a.list(ctx, sessions.Query{Actor: &sessions.Principal{Issuer: issuer, Subject: subject}}, a.ends)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isOf reports whether the account's end is one of an impersonation of its user: one that
// begins afterwards is the policy's affair.
func (a *application) isOf(s *sessions.Session) bool {
	return s.Impersonation && a.users[s.UserID] && !s.CreatedAt.After(a.At.Add(time.Minute))
}

func (a *application) named(ctx context.Context, name string) error {
	err := a.store.Named(ctx, a.Manager.Realm, name, func(rows []sessions.Session) error { return a.end(ctx, rows, a.ends) })
	if err != nil {
		return fmt.Errorf("ending sessions by a name: %w", err)
	}
	return nil
}

// list ends the sessions of all pages of a query.
func (a *application) list(ctx context.Context, q sessions.Query, ends func(*sessions.Session) bool) error {
	q.Realm, q.Limit = a.Manager.Realm, pageSize
	for {
		page, err := a.Manager.Store.List(ctx, q)
		if err != nil {
			return fmt.Errorf("finding sessions: %w", err)
		}
		if err := a.end(ctx, page.Sessions, ends); err != nil {
			return err
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

// end ends those rows that the notice is about, together, so that they become durable
// together.
func (a *application) end(ctx context.Context, rows []sessions.Session, ends func(*sessions.Session) bool) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	now := a.Manager.Store.Now()
	by := sessions.Event{By: sessions.Principal{Issuer: a.Issuer}, IP: a.IP, JTI: a.JTI}
	for i := range rows {
		s := &rows[i]
		if !s.Impersonation && a.isFrom(s) && a.names(s) {
			a.users[s.UserID] = true
		}
		if a.found[s.ID] || !s.Live(now) || !ends(s) {
			continue
		}
		a.found[s.ID] = true
		a.out.Found++
		group.Go(func() error {
			err := a.Manager.RevokeFor(ctx, s.Key(), EndLogout, &by)
			if errors.Is(err, sessions.ErrNotFound) {
				return nil // it was swept
			}
			return err
		})
	}
	err := group.Wait()
	if err == nil {
		a.out.Ended = a.out.Found
	}
	return err
}
