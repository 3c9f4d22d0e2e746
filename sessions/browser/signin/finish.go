package signin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"authsidecar/sessions"
)

// A Verifier is the part of bearer.Verifier that is needed here.
type Verifier interface {
	Verify(ctx context.Context, token string) (*sessions.Caller, error)
}

// A Result is the result of a sign-in.
type Result struct {
	// Caller is the person who signed in, from their ID token; nil if the sign-in failed.
	Caller *sessions.Caller
	// ReturnTo is where the person was going: a path of this site. It is set even if the sign-in
	// failed, unless this browser has no such flow.
	ReturnTo string
	// Again is set if the person had to authenticate: see Client.Again.
	Again bool
}

// Finish processes the provider's response, which the browser brings, and ends its flow. The errors
// wrap ErrUnknown, ErrRefused, ErrUnavailable or ErrAnswer, or are those of bearer.Verifier.Verify:
// a *bearer.Refusal if the ID token is not valid or does not satisfy the conditions.
func (c *Client) Finish(w http.ResponseWriter, r *http.Request) (Result, error) {
	answer, err := readAnswer(r)
	if err != nil {
		return Result{}, err
	}
	f := c.flowOf(r, answer.state)
	if f == nil {
		return Result{}, ErrUnknown
	}
	c.setCookie(w, f.state, "")
	result := Result{ReturnTo: f.returnTo, Again: f.again}
	known, err := c.discover(r.Context())
	if err != nil {
		return result, err
	}
	if err := answer.check(c.Issuer, known.namesIss); err != nil {
		return result, err
	}
	idToken, err := c.exchange(r, known, f, answer.code)
	if err != nil {
		return result, err
	}
	result.Caller, err = c.verify(r.Context(), idToken, f)
	return result, err
}

// An answer is the parameters with which the provider sent the browser back (RFC 6749 section
// 4.1.2).
type answer struct{ state, code, iss, failed string }

// readAnswer reads the parameters, each of which may occur at most once (RFC 6749 section 3.1).
func readAnswer(r *http.Request) (a answer, err error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrUnknown, errTwice)
	}
	for name, into := range map[string]*string{"state": &a.state, "code": &a.code, "iss": &a.iss, "error": &a.failed} {
		if len(query[name]) > 1 {
			return a, fmt.Errorf("%w: %w", ErrUnknown, errTwice)
		}
		*into = query.Get(name)
	}
	return a, nil
}

// check returns an error unless the response has a code. The issuer is checked first: not even a
// refusal counts if it comes from another one (RFC 9207 section 2.4).
func (a *answer) check(issuer string, namesIss bool) error {
	switch {
	case a.iss != issuer && (namesIss || a.iss != ""):
		return fmt.Errorf("%w: %w", ErrAnswer, errIssuer)
	case a.failed != "":
		return codeError(a.failed)
	case a.code == "":
		return fmt.Errorf("%w: %w", ErrAnswer, errNoCode)
	default:
		return nil
	}
}

// flowOf returns the flow of this browser with that state, or nil.
func (c *Client) flowOf(r *http.Request, state string) *flow {
	flows, _ := c.pendingFlows(r)
	for _, f := range flows {
		if f.state == state {
			return f
		}
	}
	return nil
}

// exchange exchanges the code and returns the ID token. All other tokens of the provider are
// discarded.
func (c *Client) exchange(r *http.Request, known *provider, f *flow, code string) (idToken string, err error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	default:
		return "", fmt.Errorf("%w: %w", ErrUnavailable, errTooMany)
	}
	origin, _ := c.originOf(r)
	asks := known.oauth
	asks.RedirectURL = origin + CallbackPath(c.Path)
	token, err := asks.Exchange(oidc.ClientContext(r.Context(), c.http), code, oauth2.VerifierOption(f.verifier()))
	if err != nil {
		return "", exchangeError(err)
	}
	idToken, _ = token.Extra("id_token").(string)
	if idToken == "" {
		return "", fmt.Errorf("%w: %w", ErrAnswer, errNoIDToken)
	}
	return idToken, nil
}

// exchangeError returns an error of x/oauth2 without the parts that quote the response.
func exchangeError(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		switch status := refused.Response.StatusCode; {
		case refused.ErrorCode == "" && status < http.StatusInternalServerError:
			return fmt.Errorf("%w: token endpoint: status %d", ErrAnswer, status)
		case status >= http.StatusInternalServerError:
			return fmt.Errorf("%w: token endpoint: status %d", ErrUnavailable, status)
		}
		return codeError(refused.ErrorCode)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%w: token endpoint: %w", ErrUnavailable, failed.Err)
	}
	return fmt.Errorf("%w: %w", ErrAnswer, errToken)
}

// verify returns the person that an ID token identifies (OpenID Connect Core 1.0 section 3.1.3.7).
func (c *Client) verify(ctx context.Context, idToken string, f *flow) (*sessions.Caller, error) {
	caller, err := c.Verifier.Verify(ctx, idToken)
	if err != nil {
		return nil, fmt.Errorf("verifying the ID token: %w", err)
	}
	nonce, _ := caller.Claims["nonce"].(string)
	if subtle.ConstantTimeCompare([]byte(nonce), []byte(f.nonce())) != 1 {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, errNonce)
	}
	if party, has := caller.Claims["azp"]; has && party != any(c.ClientID) {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, errParty)
	}
	return caller, nil
}
