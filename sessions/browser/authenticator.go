package browser

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/internal/endpoint"
)

// A Verifier is what a bearer.Verifier does.
type Verifier interface {
	Holder(ctx context.Context, c bearer.Credential, own bool) (*bearer.Holder, error)
	Ended(token string)
}

// An Authenticator finds out who asks by the cookies of requests. It rotates what is due. It is
// safe for concurrent use. All of its fields but ActingHost are required.
type Authenticator struct {
	Jar      *Jar
	Verifier Verifier
	Manager  *sessions.Manager
	// ClientIP returns the address that a request came from.
	ClientIP func(*http.Request) string
	// RequestID returns the UUID that logs know a request by, or "". Default: no problem says it.
	RequestID func(*http.Request) string
	// ActingHost is the host, as in as.example.com:8443, on which impersonations alone count; ""
	// for none. A script that a user left there for whoever acts as them may well end that, and
	// does not find those people's own sessions then.
	ActingHost string
	// Undone hears what could not be done beside a request that was answered, as in "revoke a
	// session", and why.
	Undone func(what string, err error)

	rotations singleflight.Group // by refresh token: those under way on this node
	confirms  confirms
}

// Brought is what a request has in cookies of ours: the pair in use.
type Brought struct {
	Pair   Pair
	Tokens Tokens
	err    error // ErrSeveral
}

// Brought returns what the request has in cookies of ours that counts where it came. An
// impersonation takes precedence.
func (a *Authenticator) Brought(r *http.Request) Brought {
	b := a.inBrowser(r)
	if b.Pair == Own && a.ActingHost != "" && strings.EqualFold(strings.TrimSuffix(r.Host, ":443"), a.ActingHost) {
		return Brought{}
	}
	return b
}

// inBrowser is Brought wherever the request came.
func (a *Authenticator) inBrowser(r *http.Request) Brought {
	own, as, err := a.Jar.Read(r)
	if as.There() {
		return Brought{As, as, err}
	}
	return Brought{Own, own, err}
}

// There reports whether the request has any.
func (b *Brought) There() bool { return b.Tokens.There() }

// A Decision is who asks, by the cookies of a pair.
type Decision struct {
	Pair   Pair
	Holder *bearer.Holder
	grant  *sessions.Grant // what the session was rotated to on the way; nil: it was not
}

// OverError is the error for cookies of a session that is over, or of none: the pair is to be cleared.
type OverError struct {
	Pair  Pair
	cause error
}

// Error says why, for the log.
func (o *OverError) Error() string { return "session in cookies: " + o.cause.Error() }

// Unwrap returns why.
func (o *OverError) Unwrap() error { return o.cause }

var (
	errForeignToken = fmt.Errorf("%w: a token that does not belong in this cookie", sessions.ErrEnded)
	errNoRefresh    = fmt.Errorf("%w: the cookie with the refresh token is not there", sessions.ErrEnded)
)

// Authenticate returns who asks. A missing access token, or one that is not good any more, is no
// matter beside a good refresh token: the session is rotated. bearer.ErrNoToken: there are no
// cookies. ErrSeveral. *OverError: the session is over. Every other error means that it cannot be
// known now: the cookies may well be good.
func (a *Authenticator) Authenticate(r *http.Request, b *Brought) (*Decision, error) {
	switch {
	case b.err != nil:
		return nil, b.err
	case !b.There():
		return nil, bearer.ErrNoToken
	}
	why := errNoRefresh
	if b.Tokens.Access != "" {
		holder, err := a.verify(r.Context(), b.Pair, b.Tokens.Access)
		switch {
		case err == nil:
			if caller := holder.Caller(); caller.Unconfirmed() {
				a.confirm(caller)
			}
			return &Decision{Pair: b.Pair, Holder: holder}, nil
		case bearer.IsUnavailable(err):
			return nil, err
		case errors.Is(err, sessions.ErrEnded):
			return nil, &OverError{b.Pair, err}
		}
		why = err
	}
	if b.Tokens.Refresh == "" {
		return nil, &OverError{b.Pair, why}
	}
	return a.rotated(r, b)
}

// verify returns who holds an access token, while its session lives.
func (a *Authenticator) verify(ctx context.Context, pair Pair, token string) (*bearer.Holder, error) {
	holder, err := a.Verifier.Holder(ctx, bearer.Credential{Token: token}, true)
	if err != nil {
		return nil, err
	}
	caller := holder.Caller()
	if _, inCookies := caller.Claims["gen"]; !inCookies || caller.Acting != (pair == As) {
		return nil, errForeignToken
	}
	ended, err := a.Manager.Revoked(ctx, caller)
	if ended {
		a.Verifier.Ended(token)
		err = sessions.ErrEnded
	}
	return holder, err
}

// rotateTimeout bounds a rotation, which goes on when the request that began it is gone: others
// wait for the same.
const rotateTimeout = 10 * time.Second

// rotated rotates the session, and returns who asks.
func (a *Authenticator) rotated(r *http.Request, b *Brought) (*Decision, error) {
	request := &sessions.RefreshRequest{Token: b.Tokens.Refresh, Cookies: true, IP: a.ClientIP(r)}
	done := a.rotations.DoChan(b.Tokens.Refresh, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), rotateTimeout)
		defer cancel()
		var grant *sessions.Grant
		err := endpoint.Safely(func() (err error) { // a panic here would end the process
			grant, err = a.Manager.Refresh(ctx, request)
			return err
		})
		return grant, err
	})
	select {
	case <-r.Context().Done():
		return nil, fmt.Errorf("%w: %w", sessions.ErrUnavailable, r.Context().Err())
	case result := <-done:
		if errors.Is(result.Err, sessions.ErrGrant) || errors.Is(result.Err, sessions.ErrClientAuth) {
			return nil, &OverError{b.Pair, result.Err}
		}
		if result.Err != nil {
			return nil, fmt.Errorf("rotating a session in cookies: %w", result.Err)
		}
		grant := result.Val.(*sessions.Grant)
		holder, err := a.verify(r.Context(), b.Pair, grant.AccessToken)
		if err != nil && !bearer.IsUnavailable(err) { // it ended, or is good at another host
			return nil, &OverError{b.Pair, err}
		}
		return &Decision{Pair: b.Pair, Holder: holder, grant: grant}, err
	}
}

// SignedIn returns the session of the person who is signed in here, and sets on the answer what cookies it is
// to have; nil if nobody is. It is their own: impersonations do not count.
func (a *Authenticator) SignedIn(w http.ResponseWriter, r *http.Request) (*sessions.Session, error) {
	own, _, err := a.Jar.Read(r)
	if err != nil || !own.There() {
		return nil, nil //nolint:nilerr // cookies that differ do not count
	}
	decision, err := a.Authenticate(r, &Brought{Pair: Own, Tokens: own})
	var over *OverError
	switch {
	case errors.As(err, &over):
		a.Clear(w.Header(), over.Pair)
		return nil, nil
	case err != nil:
		return nil, err
	}
	a.Settle(r.Context(), w.Header(), decision)
	row, err := a.Manager.CurrentOf(r.Context(), decision.Holder.Caller())
	if errors.Is(err, sessions.ErrNotFound) {
		return nil, nil
	}
	return &row, err
}

// Who returns who asks, where an access token says so and nothing needs to be rotated; nil where
// not. It is for the log of what is refused.
func (a *Authenticator) Who(r *http.Request, b *Brought) *bearer.Holder {
	if b.err != nil || b.Tokens.Access == "" {
		return nil
	}
	if holder, err := a.verify(r.Context(), b.Pair, b.Tokens.Access); err == nil {
		return holder
	}
	return nil
}

// CrossSite reports whether a page of another origin may have made the browser send an unsafe
// request: one that says neither by Sec-Fetch-Site nor by Origin that a page of ours did.
func (a *Authenticator) CrossSite(r *http.Request) bool {
	if forward.CrossSite(r) {
		return true
	}
	// By Origin alone a page of this host that came over plain HTTP, from anybody on the way,
	// would pass for ours.
	plain := a.Jar.secure && r.Header.Get("Sec-Fetch-Site") == "" && strings.HasPrefix(r.Header.Get("Origin"), "http:")
	return plain && forward.Unsafe(r)
}
