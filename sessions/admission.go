package sessions

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"authsidecar/sessions/event"
)

// decide asks the policy and sets the kind of the session.
func (c *creation) decide(s *Session) error {
	decision, err := c.Policy.Decide(c.input(c.req.Caller, s))
	if err != nil {
		return err
	}
	if c.claimsClient() || c.isConsoleSession(s) != c.req.Console {
		return ErrClient
	}
	s.Impersonation, s.Rule = decision.Impersonation, decision.Rule
	return c.setReported(s)
}

// unknownAddress stands for the address of a request that has none, such as one over a Unix socket.
const unknownAddress = "unknown"

// setReported stores the client that the caller reports, if a rule allows that.
func (c *creation) setReported(s *Session) error {
	if !c.req.ReportedIP.IsValid() {
		return nil
	}
	caller, in := c.req.Caller, c.input(c.req.Caller, s)
	may := func(r Rule) bool { return r.From == caller.From() && caller.knowsClaims(r.When) && r.When.Holds(in) }
	if !slices.ContainsFunc(c.ReportClient, may) {
		return ErrReport
	}
	s.IP, s.UserAgent = c.req.ReportedIP.Unmap().String(), clip(c.req.ReportedAgent, maxAgent)
	s.ReportedBy = cmp.Or(c.req.IP, unknownAddress)
	return nil
}

// claimsClient reports whether the request names a client that authenticates without coming from
// it. Rules and apps rely on the client, so such a request is refused.
func (c *creation) claimsClient() bool {
	return c.Minter.Confidential[c.req.ClientID] && !c.req.ClientAuthenticated && c.req.ClientID != c.req.Caller.ClientID
}

// record stores in the row the claims that the rules and the conditions of the caller's trust read,
// and the claims that the session keeps.
func (c *creation) record(s *Session, now time.Time) error {
	var asked []Condition
	if trust := c.trust(c.req.Caller.Issuer); trust != nil {
		asked = trust.conditions()
	}
	for i := range c.Manage {
		if c.req.Console && c.Manage[i].From == c.req.Caller.From() {
			asked = append(slices.Clip(asked), c.Manage[i].When)
		}
	}
	c.Policy.record(s, c.req.Caller, asked...)
	return c.keep(s, now)
}

// keep stores in the row of a user's own session the configured claims of their token, and when it
// was issued. An impersonated session keeps none, since they would be the actor's.
func (c *creation) keep(s *Session, now time.Time) (err error) {
	if s.Impersonation {
		return nil
	}
	most := maxKept
	if s.Cookies {
		most = maxKeptInCookies
	}
	s.Kept, s.KeptAt, err = c.req.Caller.Claims.kept(c.Minter.Claims, most, now)
	return err
}

// shadow reports the decision of the shadow policy, which has no effect on the request. cause is
// why the request was refused, if it was.
func (c *creation) shadow(ctx context.Context, wanted *Session, cause error) {
	if c.Shadow == nil || errors.Is(cause, ErrUserID) || errors.Is(cause, ErrText) {
		return
	}
	decision, err := c.Shadow.Decide(c.input(c.req.Caller, wanted))
	tried := *wanted
	tried.ID = "" // no session has this id
	tried.Rule, tried.Impersonation = decision.Rule, decision.Impersonation
	c.report(ctx, &Event{Kind: event.Shadowed, Session: &tried, IP: c.req.IP, Err: err})
}

// admit makes the checks that precede storing a session.
func (c *creation) admit(ctx context.Context, wanted *Session) error {
	err := c.checkSignedIn(ctx, wanted)
	if err == nil {
		err = c.observer().Before(ctx, event.Created, wanted)
	}
	if err != nil {
		c.observe(ctx, event.Denied, wanted, err)
	}
	return err
}

// checkSignedIn returns an error if the issuer has logged the caller out since they authenticated.
func (c *creation) checkSignedIn(ctx context.Context, s *Session) error {
	if c.SignedOut == nil {
		return nil
	}
	return c.SignedOut(ctx, c.req.Caller, s)
}

// admitAgain checks again after the session was stored: a logout in the meantime did not find
// its row, or left a mark that is found now.
func (c *creation) admitAgain(ctx context.Context, stored *Session) error {
	err := c.checkSignedIn(ctx, stored)
	if err == nil {
		return nil
	}
	c.observe(ctx, event.Denied, stored, err)
	return errors.Join(err, c.revokeFor(context.WithoutCancel(ctx), stored.Key(), EndPolicy, revoker{}))
}
