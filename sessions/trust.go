package sessions

import (
	"context"
	"errors"
	"slices"

	"authsidecar/sessions/event"
)

// A Trust is what a configuration says of the callers of an issuer, apart from how their
// tokens are verified.
type Trust struct {
	// Name is what rules call the issuer (Rule.From): one name for all of its spellings,
	// and one for each of its tenants.
	Name string
	// Users reports whether the issuer's subjects are this app's user ids, and UsersWhen
	// of which callers alone; nil: of all.
	Users     bool
	UsersWhen Condition
	// Only are what every caller has to satisfy.
	Only []Condition
}

// Accepts reports whether a caller satisfies all that every caller has to.
func (t *Trust) Accepts(c *Caller) bool {
	return !slices.ContainsFunc(t.Only, func(when Condition) bool { return !c.satisfies(when) })
}

// IsUserOf reports whether a caller's subject is a user id of this app, unless it is a
// machine's.
func (t *Trust) IsUserOf(c *Caller) bool {
	return t.Users && (t.UsersWhen == nil || c.satisfies(t.UsersWhen))
}

// conditions returns all that the trust asks of a caller.
func (t *Trust) conditions() []Condition {
	if t.UsersWhen == nil {
		return t.Only
	}
	return append(slices.Clip(t.Only), t.UsersWhen)
}

// admitted asks what is asked before a session is stored.
func (c *creation) admitted(ctx context.Context, wanted *Session) error {
	err := c.signedIn(ctx, wanted)
	if err == nil {
		err = c.observer().Before(ctx, event.Created, wanted)
	}
	if err != nil {
		c.observe(ctx, event.Denied, wanted, err)
	}
	return err
}

// signedIn reports why the caller's token is of a sign-in that its issuer ended since.
func (c *creation) signedIn(ctx context.Context, s *Session) error {
	if c.SignedOut == nil {
		return nil
	}
	return c.SignedOut(ctx, c.req.Caller, s)
}

// stillAdmitted asks again, now that the session is stored: a logout that came meanwhile did
// not find its row, or left a mark that is found here.
func (c *creation) stillAdmitted(ctx context.Context, stored *Session) error {
	err := c.signedIn(ctx, stored)
	if err == nil {
		return nil
	}
	c.observe(ctx, event.Denied, stored, err)
	return errors.Join(err, c.end(context.WithoutCancel(ctx), stored.Key(), EndPolicy, ender{}))
}
