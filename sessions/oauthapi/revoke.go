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

// revoke answers POST <path>/revoke (RFC 7009): the session of the token is revoked, and with
// it all of its tokens. A token that is not good, or no longer, is revoked already. The answer
// is an object, since clients parse it.
func (a *API) revoke(w http.ResponseWriter, r *http.Request) error {
	req, err := a.read(w, r)
	if err != nil {
		return err
	}
	token := req.Get("token")
	if token == "" {
		return errNoToken
	}
	// The hint says nothing that the token does not say better.
	var session sessions.Session
	if isRefreshToken(token) {
		session, err = a.Sessions.Current(req.Context(), a.presented(req, token))
	} else {
		session, err = a.ofAccessToken(req, token)
	}
	if err == nil {
		err = a.Sessions.SignOut(req.Context(), &session, req.ip)
	}
	if err != nil && !isOver(a.refused(req, err)) {
		return err
	}
	endpoint.Write(w, http.StatusOK, "application/json", []byte("{}"))
	return nil
}

// presented is a refresh token as the client presents it.
func (*API) presented(req *request, token string) *sessions.RefreshRequest {
	return &sessions.RefreshRequest{Token: token, Client: req.client.ID, IP: req.ip}
}

// isRefreshToken reports whether a token says that it is a refresh token of ours.
func isRefreshToken(token string) bool {
	parsed, err := jose.Parse(token)
	return err == nil && parsed.Header.Type == keyring.RefreshTokenType
}

// ofAccessToken returns the session of an access token that the client was issued.
func (a *API) ofAccessToken(req *request, token string) (sessions.Session, error) {
	caller, err := a.Verifier.VerifyOwn(req.Context(), token)
	switch {
	case err != nil && a.Verifier.Trust(a.Verifier.IssuerOf(token)) != nil:
		return sessions.Session{}, errForeignToken
	case err != nil && a.Verifier.IssuerOf(token) != a.Issuer: // it does not say that it is ours
		return sessions.Session{}, sessions.ErrNotFound
	case err != nil:
		return sessions.Session{}, err
	case caller.ClientID != req.client.ID:
		return sessions.Session{}, sessions.ErrOtherClient
	}
	return a.Sessions.CurrentOf(req.Context(), caller)
}

// isOver reports whether an error says that there is nothing to revoke, or no more (RFC 7009
// section 2.2). What is another client's is refused (section 2.1).
func isOver(err error) bool {
	_, refused := errors.AsType[*bearer.Refusal](err)
	return refused || errors.Is(err, sessions.ErrNotFound) || errors.Is(err, sessions.ErrGrant) && !errors.Is(err, sessions.ErrOtherClient)
}
