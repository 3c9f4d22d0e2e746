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

// Logouts revoke sessions of a realm when issuers report it. It is safe for concurrent use.
type Logouts struct {
	// Manager revokes them. Its store may be set later, before the first notice.
	Manager *sessions.Manager
	// Listens reports whether an issuer, by its name in rules, sends notices. Only callers of such
	// issuers are checked for marks.
	Listens func(trust string) bool

	seen seen
}

// An Outcome is the result of a notice.
type Outcome struct {
	// Ended is how many sessions it revoked, and Found how many it applied to. Sessions that had
	// ended before are not counted again.
	Ended, Found int
	// Logged means that the notice was only to be logged.
	Logged bool
	// Repeated means that the same or a later notice for the same was applied before.
	Repeated bool
}

// ErrNoStore means that the store does not support logouts.
var ErrNoStore = fmt.Errorf("%w: the store does not support logouts", sessions.ErrUnavailable)

const (
	// pageSize is how many rows are read at a time, and atOnce how many are revoked concurrently.
	pageSize = 100
	atOnce   = 32
	// timeout limits how long a notice takes; its sender may send it again.
	timeout = 25 * time.Second
)

// Apply applies a notice. When it returns, the marks are durable, and the sessions and their access
// tokens are revoked on this node; other nodes learn it from their feed. Applying a notice again is
// harmless. An error wraps sessions.ErrUnavailable: the notice should be sent again.
func (l *Logouts) Apply(ctx context.Context, n *Notice) (out Outcome, err error) {
	if n.Action == Log {
		return Outcome{Logged: true}, nil
	}
	store, ok := sessions.As[Store](l.Manager.Store)
	if !ok {
		return out, ErrNoStore
	}
	// Revoke the sessions even if the issuer disconnects.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	a := application{Logouts: l, store: store, Notice: n, found: make(map[string]bool), users: make(map[string]bool)}
	if err := a.mark(ctx); err != nil {
		return out, fmt.Errorf("storing marks: %w", err)
	}
	err = a.run(ctx)
	return a.out, err
}

// An application is a notice that is being applied.
type application struct {
	*Logouts
	*Notice
	store Store
	found map[string]bool // ids
	users map[string]bool // the users of the account
	out   Outcome
}

// mark stores the marks of the notice, and checks whether they existed before.
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

// runFor revokes what is found by one name of the issuer.
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

// isOf reports whether the session is an impersonation of a user whose account is over. For one
// that began later, the policy decides.
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

// list revokes the sessions on all pages of a query.
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

// end revokes the rows that the notice applies to, concurrently, so that they share a commit.
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
				return nil // it has been swept
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
