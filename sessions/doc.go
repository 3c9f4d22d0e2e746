// Package sessions is the domain of authsidecar: it decides whether a verified caller may have a
// session for a user, mints the tokens of that session, and decides what a presented refresh token
// does to it. It depends neither on HTTP and Caddy nor on a storage engine.
//
// A request to create a session flows one way:
//
//	bearer.Verifier   the caller's JWT     → Caller
//	Policy.Decide     Caller, user         → Decision, or ErrDenied
//	Store.Create      Session (one row)    → durable, or ErrUnavailable
//	Minter            Session              → refresh token, access token
//
// A row holds everything that its live refresh token is minted from, but no token. Minting from the
// same row gives the same bytes, and neither a stolen database nor a stolen key is enough to forge
// a token.
package sessions
