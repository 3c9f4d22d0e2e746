// Package signin signs people in at an identity provider: by the authorization code flow of
// OpenID Connect Core 1.0 section 3.1, with PKCE (RFC 7636, S256), state, nonce, and the issuer of
// the answer (RFC 9207).
//
//	Begin    a cookie for this one flow, sealed    → the provider's address, for the browser
//	Finish   state      the cookie of this browser → or ErrUnknown; it is good once
//	         iss        the provider that was asked
//	         error      what the provider says     → ErrRefused, ErrUnavailable
//	         code       swapped with the verifier  → the ID token
//	         ID token   by bearer.Verifier, nonce  → sessions.Caller
//
// It knows no sessions of ours and sets no cookies but those of flows: what a caller gets is its
// user's business. The ID token is verified as the bearer tokens of the issuer are, by the same
// keys; access and refresh tokens of the provider are dropped where they arrive.
package signin
