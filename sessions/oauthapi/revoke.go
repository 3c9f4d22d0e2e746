package oauthapi

import (
	"errors"
	"net/http"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

// revoke answers POST <path>/revoke (RFC 7009): it revokes the session of the token, and so all of
// its tokens. A token that is not valid counts as revoked. The response is an object, since clients
// parse it.
func (a *API) revoke(w http.ResponseWriter, r *http.Request) error {
	req, err := a.read(w, r)
	if err != nil {
		return err
	}
	token := req.Get("token")
	if token == "" {
		return errNoToken
	}
	// The token_type_hint is ignored: the token itself shows its type.
	var session sessions.Session
	if isRefreshToken(token) {
		session, err = a.Sessions.Current(req.Context(), a.presented(req, token))
	} else {
		session, err = a.sessionOf(req, token)
	}
	if err == nil {
		err = a.Sessions.SignOut(req.Context(), &session, req.ip)
	}
	if err != nil && !isOver(a.countRefused(req, err)) {
		return err
	}
	endpoint.Write(w, http.StatusOK, "application/json", []byte("{}"))
	return nil
}

// presented returns a refresh token as the client presents it.
func (*API) presented(req *request, token string) *sessions.RefreshRequest {
	return &sessions.RefreshRequest{Token: token, Client: req.client.ID, IP: req.ip}
}

// isRefreshToken reports whether a token claims to be a refresh token of ours.
func isRefreshToken(token string) bool {
	parsed, err := jose.Parse(token)
	return err == nil && parsed.Header.Type == keyring.RefreshTokenType
}

// sessionOf returns the session of an access token that was issued to the client.
func (a *API) sessionOf(req *request, token string) (sessions.Session, error) {
	caller, err := a.Verifier.VerifyOwn(req.Context(), token)
	switch {
	case err != nil && a.Verifier.Trust(a.Verifier.IssuerOf(token)) != nil:
		return sessions.Session{}, errForeignToken
	case err != nil && a.Verifier.IssuerOf(token) != a.Issuer: // it does not claim to be ours
		return sessions.Session{}, sessions.ErrNotFound
	case err != nil:
		return sessions.Session{}, err
	case caller.ClientID != req.client.ID:
		return sessions.Session{}, sessions.ErrOtherClient
	}
	return a.Sessions.CurrentOf(req.Context(), caller)
}

// isOver reports whether an error means that there is nothing to revoke (RFC 7009 section 2.2).
// Tokens of another client are refused (section 2.1).
func isOver(err error) bool {
	_, refused := errors.AsType[*bearer.Refusal](err)
	return refused || errors.Is(err, sessions.ErrNotFound) || errors.Is(err, sessions.ErrGrant) && !errors.Is(err, sessions.ErrOtherClient)
}
