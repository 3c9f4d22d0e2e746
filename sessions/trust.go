package sessions

import (
	"context"
	"errors"
	"slices"

	"authsidecar/sessions/event"
)

// A Trust is the configuration for the callers of an issuer, apart from how their tokens are
// verified.
type Trust struct {
	// Name is the name that rules use for the issuer (Rule.From): one for all of its spellings, and
	// one for each of its tenants.
	Name string
	// Users means that the issuer's subjects are user ids of this app. UsersWhen restricts that to
	// callers for whom it holds; nil means all.
	Users     bool
	UsersWhen Condition
	// Only are conditions that every caller must satisfy.
	Only []Condition
}

// Accepts reports whether a caller satisfies all conditions of Only.
func (t *Trust) Accepts(c *Caller) bool {
	return !slices.ContainsFunc(t.Only, func(when Condition) bool { return !c.satisfies(when) })
}

// IsUserOf reports whether the caller's subject is a user id of this app. Machines are not excluded
// here.
func (t *Trust) IsUserOf(c *Caller) bool {
	return t.Users && (t.UsersWhen == nil || c.satisfies(t.UsersWhen))
}

// conditions returns all conditions of the trust.
func (t *Trust) conditions() []Condition {
	if t.UsersWhen == nil {
		return t.Only
	}
	return append(slices.Clip(t.Only), t.UsersWhen)
}

// admitted makes the checks that precede storing a session.
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

// signedIn returns an error if the issuer has logged the caller out since they authenticated.
func (c *creation) signedIn(ctx context.Context, s *Session) error {
	if c.SignedOut == nil {
		return nil
	}
	return c.SignedOut(ctx, c.req.Caller, s)
}

// stillAdmitted checks again after the session was stored: a logout in the meantime did not find
// its row, or left a mark that is found now.
func (c *creation) stillAdmitted(ctx context.Context, stored *Session) error {
	err := c.signedIn(ctx, stored)
	if err == nil {
		return nil
	}
	c.observe(ctx, event.Denied, stored, err)
	return errors.Join(err, c.end(context.WithoutCancel(ctx), stored.Key(), EndPolicy, ender{}))
}
