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

// A Verifier is the part of bearer.Verifier that is needed here.
type Verifier interface {
	Holder(ctx context.Context, c bearer.Credential, own bool) (*bearer.Holder, error)
	MarkRevoked(token string)
}

// An Authenticator authenticates requests by their cookies, and rotates sessions that are due. It
// is safe for concurrent use. All fields except ActingHost and RequestID are required.
type Authenticator struct {
	Jar      *Jar
	Verifier Verifier
	Manager  *sessions.Manager
	// ClientIP returns the client's address of a request.
	ClientIP func(*http.Request) string
	// RequestID returns the UUID of the request in the logs, or "". By default, no problem document
	// contains one.
	RequestID func(*http.Request) string
	// ActingHost is the name of a separate host, as in as.example.com, on which only impersonations
	// count, whatever the port, since cookies go to all of them; "" for none. A script that a user
	// planted there for their impersonator can then end the impersonation, but never sees the
	// impersonator's own session.
	ActingHost string
	// Incomplete is called with what could not be done in addition to a request that was answered,
	// such as "revoke a session", and why.
	Incomplete func(what string, err error)

	rotations     singleflight.Group // by refresh token: rotations under way on this node
	confirmations confirmations
}

// Credential is the pair of our cookies that a request uses.
type Credential struct {
	Pair   Pair
	Tokens Tokens
	err    error // ErrSeveral
}

// Credential returns the pair of our cookies that counts at the host of the request. An
// impersonation takes precedence.
func (a *Authenticator) Credential(r *http.Request) Credential {
	b := a.credentialAtAnyHost(r)
	if b.Pair == Own && a.ActingHost != "" && strings.EqualFold(HostName(r.Host), a.ActingHost) {
		return Credential{}
	}
	return b
}

// HostName returns the name of a host, without a port and a dot at the end. It does not allocate.
func HostName(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		host = host[:colon]
	}
	return strings.TrimSuffix(host, ".")
}

// credentialAtAnyHost is Credential for any host.
func (a *Authenticator) credentialAtAnyHost(r *http.Request) Credential {
	own, as, err := a.Jar.Read(r)
	if as.Present() {
		return Credential{As, as, err}
	}
	return Credential{Own, own, err}
}

// Present reports whether the request has any of the cookies.
func (b *Credential) Present() bool { return b.Tokens.Present() }

// A Decision is the result of authenticating the cookies of a pair.
type Decision struct {
	Pair   Pair
	Holder *bearer.Holder
	grant  *sessions.Grant // result of a rotation; nil if there was none
}

// OverError is the error for cookies whose session is over or unknown: the pair is to be cleared.
type OverError struct {
	Pair  Pair
	cause error
}

// Error returns the reason, for the log.
func (o *OverError) Error() string { return "session in cookies: " + o.cause.Error() }

// Unwrap returns the reason.
func (o *OverError) Unwrap() error { return o.cause }

var (
	errForeignToken = fmt.Errorf("%w: a token that does not belong in this cookie", sessions.ErrRevoked)
	errNoRefresh    = fmt.Errorf("%w: the cookie with the refresh token is missing", sessions.ErrRevoked)
)

// Authenticate authenticates the request. If the access token is missing or no longer valid and the
// refresh token is valid, the session is rotated. The error is bearer.ErrNoToken if there are no
// cookies, ErrSeveral if they conflict, and an *OverError if the session is over. Any other error
// means that it is unknown: the cookies may be valid.
func (a *Authenticator) Authenticate(r *http.Request, b *Credential) (*Decision, error) {
	switch {
	case b.err != nil:
		return nil, b.err
	case !b.Present():
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
		case errors.Is(err, sessions.ErrRevoked):
			return nil, &OverError{b.Pair, err}
		}
		why = err
	}
	if b.Tokens.Refresh == "" {
		return nil, &OverError{b.Pair, why}
	}
	return a.rotate(r, b)
}

// verify returns the holder of an access token if its session is live.
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
		a.Verifier.MarkRevoked(token)
		err = sessions.ErrRevoked
	}
	return holder, err
}

// rotateTimeout limits a rotation, which continues when its request has gone: others may wait for
// it.
const rotateTimeout = 10 * time.Second

// rotate rotates the session and returns the result.
func (a *Authenticator) rotate(r *http.Request, b *Credential) (*Decision, error) {
	request := &sessions.RefreshRequest{Token: b.Tokens.Refresh, Cookies: true, IP: a.ClientIP(r)}
	done := a.rotations.DoChan(b.Tokens.Refresh, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), rotateTimeout)
		defer cancel()
		var grant *sessions.Grant
		err := endpoint.Recover(func() (err error) { // a panic here would crash the process
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
		if err != nil && !bearer.IsUnavailable(err) { // the session has ended, or belongs to another host
			return nil, &OverError{b.Pair, err}
		}
		return &Decision{Pair: b.Pair, Holder: holder, grant: grant}, err
	}
}

// SignedIn returns the own session of the person who is signed in here, or nil, and sets the
// cookies of the response. Impersonations do not count.
func (a *Authenticator) SignedIn(w http.ResponseWriter, r *http.Request) (*sessions.Session, error) {
	own, _, err := a.Jar.Read(r)
	if err != nil || !own.Present() {
		return nil, nil //nolint:nilerr // conflicting cookies do not count
	}
	decision, err := a.Authenticate(r, &Credential{Pair: Own, Tokens: own})
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

// Who returns the holder of the access token if it is valid without a rotation, and else nil. It is
// for logging refused requests.
func (a *Authenticator) Who(r *http.Request, b *Credential) *bearer.Holder {
	if b.err != nil || b.Tokens.Access == "" {
		return nil
	}
	if holder, err := a.verify(r.Context(), b.Pair, b.Tokens.Access); err == nil {
		return holder
	}
	return nil
}

// CrossSite reports whether a page of another origin may have caused the browser to send an unsafe
// request: neither Sec-Fetch-Site nor Origin shows that a page of ours did.
func (a *Authenticator) CrossSite(r *http.Request) bool {
	if forward.CrossSite(r) {
		return true
	}
	// With Origin alone, a page of this host that was delivered over plain HTTP, by anyone on the
	// network path, would pass for ours.
	plain := a.Jar.secure && r.Header.Get("Sec-Fetch-Site") == "" && strings.HasPrefix(r.Header.Get("Origin"), "http:")
	return plain && forward.Unsafe(r)
}
