package httpapi

import (
	"errors"
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/strictjson"
)

// refresh answers POST <path>/current/refresh.
func (a *API) refresh(w http.ResponseWriter, r *http.Request) error {
	token, err := a.readRefreshToken(w, r)
	if err != nil {
		return err
	}
	grant, err := a.Manager.Refresh(r.Context(), &sessions.RefreshRequest{Token: token, IP: a.ClientIP(r)})
	if err != nil {
		return err
	}
	writeGrant(w, grant)
	return nil
}

// holderShape is a body with a refresh token.
var holderShape = bodyShape{
	want:     "one JSON object with refresh_token alone, a string.",
	required: "refresh_token", missing: "refresh_token is missing.",
	members: map[string]member{"refresh_token": aString},
}

// readRefreshToken reads a body with a refresh token.
func (a *API) readRefreshToken(w http.ResponseWriter, r *http.Request) (string, error) {
	body, err := a.readBody(w, r)
	if err != nil {
		return "", err
	}
	var holder struct {
		Token strictjson.Text `json:"refresh_token"`
	}
	if err := holderShape.readObject(body, &holder); err != nil {
		return "", err
	}
	if !holder.Token.Present {
		return "", holderShape.problem(body)
	}
	return holder.Token.String, nil
}

// presentedSession returns the session of the token in the request: an access token as bearer, or a
// refresh token in the body.
func (a *API) presentedSession(w http.ResponseWriter, r *http.Request) (*sessions.Session, error) {
	_, err := bearer.FromHeader(r.Header)
	if errors.Is(err, bearer.ErrNoToken) && r.ContentLength != 0 {
		token, err := a.readRefreshToken(w, r)
		if err != nil {
			return nil, err
		}
		session, err := a.Manager.Current(r.Context(), &sessions.RefreshRequest{Token: token, IP: a.ClientIP(r)})
		return &session, err
	}
	defer LeaveBody(w, r)()
	caller, err := a.authenticateSelf(w, r)
	if err != nil {
		return nil, err
	}
	if !caller.Own {
		return nil, problemToken // it belongs to no session
	}
	session, err := a.Manager.CurrentOf(r.Context(), caller)
	if errors.Is(err, sessions.ErrNotFound) {
		return nil, problemToken
	}
	return &session, err
}

// current answers GET <path>/current.
func (a *API) current(w http.ResponseWriter, r *http.Request) error {
	session, err := a.presentedSession(w, r)
	if err != nil {
		return err
	}
	endpoint.WriteJSON(w, http.StatusOK, "application/json", newSessionView(session, session.ID))
	return nil
}

// signOut answers DELETE <path>/current.
func (a *API) signOut(w http.ResponseWriter, r *http.Request) error {
	_, err := bearer.FromHeader(r.Header)
	byCookie := a.Cookies != nil && errors.Is(err, bearer.ErrNoToken) && r.ContentLength == 0
	session, err := a.presentedSession(w, r)
	if err != nil {
		return err
	}
	if err := a.Manager.SignOut(r.Context(), session, a.ClientIP(r)); err != nil {
		return err
	}
	if byCookie {
		a.Cookies.SignedOut(w, r)
	}
	endpoint.WriteJSON(w, http.StatusOK, "application/json", success)
	return nil
}

var success = map[string]bool{"success": true}

// A sessionView is a session as the API shows it, without tokens.
type sessionView struct {
	ID            string              `json:"id"`
	UserID        string              `json:"user_id"`
	CreatedAt     string              `json:"created_at"`
	LastUsedAt    string              `json:"last_used_at"`
	ExpiresAt     string              `json:"expires_at"`
	IdleExpiresAt string              `json:"idle_expires_at"`
	PendingUntil  string              `json:"pending_until,omitzero"` // until its link is opened
	Impersonation bool                `json:"is_impersonation"`
	Actor         *sessions.Principal `json:"actor"`
	Reason        string              `json:"reason"`
	ClientID      string              `json:"client_id"`
	IP            string              `json:"ip"`
	UserAgent     string              `json:"user_agent"`
	Current       bool                `json:"is_current"`
}

// newSessionView returns the view of a session; current is the id of the session of the caller's
// token.
func newSessionView(s *sessions.Session, current string) *sessionView {
	view := &sessionView{
		ID: s.ID, UserID: s.UserID,
		CreatedAt: stamp(s.CreatedAt), LastUsedAt: stamp(s.RotatedAt), ExpiresAt: stamp(s.ExpiresAt), IdleExpiresAt: stamp(s.End()),
		Impersonation: s.Impersonation, Reason: s.Reason, ClientID: s.ClientID, IP: s.IP, UserAgent: s.UserAgent,
		Current: s.ID == current,
	}
	if s.Impersonation {
		view.Actor = &s.Actor
	}
	if s.Pending != nil {
		view.PendingUntil = stamp(s.End())
	}
	return view
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
