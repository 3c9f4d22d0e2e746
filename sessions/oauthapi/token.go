package oauthapi

import (
	"net/http"
	"slices"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/endpoint"
)

// Grant types of the token endpoint.
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
	switch req.Get("grant_type") {
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

// refresh answers a refresh (RFC 6749 section 6). The other parameters are checked first: a
// malformed request rotates nothing.
func (a *API) refresh(w http.ResponseWriter, req *request) error {
	token := req.Get("refresh_token")
	if token == "" {
		return errNoRefresh
	}
	if err := a.checkRequested(req.form); err != nil {
		return err
	}
	grant, err := a.Sessions.Refresh(req.Context(), &sessions.RefreshRequest{Token: token, Client: req.client.ID, IP: req.ip})
	if err != nil {
		return a.countRefused(req, err)
	}
	writeGrant(w, grant, "")
	return nil
}

// checkRequested checks what a request asks of its tokens. Sessions have no scope, so any scope
// exceeds what was granted; access tokens are always for all of their audiences.
func (a *API) checkRequested(f form) error {
	if f.Get("scope") != "" {
		return errScope
	}
	for _, name := range repeatable {
		for _, target := range f[name] {
			if target != "" && !slices.Contains(a.Audience, target) {
				return errTarget
			}
		}
	}
	return nil
}

// A grantAnswer is the response with tokens (RFC 6749 section 5.1).
type grantAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitzero"`
	Issued       string `json:"issued_token_type,omitzero"`
}

// writeGrant writes the tokens of a session; issued is the type of the token that an exchange
// issued, and "" for a refresh. A requested refresh token is in access_token, which RFC 8693
// section 2.2.1 uses for whatever was issued; its token_type says that it cannot authorize
// requests.
func writeGrant(w http.ResponseWriter, g *sessions.Grant, issued string) {
	answer, end := grantAnswer{AccessToken: g.AccessToken, TokenType: "Bearer", RefreshToken: g.RefreshToken, Issued: issued}, g.AccessExpires
	if issued == tokenTypeRefresh {
		answer.AccessToken, answer.TokenType, answer.RefreshToken, end = g.RefreshToken, "N_A", "", g.Session.End()
	}
	answer.ExpiresIn = int64(max(0, end.Sub(g.Now)) / time.Second)
	endpoint.WriteJSON(w, http.StatusOK, "application/json", &answer)
}
