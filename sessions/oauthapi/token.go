package oauthapi

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/strictjson"
)

// The grant types of the token endpoint.
const (
	grantRefresh  = "refresh_token"
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 section 2.1
)

// token answers POST <path>/token.
func (a *API) token(w http.ResponseWriter, r *http.Request) error {
	req, err := a.read(w, r)
	if err != nil {
		return err
	}
	switch req.get("grant_type") {
	case grantRefresh:
		return a.refresh(w, req)
	case grantExchange:
		return a.exchange(w, req)
	case "":
		return errNoGrantType
	default:
		return errGrantType
	}
}

// refresh answers a refresh (RFC 6749 section 6). What it asks for beside is judged first:
// nothing is rotated for a request that is wrong.
func (a *API) refresh(w http.ResponseWriter, req *request) error {
	token := req.get("refresh_token")
	if token == "" {
		return errNoRefresh
	}
	if err := a.checkAsked(req.form); err != nil {
		return err
	}
	grant, err := a.Sessions.Refresh(req.Context(), &sessions.RefreshRequest{Token: token, Client: req.client.ID, IP: req.ip})
	if err != nil {
		return a.refused(req, err)
	}
	writeGrant(w, grant, "")
	return nil
}

// checkAsked checks what a request asks of its tokens. Sessions have no scope, so that any
// is more than was granted; access tokens are for all of their audiences.
func (a *API) checkAsked(f form) error {
	if f.get("scope") != "" {
		return errScope
	}
	for _, name := range repeatable {
		for _, target := range f.all(name) {
			if !slices.Contains(a.Audience, target) {
				return errTarget
			}
		}
	}
	return nil
}

// scratches are where answers are put together.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// writeGrant answers with the tokens of a session (RFC 6749 section 5.1); issued is the type
// of what an exchange issued, "" for a refresh.
func writeGrant(w http.ResponseWriter, g *sessions.Grant, issued string) {
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	*scratch = appendGrant((*scratch)[:0], g, issued)
	endpoint.Write(w, http.StatusOK, "application/json", *scratch)
}

// appendGrant writes the answer. A refresh token that was asked for stands where RFC 8693
// section 2.2.1 wants whatever is issued, and is no token to call anything with.
func appendGrant(dst []byte, g *sessions.Grant, issued string) []byte {
	token, kind, end, also := g.AccessToken, "Bearer", g.AccessExpires, g.RefreshToken
	if issued == tokenTypeRefresh {
		token, kind, end, also = g.RefreshToken, "N_A", g.Session.End(), ""
	}
	dst = strictjson.AppendQuoted(append(dst, `{"access_token":`...), token)
	dst = append(append(append(dst, `,"token_type":"`...), kind...), `","expires_in":`...)
	dst = strconv.AppendInt(dst, int64(max(0, end.Sub(g.Now))/time.Second), 10)
	if also != "" {
		dst = strictjson.AppendQuoted(append(dst, `,"refresh_token":`...), also)
	}
	if issued != "" {
		dst = append(append(append(dst, `,"issued_token_type":"`...), issued...), '"')
	}
	return append(dst, '}')
}
