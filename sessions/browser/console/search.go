package console

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"authsidecar/sessions"
)

// A search selects sessions: those for a user, those of an actor, or both.
type search struct {
	User, Actor, Issuer string
	Issuers             []string // choices; nil if there is only one
}

// searchFields are the names of the fields of a search in queries and forms.
var searchFields = []string{"user", "actor", "issuer"}

func (c *Console) searchOf(values url.Values) search {
	s := search{User: values.Get("user"), Actor: values.Get("actor"), Issuer: c.Issuer}
	if len(c.Issuers) > 1 { // otherwise nobody can choose, and no page would show the choice
		s.Issuer, s.Issuers = cmp.Or(values.Get("issuer"), c.Issuer), c.Issuers
	}
	return s
}

// anyIssuer is the choice of all issuers: no issuer has this name.
const anyIssuer = "*"

// All reports whether the search selects everything.
func (s search) All() bool { return s.User == "" && s.Actor == "" }

// filters returns the search as filters: several for an actor of any issuer.
func (s search) filters() (all []sessions.Filter) {
	issuers := []string{s.Issuer}
	switch {
	case s.Actor == "":
		return []sessions.Filter{{User: s.User, Impersonations: true}}
	case s.Issuer == anyIssuer:
		issuers = s.Issuers
	}
	for _, issuer := range issuers {
		all = append(all, sessions.Filter{User: s.User, Impersonations: true, Actor: &sessions.Principal{Issuer: issuer, Subject: s.Actor}})
	}
	return all
}

// at returns the URL of a page for the search, with one more parameter.
func (s search) at(path, name, value string) string {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("user", s.User)
	if set("actor", s.Actor); s.Actor != "" && s.Issuers != nil {
		set("issuer", s.Issuer)
	}
	set(name, value)
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// list returns a page of the sessions that the search selects, of one filter after the other. A
// cursor is that of the manager after the number of the filter.
func (c *Console) list(v *visit, s search, cursor string) (found sessions.Page, err error) {
	filters := s.filters()
	number, rest, _ := strings.Cut(cursor, ":")
	at, err := strconv.Atoi(cmp.Or(number, "0"))
	if err != nil || at < 0 || at >= len(filters) {
		return found, sessions.ErrBadCursor
	}
	for ; at < len(filters); at, rest = at+1, "" {
		if len(found.Sessions) == pageSize {
			found.Next = fmt.Sprintf("%d:", at)
			return found, nil
		}
		page, err := c.manager.List(v.r.Context(), v.rights, filters[at], rest, pageSize-len(found.Sessions))
		if err != nil {
			return sessions.Page{}, err
		}
		found.Sessions = append(found.Sessions, page.Sessions...)
		if page.Next != "" {
			found.Next = fmt.Sprintf("%d:%s", at, page.Next)
			return found, nil
		}
	}
	return found, nil
}

// revokeAll revokes the sessions that the search selects, or counts them.
func (c *Console) revokeAll(v *visit, s search, dryRun bool) (all sessions.Revocation, err error) {
	for _, filter := range s.filters() {
		done, err := c.manager.RevokeAll(v.r.Context(), v.rights, filter, "", dryRun)
		all.Revoked += done.Revoked
		all.More = all.More || done.More
		all.Next = cmp.Or(all.Next, done.Next)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}
