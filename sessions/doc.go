// Package sessions is the domain of authsidecar: it decides whether a verified
// caller may have a session for a user, mints the tokens of that session, and
// says what presenting a refresh token does to it. It knows no HTTP, no Caddy
// and no engine.
//
// A request to create a session flows one way:
//
//	bearer.Verifier   the caller's JWT     → Caller
//	Policy.Decide     Caller, user         → Decision, or ErrDenied
//	Store.Create      Session (one row)    → durable, or ErrUnavailable
//	Minter            Session              → refresh token, access token
//
// A row holds all that its live refresh token is minted from and no token:
// minting from the same row gives the same bytes, and neither a stolen
// database nor a stolen key is enough to forge one.
package sessions
