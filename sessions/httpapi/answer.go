package httpapi

import (
	"net/http"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/strictjson"
)

// writeGrant writes a new session and its tokens.
func writeGrant(w http.ResponseWriter, grant *sessions.Grant) { writeAnswer(w, grant, true) }

// WriteSession writes a session whose tokens are delivered in another way.
func WriteSession(w http.ResponseWriter, grant *sessions.Grant) { writeAnswer(w, grant, false) }

func writeAnswer(w http.ResponseWriter, g *sessions.Grant, tokens bool) {
	endpoint.WriteObject(w, "application/json", func(j *strictjson.Writer) {
		j.Text("session_id", g.Session.ID)
		j.Text("user_id", g.Session.UserID)
		if tokens {
			j.Token("refresh_token", g.RefreshToken)
			j.Token("access_token", g.AccessToken)
			j.Text("token_type", "Bearer")
			j.Int("expires_in", int64(max(0, g.AccessExpires.Sub(g.Now))/time.Second))
		}
		j.Text("refresh_expires_at", g.Session.ExpiresAt.Format(time.RFC3339))
		j.Bool("is_impersonation", g.Session.Impersonation)
	})
}
