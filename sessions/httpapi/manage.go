package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strconv"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/urlpath"
)

// The default and the maximum number of sessions on a page.
const (
	defaultLimit = 50
	maxLimit     = 100
)

// rights returns what the caller of a request may manage. A token of ours counts only while its
// session is live.
func (a *API) rights(w http.ResponseWriter, r *http.Request) (*sessions.Rights, *sessions.Caller, error) {
	caller, err := a.authenticateSelf(w, r)
	if err != nil {
		return nil, nil, err
	}
	rights, err := a.Manager.RightsOf(caller, a.ClientIP(r))
	if err != nil {
		return nil, nil, err
	}
	if caller.Own {
		_, err := a.Manager.CurrentOf(r.Context(), caller)
		if errors.Is(err, sessions.ErrNotFound) {
			return nil, nil, problemToken
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return rights, caller, nil
}

// A managedRequest is a caller and the sessions that they ask about.
type managedRequest struct {
	rights *sessions.Rights
	caller *sessions.Caller
	query  url.Values
	filter sessions.Filter
}

// readManaged reads a managedRequest. parameter is an additional allowed parameter of its query.
func (a *API) readManaged(w http.ResponseWriter, r *http.Request, parameter string) (q managedRequest, err error) {
	if q.rights, q.caller, err = a.rights(w, r); err != nil {
		return q, err
	}
	if q.query, err = readQuery(r, "user_id", "actor", "actor_issuer", "impersonations", "cursor", parameter); err != nil {
		return q, err
	}
	q.filter, err = a.readFilter(q.query, q.caller)
	return q, err
}

// list answers GET <path>.
func (a *API) list(w http.ResponseWriter, r *http.Request) error {
	q, err := a.readManaged(w, r, "limit")
	if err != nil {
		return err
	}
	limit, err := strconv.Atoi(cmp.Or(q.query.Get("limit"), strconv.Itoa(defaultLimit)))
	if err != nil || limit < 1 || limit > maxLimit {
		return problemFilter
	}
	page, err := a.Manager.List(r.Context(), q.rights, q.filter, q.query.Get("cursor"), limit)
	if err != nil {
		return err
	}
	answer := struct {
		Items []*sessionView `json:"items"`
		Next  *string        `json:"next_cursor"`
	}{Items: make([]*sessionView, len(page.Sessions))}
	for i := range page.Sessions {
		answer.Items[i] = newSessionView(&page.Sessions[i], q.caller.SessionID)
	}
	if page.Next != "" {
		answer.Next = &page.Next
	}
	endpoint.WriteJSON(w, http.StatusOK, "application/json", answer)
	return nil
}

// get answers GET <path>/{id}.
func (a *API) get(w http.ResponseWriter, r *http.Request) error {
	rights, caller, err := a.rights(w, r)
	if err != nil {
		return err
	}
	session, err := a.Manager.Get(r.Context(), rights, sessionID(r))
	if err != nil {
		return err
	}
	endpoint.WriteJSON(w, http.StatusOK, "application/json", newSessionView(&session, caller.SessionID))
	return nil
}

// revoke answers DELETE <path>/{id}.
func (a *API) revoke(w http.ResponseWriter, r *http.Request) error {
	rights, _, err := a.rights(w, r)
	if err != nil {
		return err
	}
	if err := a.Manager.Revoke(r.Context(), rights, sessionID(r)); err != nil {
		return err
	}
	endpoint.WriteJSON(w, http.StatusOK, "application/json", success)
	return nil
}

// revokeAll answers DELETE <path>.
func (a *API) revokeAll(w http.ResponseWriter, r *http.Request) error {
	q, err := a.readManaged(w, r, "dry_run")
	if err != nil {
		return err
	}
	if q.filter.Empty() {
		return problemFilter
	}
	dryRun, err := readFlag(q.query, "dry_run")
	if err != nil {
		return err
	}
	revocation, err := a.Manager.RevokeAll(r.Context(), q.rights, q.filter, q.query.Get("cursor"), dryRun)
	if err != nil {
		return err
	}
	answer := revokedBody{More: revocation.More, Next: revocation.Next}
	if answer.Revoked = &revocation.Revoked; dryRun {
		answer.Revoked, answer.WouldRevoke = nil, &revocation.Revoked
	}
	endpoint.WriteJSON(w, http.StatusOK, "application/json", answer)
	return nil
}

// revokedBody is the response to a bulk revocation; one of the counts is set.
type revokedBody struct {
	Revoked     *int   `json:"revoked,omitempty"`
	WouldRevoke *int   `json:"would_revoke,omitempty"` // for a dry run
	More        bool   `json:"more"`
	Next        string `json:"next_cursor,omitempty"` // with which to repeat the request
}

// readQuery reads the parameters: known ones only, each at most once.
func readQuery(r *http.Request, names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problemFilter
	}
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	for name, values := range query {
		if !known[name] || len(values) != 1 || values[0] == "" {
			return nil, problemFilter
		}
	}
	return query, nil
}

// readFilter reads the filter.
func (a *API) readFilter(query url.Values, caller *sessions.Caller) (sessions.Filter, error) {
	filter := sessions.Filter{User: query.Get("user_id")}
	if query.Has("user_id") && sessions.CheckUserID(filter.User) != nil {
		return filter, problemUserID
	}
	if query.Has("actor") {
		filter.Actor = &sessions.Principal{Issuer: cmp.Or(query.Get("actor_issuer"), a.ActorIssuer, caller.Issuer), Subject: query.Get("actor")}
	} else if query.Has("actor_issuer") {
		return filter, problemFilter
	}
	var err error
	filter.Impersonations, err = readFlag(query, "impersonations")
	return filter, err
}

func readFlag(query url.Values, name string) (bool, error) {
	if !query.Has(name) {
		return false, nil
	}
	if query.Get(name) != "true" {
		return false, problemFilter
	}
	return true, nil
}

// sessionID returns the id in the path of a request that routes matched.
func sessionID(r *http.Request) string { return path.Base(urlpath.Clean(r.URL.Path)) }

// isSessionID reports whether s has the form of our session ids: 128 bits in
// base64url.
func isSessionID(s string) bool {
	if len(s) != 22 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
