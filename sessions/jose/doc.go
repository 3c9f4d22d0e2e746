// Package jose reads and writes compact JWS (RFC 7515) and JWK (RFC 7517), and is stricter than
// both: a token has one spelling, a key has one algorithm, and a token has one key. A JWK that is
// usable with several algorithms becomes a Key for each.
//
// A token passes these steps, which do not depend on each other:
//
//	Parse         size, form, base64url, header       → *Token, nothing verified
//	Set.Lookup    "kid" and "alg" of the header       → the one *Key to try
//	Token.Verify  algorithm, signature, claims' form  → the claims
//
// No other package imports jwx. Of jwx, it uses the verifier of a single algorithm, on the bytes
// that were received: jwx itself accepts tokens that RFC 8725 says to refuse, and re-encodes the
// header before it verifies.
package jose
