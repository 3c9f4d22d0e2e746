package console

import (
	"net/url"
	"strconv"
	"time"

	"authsidecar/sessions"
)

// pageSize is the number of sessions on a page.
const pageSize = 50

// An ownRow is one of a person's own sessions, or an impersonation of them.
type ownRow struct {
	ID, Device, From string
	Actor            string // who is acting as them; "" if nobody is
	Reason           string
	This, Console    bool
	Used, Begun      moment
}

// An ownPage is the page of a person's own sessions.
type ownPage struct {
	Rows   []ownRow
	Others bool   // there are other sessions than this one
	Next   string // the next page
	First  bool
}

// own answers GET /.
func (c *Console) own(v *visit) error {
	query := v.r.URL.Query()
	cursor := query.Get("cursor")
	found, err := c.manager.List(v.r.Context(), v.own, sessions.Filter{User: v.session.UserID}, cursor, pageSize)
	if err != nil {
		return err
	}
	p := &ownPage{First: cursor == ""}
	for i := range found.Sessions {
		row := c.ownRow(&found.Sessions[i], v)
		p.Others = p.Others || !row.This
		p.Rows = append(p.Rows, row)
	}
	if found.Next != "" {
		p.Next = "/?" + url.Values{"cursor": {found.Next}}.Encode()
	}
	f := c.frame(v, "Where you are signed in", p)
	f.Notice = ended(query)
	return c.show(v.w, 200, "own", f)
}

func (c *Console) ownRow(s *sessions.Session, v *visit) ownRow {
	row := ownRow{
		ID: s.ID, Device: deviceOf(s), From: s.IP, This: s.ID == v.session.ID, Console: s.ClientID == c.Origin,
		Used: ago(s.RotatedAt, v.now), Begun: ago(s.CreatedAt, v.now),
	}
	if s.RotatedFrom != "" {
		row.From = s.RotatedFrom
	}
	if s.Impersonation {
		row.Actor, row.Reason = s.Actor.Subject, s.Reason
	}
	return row
}

// ended returns the notice about revoked sessions, from the query of the next page: how many, or
// "all".
func ended(query url.Values) string {
	switch n, err := strconv.ParseUint(query.Get("ended"), 10, 31); {
	case query.Get("ended") == "all":
		return "All of them were revoked."
	case err != nil:
		return ""
	default:
		return plural(int(n), "One session was revoked.", "%s sessions were revoked.")
	}
}

// endOwn answers POST /end.
func (c *Console) endOwn(v *visit) error {
	form, err := c.read(v, "id")
	if err != nil {
		return err
	}
	if err := c.manager.Revoke(v.r.Context(), v.own, form.Get("id")); err != nil {
		return err
	}
	seeOther(v.w, "/?ended=1")
	return nil
}

// endOthers answers POST /end-others: it revokes all of the person's own sessions except this one,
// up to the number that the page showed.
func (c *Console) endOthers(v *visit) error {
	if _, err := c.read(v); err != nil {
		return err
	}
	var ids []string
	for cursor, first := "", true; first || cursor != ""; first = false {
		found, err := c.manager.List(v.r.Context(), v.own, sessions.Filter{User: v.session.UserID}, cursor, pageSize)
		if err != nil {
			return err
		}
		for i := range found.Sessions {
			if id := found.Sessions[i].ID; id != v.session.ID {
				ids = append(ids, id)
			}
		}
		cursor = found.Next
	}
	for _, id := range ids {
		if err := c.manager.Revoke(v.r.Context(), v.own, id); err != nil && !isNotFound(err) {
			return err
		}
	}
	seeOther(v.w, "/?ended="+strconv.Itoa(len(ids)))
	return nil
}

// read reads a form with these fields, each at most once, and no others.
func (c *Console) read(v *visit, names ...string) (url.Values, error) {
	form, err := c.Browsers.ReadForm(v.w, v.r, errForm)
	if err != nil {
		return nil, err
	}
	return form, checkNames(form, names)
}

// query reads the query in the same way.
func (v *visit) query(names ...string) (url.Values, error) {
	query, err := url.ParseQuery(v.r.URL.RawQuery)
	if err != nil {
		return nil, errForm
	}
	return query, checkNames(query, names)
}

// checkNames returns an error if there are other names, or several values of one.
func checkNames(values url.Values, names []string) error {
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	for name, list := range values {
		if !known[name] || len(list) != 1 {
			return errForm
		}
	}
	return nil
}

// since returns how long ago a session began.
func since(s *sessions.Session, now time.Time) moment {
	return moment{formatTime(s.CreatedAt), span(now.Sub(s.CreatedAt))}
}
