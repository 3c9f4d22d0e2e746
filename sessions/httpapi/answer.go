package httpapi

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/strictjson"
)

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

// appendJSON is what encoding/json would write. Each create and each refresh waits
// for it.
func (a *createAnswer) appendJSON(dst []byte) []byte {
	for _, member := range [...]struct{ name, value string }{
		{`{"session_id":`, a.SessionID},
		{`,"user_id":`, a.UserID},
		{`,"refresh_token":`, a.RefreshToken},
		{`,"access_token":`, a.AccessToken},
		{`,"token_type":`, a.TokenType},
	} {
		dst = strictjson.AppendQuoted(append(dst, member.name...), member.value)
	}
	dst = strconv.AppendInt(append(dst, `,"expires_in":`...), a.ExpiresIn, 10)
	dst = strictjson.AppendQuoted(append(dst, `,"refresh_expires_at":`...), a.RefreshEnd)
	dst = strconv.AppendBool(append(dst, `,"is_impersonation":`...), a.Impersonation)
	return append(dst, '}')
}

// scratches are where answers are put together.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// writeGrant answers with the tokens of a session.
func writeGrant(w http.ResponseWriter, grant *sessions.Grant) {
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	*scratch = answerOf(grant).appendJSON((*scratch)[:0])
	endpoint.Write(w, http.StatusOK, "application/json", *scratch)
}
