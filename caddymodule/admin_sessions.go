package caddymodule

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"authsidecar/sessions"
)

// Pages of the admin API have so many sessions where the request does not say, and
// at the most.
const (
	adminLimit    = 100
	adminMaxLimit = 1000
)

// filterParams say which sessions are meant.
var filterParams = []string{"issuer", "user_id", "actor", "actor_issuer", "impersonations"}

// An adminSession is a session as the operator sees it. There is no token in it.
type adminSession struct {
	ID            string              `json:"id"`
	UserID        string              `json:"user_id"`
	Impersonation bool                `json:"is_impersonation"`
	Actor         *sessions.Principal `json:"actor"` // of an impersonation
	Reason        string              `json:"reason"`
	Rule          string              `json:"rule"`
	ClientID      string              `json:"client_id"`
	IP            string              `json:"ip"`
	UserAgent     string              `json:"user_agent"`
	CreatedAt     time.Time           `json:"created_at"`
	LastUsedAt    time.Time           `json:"last_used_at"`
	ExpiresAt     time.Time           `json:"expires_at"`
	IdleExpiresAt time.Time           `json:"idle_expires_at"`
}

func newAdminSession(s *sessions.Session) adminSession {
	shown := adminSession{
		ID: s.ID, UserID: s.UserID, Impersonation: s.Impersonation, Reason: s.Reason, Rule: s.Rule, ClientID: s.ClientID,
		IP: s.IP, UserAgent: s.UserAgent, CreatedAt: s.CreatedAt, LastUsedAt: s.RotatedAt, ExpiresAt: s.ExpiresAt, IdleExpiresAt: s.End(),
	}
	if s.Impersonation {
		shown.Actor = &s.Actor
	}
	return shown
}

// adminPage answers a listing.
type adminPage struct {
	Items []adminSession `json:"items"`
	Next  string         `json:"next_cursor,omitempty"`
}

// adminList answers GET sessions.
func adminList(_ http.ResponseWriter, r *adminRequest) (any, error) {
	inst, filter, err := r.filter()
	if err != nil {
		return nil, err
	}
	limit, err := strconv.Atoi(cmp.Or(r.query.Get("limit"), strconv.Itoa(adminLimit)))
	if err != nil || limit < 1 || limit > adminMaxLimit {
		return nil, adminError(http.StatusBadRequest, "limit is not 1 to %d", adminMaxLimit)
	}
	page, err := inst.manager.List(r.Context(), inst.manager.Operator(), filter, r.query.Get("cursor"), limit)
	if err != nil {
		return nil, err
	}
	answer := adminPage{Items: make([]adminSession, len(page.Sessions)), Next: page.Next}
	for i := range page.Sessions {
		answer.Items[i] = newAdminSession(&page.Sessions[i])
	}
	return answer, nil
}

// adminRevoked answers a revocation. More tells that the request is to be sent again,
// with Next as its cursor, until it is false.
type adminRevoked struct {
	Revoked int    `json:"revoked"`
	More    bool   `json:"more"`
	Next    string `json:"next_cursor,omitempty"`
}

// adminRevokeAll answers DELETE sessions.
func adminRevokeAll(_ http.ResponseWriter, r *adminRequest) (any, error) {
	inst, filter, err := r.filter()
	if err != nil {
		return nil, err
	}
	dryRun, err := r.flag("dry_run")
	if err != nil {
		return nil, err
	}
	done, err := inst.manager.RevokeAll(r.Context(), inst.manager.Operator(), filter, r.query.Get("cursor"), dryRun)
	if err != nil {
		return nil, err
	}
	return adminRevoked{done.Revoked, done.More, done.Next}, nil
}

// adminRevoke answers DELETE sessions/{id}.
func adminRevoke(_ http.ResponseWriter, r *adminRequest) (any, error) {
	inst, err := r.instance()
	if err != nil {
		return nil, err
	}
	if err := inst.manager.Revoke(r.Context(), inst.manager.Operator(), r.id); err != nil {
		return nil, err
	}
	return adminRevoked{Revoked: 1}, nil
}

// filter reads which sessions are meant, of which instance.
func (r *adminRequest) filter() (inst *instance, f sessions.Filter, err error) {
	if inst, err = r.instance(); err != nil {
		return nil, f, err
	}
	f.User = r.query.Get("user_id")
	if f.Impersonations, err = r.flag("impersonations"); err != nil {
		return nil, f, err
	}
	switch actor, issuer := r.query.Get("actor"), r.query.Get("actor_issuer"); {
	case actor != "" && issuer == "" && len(inst.trust) != 1:
		return nil, f, adminError(http.StatusBadRequest, "several issuers are trusted: say by actor_issuer whose %q is meant", actor)
	case actor != "":
		f.Actor = &sessions.Principal{Issuer: cmp.Or(issuer, inst.trust[0].issuer.Name), Subject: actor}
	case issuer != "":
		return nil, f, adminError(http.StatusBadRequest, "actor_issuer goes with actor")
	}
	if f.Empty() {
		return nil, f, adminError(http.StatusBadRequest, "say which sessions: user_id, actor or impersonations=true")
	}
	return inst, f, nil
}
