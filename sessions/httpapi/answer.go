package httpapi

import (
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/endpoint"
)

// A createAnswer is the response for a new session. It contains the tokens unless they are
// delivered in another way.
type createAnswer struct {
	SessionID     string `json:"session_id"`
	UserID        string `json:"user_id"`
	RefreshToken  string `json:"refresh_token"`
	AccessToken   string `json:"access_token"`
	TokenType     string `json:"token_type"`
	ExpiresIn     int64  `json:"expires_in"`
	RefreshEnd    string `json:"refresh_expires_at"`
	Impersonation bool   `json:"is_impersonation"`
}

func answerOf(g *sessions.Grant) *createAnswer {
	return &createAnswer{
		SessionID:     g.Session.ID,
		UserID:        g.Session.UserID,
		RefreshToken:  g.RefreshToken,
		AccessToken:   g.AccessToken,
		TokenType:     "Bearer",
		ExpiresIn:     int64(max(0, g.AccessExpires.Sub(g.Now)) / time.Second),
		RefreshEnd:    g.Session.ExpiresAt.Format(time.RFC3339),
		Impersonation: g.Session.Impersonation,
	}
}

// writeGrant writes the tokens of a session.
func writeGrant(w http.ResponseWriter, grant *sessions.Grant) {
	endpoint.WriteJSON(w, http.StatusOK, "application/json", answerOf(grant))
}

// WriteSession writes a session whose tokens are delivered in another way.
func WriteSession(w http.ResponseWriter, grant *sessions.Grant) {
	answer := struct {
		SessionID     string `json:"session_id"`
		UserID        string `json:"user_id"`
		RefreshEnd    string `json:"refresh_expires_at"`
		Impersonation bool   `json:"is_impersonation"`
	}{grant.Session.ID, grant.Session.UserID, grant.Session.ExpiresAt.Format(time.RFC3339), grant.Session.Impersonation}
	endpoint.WriteJSON(w, http.StatusOK, "application/json", answer)
}
