package console

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"authsidecar/sessions"
)

// lifetimes are the lifetimes that can be requested, within the limits of the configuration.
var lifetimes = []time.Duration{
	5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 24 * time.Hour,
}

// A lifetime is one of them.
type lifetime struct {
	Seconds int
	Text    string
	Chosen  bool
}

type actPage struct {
	User, Reason  string
	NeedsReason   bool
	Lives         []lifetime
	MaxUser, Most int // maximum sizes of the fields, in bytes
}

// lifetimesWith returns the lifetimes that can be chosen, with chosen selected.
func (c *Console) lifetimesWith(chosen time.Duration) (all []lifetime) {
	limits := c.manager.Impersonation
	list := slices.DeleteFunc(slices.Clone(lifetimes), func(d time.Duration) bool { return d > limits.MaxTTL })
	for _, d := range []time.Duration{limits.TTL, limits.MaxTTL} {
		if at, found := slices.BinarySearch(list, d); !found {
			list = slices.Insert(list, at, d)
		}
	}
	for _, d := range list {
		all = append(all, lifetime{int(d / time.Second), span(d), d == chosen})
	}
	return all
}

// form answers GET /act.
func (c *Console) form(v *visit) error {
	query, err := v.query("user")
	if err != nil {
		return err
	}
	return c.showForm(v, 200, "", &actPage{User: query.Get("user"), Lives: c.lifetimesWith(c.manager.Impersonation.TTL)})
}

func (c *Console) showForm(v *visit, status int, alert string, p *actPage) error {
	p.NeedsReason, p.MaxUser, p.Most = c.manager.Policy.RequireReason, 255, 500
	f := c.frame(v, "Act as a user", p)
	f.Alert = alert
	return c.show(v.w, status, "act", f)
}

// start answers POST /act: it creates a session like the API does for that caller, and hands it
// over with a link.
func (c *Console) start(v *visit) error {
	form, err := c.read(v, "user", "reason", "life")
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseUint(form.Get("life"), 10, 31)
	if err != nil {
		return errForm
	}
	wanted := time.Duration(seconds) * time.Second
	p := &actPage{User: form.Get("user"), Reason: strings.TrimSpace(form.Get("reason")), Lives: c.lifetimesWith(wanted)}
	if p.User == v.session.UserID { // it would not be an impersonation
		return c.showForm(v, 400, "That is you: choose another user.", p)
	}
	grant, err := c.manager.Create(v.r.Context(), &sessions.CreateRequest{
		Caller: v.caller, UserID: p.User, Reason: p.Reason, Lifetime: &wanted, Link: true,
		IP: c.Browsers.ClientIP(v.r), UserAgent: v.r.UserAgent(),
	})
	for _, theirs := range []error{sessions.ErrUserID, sessions.ErrLifetime, sessions.ErrText, sessions.ErrReasonRequired, sessions.ErrDenied} {
		if errors.Is(err, theirs) && !errors.Is(err, sessions.ErrUnavailable) {
			problem := problemOf(err)
			c.Browsers.Observer.Failed(v.r.Context(), problem.Status, err)
			text := problem.Detail
			if errors.Is(err, sessions.ErrDenied) {
				text = "Your account may not act as this user."
			}
			return c.showForm(v, problem.Status, text, p)
		}
	}
	if err != nil {
		return err
	}
	seeOther(v.w, "/act/link?"+url.Values{"id": {grant.Session.ID}}.Encode())
	return nil
}

type linkPage struct {
	URL    string
	Reason string
	Good   moment // until when it is valid
	Life   string
}

// link answers GET /act/link with the link of a session that the person created, while it is valid.
func (c *Console) link(v *visit) error {
	query, err := v.query("id")
	if err != nil {
		return err
	}
	grant, err := c.manager.LinkAgain(v.r.Context(), v.rights, query.Get("id"))
	if err != nil {
		return err
	}
	s := &grant.Session
	f := c.frame(v, "Act as a user", &linkPage{
		URL: c.Links.URL(c.Path, grant), Reason: s.Reason, Good: left(s.End(), v.now), Life: span(s.Pending.Life),
	})
	f.Title = "Act as " + s.UserID
	return c.show(v.w, 200, "link", f)
}
