package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/audit"
	"authsidecar/sessions/event"
)

// historyBytes is how much of the audit file is read for one page, at most.
const historyBytes = 2 << 20

// routineEvents are events that are too frequent to be of interest, or that only announce what is
// about to happen.
var routineEvents = []string{
	audit.EventCreating, audit.EventOpening, audit.EventRefreshing, audit.EventActing,
	string(event.Refreshed), string(event.Retried), string(event.Repeated),
}

// A historyRow is a line of the audit.
type historyRow struct {
	At                        string
	Event, Who, User, Address string
	Details                   []string
}

type historyPage struct {
	Search search
	Rows   []historyRow
	Next   string
	First  bool
	Moved  bool
}

// history answers GET /history. Whether a person may see a line is decided as for its session.
func (c *Console) history(v *visit) error {
	query, err := v.query(append([]string{"cursor"}, searchFields...)...)
	if err != nil {
		return err
	}
	p := &historyPage{Search: c.searchOf(query), First: query.Get("cursor") == ""}
	var before audit.Place
	if _, err := fmt.Sscanf(query.Get("cursor"), "%d-%d", &before.Offset, &before.Seq); err != nil {
		before = audit.Place{}
	}
	next, moved, err := audit.Tail(c.Audit, before, historyBytes, func(e *audit.Entry) bool {
		if c.shows(v, &p.Search, e) {
			p.Rows = append(p.Rows, historyRowOf(e))
		}
		return len(p.Rows) < pageSize
	})
	if err != nil {
		return fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
	}
	if p.Moved = moved; next != (audit.Place{}) {
		p.Next = p.Search.at("/history", "cursor", fmt.Sprintf("%d-%d", next.Offset, next.Seq))
	}
	return c.show(v.w, 200, "history", c.frame(v, "History", p))
}

// shows reports whether the page shows the line.
func (c *Console) shows(v *visit, s *search, e *audit.Entry) bool {
	switch {
	case e.Issuer != v.session.Realm || e.UserID == "" || slices.Contains(routineEvents, e.Event),
		s.User != "" && s.User != e.UserID,
		s.Actor != "" && !c.isActor(s, e.ActorIssuer, e.Actor) && !c.isActor(s, e.ByIssuer, e.By):
		return false
	}
	return v.rights.Over(&sessions.Session{
		Realm: e.Issuer, ID: e.SessionID, UserID: e.UserID, Impersonation: e.Impersonation, Actor: sessions.Principal{Issuer: e.ActorIssuer, Subject: e.Actor},
		Reason: e.Reason, ClientID: e.ClientID,
	})
}

// isActor reports whether an identity in the audit is the actor that the search selects. Identities
// of our own sessions and that of the operator have no issuer: they count as identities of the
// issuer where people sign in.
func (c *Console) isActor(s *search, issuer, subject string) bool {
	own := issuer == "" || issuer == c.manager.Realm
	return subject == s.Actor && (issuer == s.Issuer || s.Issuer == anyIssuer || own && s.Issuer == c.Issuer)
}

func historyRowOf(e *audit.Entry) historyRow {
	row := historyRow{
		At: formatTime(e.Time), Event: e.Event, User: e.UserID, Address: e.ClientIP,
		Who: cmp.Or(e.By, e.Actor),
	}
	add := func(text string) {
		if text = strings.TrimSpace(text); text != "" {
			row.Details = append(row.Details, text)
		}
	}
	add(e.Method + " " + e.Path)
	if e.Status != 0 {
		add(fmt.Sprint(e.Status))
	}
	add(e.Reason)
	add(e.EndReason)
	add(e.Error)
	add(e.Note)
	return row
}
