package adminapi

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"authsidecar/sessions"
)

// The default and the maximum number of sessions on a page of the admin API.
const (
	defaultLimit = 100
	MaxLimit     = 1000
)

// filterParams are the parameters of a filter.
var filterParams = []string{"issuer", "user_id", "actor", "actor_issuer", "impersonations"}

// A Session is a session as the operator sees it, without tokens.
type Session struct {
	ID            string              `json:"id"`
	UserID        string              `json:"user_id"`
	Impersonation bool                `json:"is_impersonation"`
	Actor         *sessions.Principal `json:"actor"` // if it is an impersonation
	Reason        string              `json:"reason"`
	Rule          string              `json:"rule"`
	ClientID      string              `json:"client_id"`
	IP            string              `json:"ip"`
	UserAgent     string              `json:"user_agent"`
	CreatedAt     time.Time           `json:"created_at"`
	LastUsedAt    time.Time           `json:"last_used_at"`
	ExpiresAt     time.Time           `json:"expires_at"`
	IdleExpiresAt time.Time           `json:"idle_expires_at"`
	PendingUntil  time.Time           `json:"pending_until,omitzero"` // until its link is opened
}

func newSession(s *sessions.Session) Session {
	shown := Session{
		ID: s.ID, UserID: s.UserID, Impersonation: s.Impersonation, Reason: s.Reason, Rule: s.Rule, ClientID: s.ClientID,
		IP: s.IP, UserAgent: s.UserAgent, CreatedAt: s.CreatedAt, LastUsedAt: s.RotatedAt, ExpiresAt: s.ExpiresAt, IdleExpiresAt: s.End(),
	}
	if s.Impersonation {
		shown.Actor = &s.Actor
	}
	if s.Pending != nil {
		shown.PendingUntil = s.End()
	}
	return shown
}

// Page is a page of a listing.
type Page struct {
	Items []Session `json:"items"`
	Next  string    `json:"next_cursor,omitempty"`
}

// list answers GET sessions.
func list(_ http.ResponseWriter, r *request) (any, error) {
	inst, filter, err := r.filter()
	if err != nil {
		return nil, err
	}
	limit, err := strconv.Atoi(cmp.Or(r.query.Get("limit"), strconv.Itoa(defaultLimit)))
	if err != nil || limit < 1 || limit > MaxLimit {
		return nil, badRequest("limit is not 1 to %d", MaxLimit)
	}
	page, err := inst.Manager.List(r.Context(), inst.Manager.Operator(), filter, r.query.Get("cursor"), limit)
	if err != nil {
		return nil, err
	}
	answer := Page{Items: make([]Session, len(page.Sessions)), Next: page.Next}
	for i := range page.Sessions {
		answer.Items[i] = newSession(&page.Sessions[i])
	}
	return answer, nil
}

// RevokeResult is the response to a revocation. If More is set, repeat the request with Next as its
// cursor.
type RevokeResult struct {
	Revoked int    `json:"revoked"`
	More    bool   `json:"more"`
	Next    string `json:"next_cursor,omitempty"`
}

// CountResult is the response to a dry run.
type CountResult struct {
	WouldRevoke int    `json:"would_revoke"`
	More        bool   `json:"more"`
	Next        string `json:"next_cursor,omitempty"`
}

// revokeAll answers DELETE sessions.
func revokeAll(_ http.ResponseWriter, r *request) (any, error) {
	inst, filter, err := r.filter()
	if err != nil {
		return nil, err
	}
	if filter.Empty() {
		return nil, badRequest("say which sessions: user_id, actor or impersonations=true")
	}
	dryRun, err := r.flag("dry_run")
	if err != nil {
		return nil, err
	}
	done, err := inst.Manager.RevokeAll(r.Context(), inst.Manager.Operator(), filter, r.query.Get("cursor"), dryRun)
	if err != nil {
		return nil, err
	}
	if dryRun {
		return CountResult{done.Revoked, done.More, done.Next}, nil
	}
	return RevokeResult{done.Revoked, done.More, done.Next}, nil
}

// revoke answers DELETE sessions/{id}.
func revoke(_ http.ResponseWriter, r *request) (any, error) {
	inst, err := r.instance()
	if err != nil {
		return nil, err
	}
	dryRun, err := r.flag("dry_run")
	if err != nil {
		return nil, err
	}
	if dryRun {
		_, err := inst.Manager.Get(r.Context(), inst.Manager.Operator(), r.id)
		return CountResult{WouldRevoke: 1}, err
	}
	if err := inst.Manager.Revoke(r.Context(), inst.Manager.Operator(), r.id); err != nil {
		return nil, err
	}
	return RevokeResult{Revoked: 1}, nil
}

// filter returns the filter of the request and its instance: everything if the request names
// nothing.
func (r *request) filter() (inst *Instance, f sessions.Filter, err error) {
	if inst, err = r.instance(); err != nil {
		return nil, f, err
	}
	f.User = r.query.Get("user_id")
	if f.Impersonations, err = r.flag("impersonations"); err != nil {
		return nil, f, err
	}
	switch actor, issuer := r.query.Get("actor"), r.query.Get("actor_issuer"); {
	case actor != "" && issuer == "" && len(inst.Trusted) != 1:
		return nil, f, badRequest("several issuers are trusted: name that of %q with actor_issuer", actor)
	case actor != "":
		f.Actor = &sessions.Principal{Issuer: cmp.Or(issuer, inst.Trusted[0].Name), Subject: actor}
	case issuer != "":
		return nil, f, badRequest("actor_issuer goes with actor")
	}
	return inst, f, nil
}
