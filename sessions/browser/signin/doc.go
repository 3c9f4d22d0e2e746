// Package signin signs people in at an identity provider, with the authorization code flow of
// OpenID Connect Core 1.0 section 3.1, PKCE (RFC 7636, S256), state, nonce, and the issuer of the
// response (RFC 9207).
//
//	Begin    encrypted cookie for this one flow        → the provider's URL, for the browser
//	Finish   state      the cookie of this browser     → or ErrUnknown; it is valid once
//	         iss        the provider that was asked
//	         error      of the provider                → ErrRefused, ErrUnavailable
//	         code       exchanged, with the verifier   → the ID token
//	         ID token   by bearer.Verifier, nonce      → sessions.Caller
//
// The package does not depend on sessions of ours, and sets no cookies other than those of flows:
// what to do with the caller is up to its user. The ID token is verified like the bearer tokens of
// the issuer, with the same keys. Access and refresh tokens of the provider are discarded.
package signin
