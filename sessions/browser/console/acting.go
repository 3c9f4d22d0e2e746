package console

import (
	"cmp"
	"errors"
	"strconv"

	"authsidecar/sessions"
)

// isNotFound reports whether a session is over, or is none that the person may revoke.
func isNotFound(err error) bool { return errors.Is(err, sessions.ErrNotFound) }

// An actingRow is a session of an actor.
type actingRow struct {
	ID, User, Actor, Issuer, Reason, From string
	Pending                               bool
	Since, Left                           moment
}

type actingPage struct {
	Search search
	Rows   []actingRow
	Next   string
	EndAll string // where all of them can be revoked
	First  bool
}

// acting answers GET /acting.
func (c *Console) acting(v *visit) error {
	query, err := v.query(append([]string{"cursor", "ended"}, searchFields...)...)
	if err != nil {
		return err
	}
	p := &actingPage{Search: c.searchOf(query), First: query.Get("cursor") == ""}
	found, err := c.list(v, p.Search, query.Get("cursor"))
	if err != nil {
		return err
	}
	for i := range found.Sessions {
		p.Rows = append(p.Rows, c.actingRow(&found.Sessions[i], v))
	}
	if found.Next != "" {
		p.Next = p.Search.at("/acting", "cursor", found.Next)
	}
	if len(p.Rows) > 0 || found.Next != "" {
		p.EndAll = p.Search.at("/acting/end-all", "", "")
	}
	f := c.frame(v, "Who acts as whom", p)
	f.Notice = ended(query)
	return c.show(v.w, 200, "acting", f)
}

func (c *Console) actingRow(s *sessions.Session, v *visit) actingRow {
	row := actingRow{
		ID: s.ID, User: s.UserID, Actor: s.Actor.Subject, Reason: s.Reason, From: cmp.Or(s.RotatedFrom, s.IP),
		Pending: s.Pending != nil, Since: since(s, v.now), Left: left(s.ExpiresAt, v.now),
	}
	if s.Actor.Issuer != c.Issuer {
		row.Issuer = s.Actor.Issuer
	}
	return row
}

// endActing answers POST /acting/end.
func (c *Console) endActing(v *visit) error {
	form, err := c.read(v, append([]string{"id"}, searchFields...)...)
	if err != nil {
		return err
	}
	if err := c.manager.Revoke(v.r.Context(), v.rights, form.Get("id")); err != nil {
		return err
	}
	seeOther(v.w, c.searchOf(form).at("/acting", "ended", "1"))
	return nil
}

type previewPage struct {
	Search search
	Count  string // how many would be revoked
	Any    bool
	Back   string
}

// preview answers GET /acting/end-all: how many sessions would be revoked.
func (c *Console) preview(v *visit) error {
	query, err := v.query(append([]string{"ended"}, searchFields...)...)
	if err != nil {
		return err
	}
	p := &previewPage{Search: c.searchOf(query)}
	would, err := c.revokeAll(v, p.Search, true)
	if err != nil {
		return err
	}
	p.Any, p.Back = would.Revoked > 0 || would.More, p.Search.at("/acting", "", "")
	switch {
	case would.More:
		p.Count = plural(would.Revoked, "More than one session would be revoked.", "More than %s sessions would be revoked.")
	case would.Revoked == 0:
		p.Count = "No session would be revoked."
	default:
		p.Count = plural(would.Revoked, "One session would be revoked.", "%s sessions would be revoked.")
	}
	f := c.frame(v, "Revoke all of these?", p)
	f.Notice = ended(query)
	return c.show(v.w, 200, "preview", f)
}

// endAll answers POST /acting/end-all. If the person's right is decided for each session, each
// request revokes a part of them, and the preview shows how many are left.
func (c *Console) endAll(v *visit) error {
	form, err := c.read(v, searchFields...)
	if err != nil {
		return err
	}
	s := c.searchOf(form)
	done, err := c.revokeAll(v, s, false)
	switch count := strconv.Itoa(done.Revoked); {
	case err != nil:
		return err
	case done.Next != "":
		seeOther(v.w, s.at("/acting/end-all", "ended", count))
	case done.More: // all are revoked, and were not counted
		seeOther(v.w, s.at("/acting", "ended", "all"))
	default:
		seeOther(v.w, s.at("/acting", "ended", count))
	}
	return nil
}

// At and Past return the first pages of the search, for current and past sessions.
func (s search) At() string   { return s.at("/acting", "", "") }
func (s search) Past() string { return s.at("/history", "", "") }
