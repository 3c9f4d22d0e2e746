package oauthapi

import (
	"errors"
	"net/http"
	"strconv"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/strictjson"
)

// inactive is all that is said of a token that is not good, whatever the reason (RFC 7662
// section 2.2).
var inactive = []byte(`{"active":false}`)

// introspect answers POST <path>/introspect (RFC 7662). Any confidential client may ask about
// an access token that was brought to it; about a refresh token its own client alone.
func (a *API) introspect(w http.ResponseWriter, r *http.Request) error {
	req, err := a.read(w, r)
	if err != nil {
		return err
	}
	if req.client.Public { // section 2.1: or anybody could try tokens out
		a.limit.failed(req.ip)
		return errClient
	}
	token := req.get("token")
	if token == "" {
		return errNoToken
	}
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	*scratch, err = a.describe((*scratch)[:0], req, token)
	if err != nil {
		return err
	}
	endpoint.Write(w, http.StatusOK, "application/json", *scratch)
	return nil
}

// describe writes what is to say of a token.
func (a *API) describe(dst []byte, req *request, token string) ([]byte, error) {
	caller, err := a.Verifier.VerifyOwn(req.Context(), token)
	if err == nil {
		revoked, err := a.Sessions.Revoked(req.Context(), caller)
		if err != nil || revoked {
			return append(dst, inactive...), err
		}
		return appendAccess(dst, caller), nil
	}
	if isRefreshToken(token) {
		session, err := a.Sessions.Current(req.Context(), a.presented(req, token))
		if err == nil {
			return appendRefresh(dst, a.Issuer, &session), nil
		}
		if errors.Is(err, sessions.ErrGrant) {
			err = nil
		}
		return append(dst, inactive...), err
	}
	if _, refused := errors.AsType[*bearer.Refusal](err); refused {
		err = nil
	}
	return append(dst, inactive...), err
}

// appendAccess describes an access token of ours by its claims.
func appendAccess(dst []byte, c *sessions.Caller) []byte {
	dst = append(dst, `{"active":true,"token_type":"Bearer"`...)
	for _, name := range [...]string{"iss", "sub", "client_id", "sid", "jti"} {
		text, _ := c.Claims[name].(string)
		dst = appendText(dst, name, text)
	}
	dst = append(append(append(dst, `,"aud":`...), audienceOf(c)...), `,"iat":`...)
	issued, _ := c.Claims["iat"].(int64)
	dst = append(strconv.AppendInt(dst, issued, 10), `,"exp":`...)
	dst = strconv.AppendInt(dst, c.ExpiresAt.Unix(), 10)
	if c.Acting {
		dst = appendActor(dst, &c.Actor)
	}
	return append(dst, '}')
}

// audienceOf returns the audience of a token of ours as JSON.
func audienceOf(c *sessions.Caller) []byte {
	if text, ok := c.Claims["aud"].(string); ok {
		return strictjson.AppendQuoted(nil, text)
	}
	list, _ := c.Claims["aud"].([]any)
	dst := []byte{'['}
	for i, item := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		text, _ := item.(string)
		dst = strictjson.AppendQuoted(dst, text)
	}
	return append(dst, ']')
}

// appendRefresh describes a refresh token by its session.
func appendRefresh(dst []byte, issuer string, s *sessions.Session) []byte {
	dst = append(dst, `{"active":true,"token_type":"N_A"`...)
	dst = appendText(dst, "iss", issuer)
	dst = appendText(dst, "sub", s.UserID)
	dst = appendText(dst, "client_id", s.ClientID)
	dst = appendText(dst, "sid", s.ID)
	dst = strconv.AppendInt(append(dst, `,"iat":`...), s.RotatedAt.Unix(), 10)
	dst = strconv.AppendInt(append(dst, `,"exp":`...), s.End().Unix(), 10)
	if s.Impersonation {
		dst = appendActor(dst, &s.Actor)
	}
	return append(dst, '}')
}

// appendText writes a member that follows others; name needs no escapes.
func appendText(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return strictjson.AppendQuoted(dst, value)
}

// appendActor writes who acts (RFC 8693 section 4.1).
func appendActor(dst []byte, actor *sessions.Principal) []byte {
	dst = strictjson.AppendQuoted(append(dst, `,"act":{"sub":`...), actor.Subject)
	return append(strictjson.AppendQuoted(append(dst, `,"iss":`...), actor.Issuer), '}')
}
