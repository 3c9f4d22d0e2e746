package oauthapi

import (
	"cmp"
	"net/http"

	"authsidecar/sessions"
)

// Token types (RFC 8693 section 3). TokenTypeUserID is our own: the subject_token is a plain user
// id, and the actor_token authenticates the caller.
const (
	TokenTypeUserID = "urn:auth-sessions:token-type:user-id" //nolint:gosec // the name of a type

	tokenTypeAccess  = "urn:ietf:params:oauth:token-type:access_token"  //nolint:gosec // as above
	tokenTypeRefresh = "urn:ietf:params:oauth:token-type:refresh_token" //nolint:gosec // as above
	tokenTypeID      = "urn:ietf:params:oauth:token-type:id_token"      //nolint:gosec // as above
	tokenTypeJWT     = "urn:ietf:params:oauth:token-type:jwt"           //nolint:gosec // as above
)

// exchange answers a token exchange (RFC 8693): the standard way to create a session. The same
// policy decides.
func (a *API) exchange(w http.ResponseWriter, req *request) error {
	issued := cmp.Or(req.Get("requested_token_type"), tokenTypeAccess)
	if issued != tokenTypeAccess && issued != tokenTypeRefresh {
		return errRequested
	}
	if err := a.checkRequested(req.form); err != nil {
		return err
	}
	caller, user, err := a.parties(req)
	if err != nil {
		return err
	}
	grant, err := a.Sessions.Create(req.Context(), &sessions.CreateRequest{
		Caller: caller, UserID: user, Reason: req.Get("reason"), ClientID: req.client.ID, ClientAuthenticated: !req.client.Public, IP: req.ip, UserAgent: req.UserAgent(),
	})
	if err != nil {
		return err
	}
	writeGrant(w, grant, issued)
	return nil
}

// parties returns the caller and the user:
//
//	subject_token   actor_token    caller        user
//	a user id       token          the actor     that user id
//	token           another token  the actor     the subject
//	token           -              the subject   the subject
func (a *API) parties(req *request) (caller *sessions.Caller, user string, err error) {
	token, actor := req.Get("subject_token"), req.Get("actor_token")
	kind, actorKind := req.Get("subject_token_type"), req.Get("actor_token_type")
	switch {
	case token == "" || kind == "":
		return nil, "", errSubject
	case (actor == "") != (actorKind == ""):
		return nil, "", errActor
	case kind == TokenTypeUserID && actor == "":
		return nil, "", errNoActor
	case kind == TokenTypeUserID:
		caller, err = a.callerOf(req, actor, actorKind)
		return caller, token, err
	}
	subject, err := a.subjectOf(req, token, kind)
	if err != nil || actor == "" {
		return subject, subjectID(subject), err
	}
	if caller, err = a.callerOf(req, actor, actorKind); err != nil {
		return nil, "", err
	}
	if !mayAct(subject, caller) {
		return nil, "", errMayAct
	}
	return caller, subjectID(subject), nil
}

func subjectID(c *sessions.Caller) string {
	if c == nil {
		return ""
	}
	return c.Subject
}

// callerOf returns the caller of a token, which must be one of a trusted issuer, for us.
func (a *API) callerOf(req *request, token, kind string) (*sessions.Caller, error) {
	switch kind {
	case tokenTypeJWT, tokenTypeAccess, tokenTypeID:
	default:
		return nil, errTokenType
	}
	caller, err := a.Verifier.Verify(req.Context(), token)
	return caller, a.countRefused(req, err)
}

// subjectOf is callerOf for a token that identifies the user: the caller must be a person who is a
// user here, and not act on behalf of anyone.
func (a *API) subjectOf(req *request, token, kind string) (*sessions.Caller, error) {
	subject, err := a.callerOf(req, token, kind)
	if err == nil && (subject.Own || subject.Acting || !subject.IsUser()) {
		return nil, errUser
	}
	return subject, err
}

// mayAct reports whether a subject's token permits the actor: if it names who may act (RFC 8693
// section 4.4), all others are excluded. It allows nothing that the policy refuses.
func mayAct(subject, actor *sessions.Caller) bool {
	value, said := subject.Claims["may_act"]
	if !said {
		return true
	}
	named, _ := value.(map[string]any)
	if _, named := named["iss"]; !named && actor.Issuer != subject.Issuer { // a subject is relative to its issuer
		return false
	}
	for name, want := range named {
		text, isText := want.(string)
		if !isText || actor.Claims[name] != any(text) {
			return false
		}
	}
	_, has := named["sub"]
	return has
}
