package oauthapi

import (
	"errors"
	"net/http"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
)

// A description is the response about a token. For a token that is not active it says only that,
// for every reason (RFC 7662 section 2.2).
type description struct {
	Active    bool          `json:"active"`
	TokenType string        `json:"token_type,omitzero"`
	Issuer    string        `json:"iss,omitzero"`
	Subject   string        `json:"sub,omitzero"`
	Client    string        `json:"client_id,omitzero"`
	Session   string        `json:"sid,omitzero"`
	ID        string        `json:"jti,omitzero"`
	Audience  any           `json:"aud,omitzero"`
	Issued    int64         `json:"iat,omitzero"`
	Expires   int64         `json:"exp,omitzero"`
	Actor     *actorOfToken `json:"act,omitzero"`
}

// An actorOfToken is the actor of a token (RFC 8693 section 4.1).
type actorOfToken struct {
	Subject string `json:"sub"`
	Issuer  string `json:"iss"`
}

// introspect answers POST <path>/introspect (RFC 7662). Any confidential client may ask about an
// access token that was presented to it, but only a refresh token's own client about that.
func (a *API) introspect(w http.ResponseWriter, r *http.Request) error {
	req, err := a.read(w, r)
	if err != nil {
		return err
	}
	if req.client.Public { // section 2.1: otherwise anyone could test tokens
		a.countFailure(req, req.client.ID)
		return errClient
	}
	token := req.Get("token")
	if token == "" {
		return errNoToken
	}
	description, err := a.describe(req, token)
	if err != nil {
		return err
	}
	endpoint.WriteJSON(w, http.StatusOK, "application/json", description)
	return nil
}

// describe returns the description of a token.
func (a *API) describe(req *request, token string) (*description, error) {
	caller, err := a.Verifier.VerifyOwn(req.Context(), token)
	if err == nil {
		revoked, err := a.Sessions.Revoked(req.Context(), caller)
		if err != nil || revoked {
			return new(description), err
		}
		return describeAccess(caller), nil
	}
	if isRefreshToken(token) {
		session, err := a.Sessions.Introspect(req.Context(), a.presented(req, token))
		if err == nil {
			return describeRefresh(a.Issuer, &session), nil
		}
		if errors.Is(err, sessions.ErrGrant) {
			err = nil
		}
		return new(description), err
	}
	if _, refused := errors.AsType[*bearer.Refusal](err); refused {
		err = nil
	}
	return new(description), err
}

// describeAccess describes one of our access tokens by its claims.
func describeAccess(c *sessions.Caller) *description {
	text := func(name string) string {
		text, _ := c.Claims[name].(string)
		return text
	}
	d := &description{
		Active: true, TokenType: "Bearer", Issuer: text("iss"), Subject: text("sub"), Client: text("client_id"),
		Session: text("sid"), ID: text("jti"), Audience: c.Claims["aud"], Expires: c.ExpiresAt.Unix(),
	}
	d.Issued, _ = c.Claims["iat"].(int64)
	if c.Acting {
		d.Actor = &actorOfToken{Subject: c.Actor.Subject, Issuer: c.Actor.Issuer}
	}
	return d
}

// describeRefresh describes a refresh token by its session.
func describeRefresh(issuer string, s *sessions.Session) *description {
	d := &description{
		Active: true, TokenType: "N_A", Issuer: issuer, Subject: s.UserID, Client: s.ClientID, Session: s.ID,
		Issued: s.RotatedAt.Unix(), Expires: s.End().Unix(),
	}
	if s.Impersonation {
		d.Actor = &actorOfToken{Subject: s.Actor.Subject, Issuer: s.Actor.Issuer}
	}
	return d
}
