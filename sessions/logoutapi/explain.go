package logoutapi

import (
	"context"
	"errors"
	"strings"
)

// IsFor reports for which endpoint of this package a token seems to be: a logout token, or a pushed
// security event. Nothing is verified.
func IsFor(typ string, claims map[string]any) (logout, pushed bool) {
	events, has := claims["events"].(map[string]any)
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "logout+jwt":
		return true, false
	case "secevent+jwt":
		return false, true
	case "", "jwt": // it does not say
		_, logout = events[logoutEvent]
		return logout, has && !logout
	default:
		return false, false
	}
}

// Explain returns why a logout token or a pushed token is refused, and what to do about it if that
// is known. The token is not applied. If it is valid, the error is nil.
func (a *API) Explain(ctx context.Context, token string, pushed bool) (mend string, err error) {
	check := a.checkLogout
	if pushed {
		check = a.checkEvent
	}
	_, err = a.Verifier.VerifySigned(ctx, token, check)
	if err != nil {
		err = refusalOf(err)
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		mend = refused.mend
	}
	return mend, err
}
