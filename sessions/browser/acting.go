package browser

import (
	"errors"
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/browser/banner"
	"authsidecar/sessions/internal/endpoint"
)

// bannerScript answers GET <path>/banner.js.
func bannerScript(w http.ResponseWriter, r *http.Request) error {
	banner.Serve(w, r)
	return nil
}

// An actingView is what the banner shows.
type actingView struct {
	SessionID string             `json:"session_id"`
	UserID    string             `json:"user_id"`
	Actor     sessions.Principal `json:"actor"`
	Reason    string             `json:"reason"`
	// ExpiresIn is how long the session lives at most, and IdleExpiresIn how long it lives if it is
	// not used, in seconds.
	ExpiresIn     int64 `json:"expires_in"`
	IdleExpiresIn int64 `json:"idle_expires_in"`
}

// acting answers GET <path>/banner: who is acting as whom in this browser. Each visible page asks
// every second, so the request has no side effects. Nothing is rotated, which would count as use of
// the session, and no cookies are cleared, since the next request of a page whose impersonation is
// over must still be refused. The status is 204 if there is no impersonation, or no longer.
func (a *API) acting(w http.ResponseWriter, r *http.Request) error {
	session, err := a.peekActing(r)
	switch {
	case errors.Is(err, errNoSession):
		endpoint.NoStore(w.Header())
		w.WriteHeader(http.StatusNoContent)
		return nil
	case err != nil:
		return err
	}
	left := func(end time.Time) int64 { return int64(max(0, end.Sub(a.Manager.Store.Now())) / time.Second) }
	endpoint.WriteJSON(w, http.StatusOK, "application/json", &actingView{
		SessionID: session.ID, UserID: session.UserID, Actor: session.Actor, Reason: session.Reason,
		ExpiresIn: left(session.ExpiresAt), IdleExpiresIn: left(session.IdleEnd()),
	})
	return nil
}

// peekActing returns the current impersonation, or errNoSession.
func (a *API) peekActing(r *http.Request) (*sessions.Session, error) {
	brought := a.Credential(r)
	if brought.Pair != As || !brought.Present() || brought.err != nil {
		return nil, errNoSession
	}
	session, err := a.lookUp(r.Context(), &brought, a.ClientIP(r), a.Manager.Introspect)
	if err == nil && !session.Impersonation {
		err = errNoSession
	}
	return session, err
}
