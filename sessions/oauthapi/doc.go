// Package oauthapi is the OAuth API of authsidecar, for standard clients. It decides nothing about
// sessions itself.
//
//	API.Route       ours, a variant of ours, or the app's?
//	limits          has this address failed too often?        → 429
//	readForm        parameters (RFC 6749 appendix B)          → 400, 413
//	authenticate    which client? (RFC 6749 section 2.3)      → 401
//	token           refresh (RFC 6749 section 6), or
//	                exchange, which creates (RFC 8693)        → 400, 503
//	revoke          RFC 7009                                  → 200, 400, 503
//	introspect      RFC 7662, for confidential clients        → 200, 503
//	metadata        RFC 8414 and OpenID Connect Discovery 1.0
//
// Every response is written here, errors in the form of RFC 6749 section 5.2.
package oauthapi
