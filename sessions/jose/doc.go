// Package jose reads and writes compact JWS (RFC 7515) and JWK (RFC 7517) and
// is stricter than both: one spelling a token, one algorithm a key, one key a
// token. A JWK that is good for several algorithms is a Key for each of them.
//
// A token goes one way, and each step knows nothing of the next:
//
//	Parse         size, form, base64url, header       → *Token, nothing verified
//	Set.Lookup    "kid" and "alg" of the header       → the one *Key to try
//	Token.Verify  algorithm, signature, claims' form  → the claims
//
// It is the only package that imports jwx, of which it uses the verifier of one
// algorithm, on the bytes that came: jwx by itself accepts what RFC 8725 says to
// refuse, and reads a header and writes it anew before it verifies.
package jose
