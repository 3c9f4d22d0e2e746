package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
)

// authenticate authenticates the request, or refuses it. settle sets headers of the response that
// follow from that; it may be nil.
func (m *Middleware) authenticate(w http.ResponseWriter, r *http.Request) (who *identity, settle settleFunc, err error) {
	who, settle, decided, err := m.authenticateCookies(r)
	if !decided {
		who, err = m.authenticateCredential(w, r)
	}
	return who, settle, err
}

// authenticateCredential is authenticate without the cookies of browser.
func (m *Middleware) authenticateCredential(w http.ResponseWriter, r *http.Request) (*identity, error) {
	credential, who, err := m.credential(r)
	switch {
	case err == nil && credential.Cookie && forward.HasSmuggledToken(r, m.Issuer): // in addition to it
		return m.refuse(r, &refusal{Problem: errTokens, cause: bearer.ErrMalformed})
	case err == nil && credential.Cookie && forward.CrossSite(r):
		return m.refuse(r, &refusal{Problem: errCrossOrigin, who: who})
	case err == nil:
		m.keepCookie(r, credential.Token)
		return who, nil
	case errors.Is(err, bearer.ErrNoToken) && len(r.Header["Authorization"]) == 0:
		m.keepCookie(r, "")
		return m.anonymous(r, err)
	case bearer.IsUnavailable(err):
		return nil, m.unavailable(err)
	case forward.HasSmuggledToken(r, m.Issuer), errors.Is(err, forward.ErrSeveral):
		return m.refuse(r, &refusal{Problem: badToken(err, credential), cause: err})
	case credential.Cookie && m.hasOwnCookie(r):
		return m.handleInvalidCookie(w, r, err)
	default: // somebody else's token, which the app may understand
		m.keepCookie(r, "")
		return m.anonymous(r, err)
	}
}

// keepCookie removes the cookies with our tokens from a request, except the one that decided: an
// app that reads its cookie itself then never sees a session that was not guarded.
func (m *Middleware) keepCookie(r *http.Request, decided string) {
	if m.Cookie != "" && !m.Shadow {
		forward.DropCookies(r, m.Issuer, m.Cookie, decided, false)
	}
}

// credential finds the credential of a request, and the identity of its holder. Of several cookies,
// the valid one counts.
func (m *Middleware) credential(r *http.Request) (forward.Credential, *identity, error) {
	c, err := forward.Find(r, m.Cookie)
	if errors.Is(err, bearer.ErrNoToken) && m.AcceptCallers {
		return m.fromTokenHeader(r)
	}
	if err != nil {
		return c, nil, err
	}
	who, err := m.verify(r.Context(), c.Token)
	for _, token := range c.Others {
		other, why := m.verify(r.Context(), token)
		switch ours, _ := forward.ClaimsIssuer(token, m.Issuer); {
		case bearer.IsUnavailable(err):
			return c, nil, err
		case err == nil && why == nil:
			return c, nil, forward.ErrSeveral
		case why == nil, err != nil && ours, bearer.IsUnavailable(why): // the error that says more
			c.Token, who, err = token, other, why
		}
	}
	return c, who, err
}

// fromTokenHeader returns the token in a header of its issuer, and the identity of its holder. It
// counts like a cookie: requests that a page makes a browser send have it too.
func (m *Middleware) fromTokenHeader(r *http.Request) (forward.Credential, *identity, error) {
	found, err := m.Verifier.Find(r.Header)
	if err != nil {
		return forward.Credential{}, nil, err
	}
	credential := forward.Credential{Token: found.Token, Cookie: true}
	holder, err := m.Verifier.Holder(r.Context(), found, false)
	if err != nil {
		return credential, nil, err
	}
	if cause := m.Open(r.Context()); cause != nil {
		return credential, nil, fmt.Errorf("%w: %w", sessions.ErrUnavailable, cause)
	}
	return credential, m.identify(holder), nil
}

// verify returns the identity of a token's holder, if the app accepts that kind of token.
func (m *Middleware) verify(ctx context.Context, token string) (*identity, error) {
	if cause := m.Open(ctx); cause != nil {
		return nil, m.checkUnopened(ctx, token, cause)
	}
	holder, err := m.hold(ctx, token)
	if err != nil {
		return nil, err
	}
	who := m.identify(holder)
	if !who.own {
		return who, nil
	}
	caller := who.caller()
	ended, err := m.Manager.Revoked(ctx, &caller)
	if ended {
		m.Verifier.MarkRevoked(token)
		err = sessions.ErrRevoked
	}
	return who, err
}

func (m *Middleware) hold(ctx context.Context, token string) (*bearer.Holder, error) {
	return m.Verifier.Holder(ctx, bearer.Credential{Token: token}, !m.AcceptCallers)
}

// checkUnopened is verify while the store or the keys are not open: the result is unavailable for a
// token that would be valid, or would have to be looked up. Other tokens fail as usual.
func (m *Middleware) checkUnopened(ctx context.Context, token string, cause error) error {
	if ours, _ := forward.ClaimsIssuer(token, m.Issuer); !ours {
		if _, err := m.hold(ctx, token); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %w", sessions.ErrUnavailable, cause)
}

// hasOwnCookie reports whether a cookie with the configured name claims to be a token of ours.
func (m *Middleware) hasOwnCookie(r *http.Request) bool {
	return slices.ContainsFunc(r.CookiesNamed(m.Cookie), func(cookie *http.Cookie) bool {
		ours, _ := forward.ClaimsIssuer(cookie.Value, m.Issuer)
		return ours
	})
}
