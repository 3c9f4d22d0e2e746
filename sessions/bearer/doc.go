// Package bearer determines who is calling: it verifies bearer JWTs of trusted
// issuers and knows where the keys of these issuers come from.
//
// A token flows one way, and the first no ends it:
//
//	FromHeader         Authorization field         → token, or ErrNoToken, ErrMalformed
//	jose.Parse         size, form, header          → Refusal
//	issuer             unverified "iss", read      → Refusal
//	                   strictly, picks whose keys
//	KeySource.Key      that issuer's key by "kid"  → Refusal, or ErrKeysUnavailable
//	jose.Token.Verify  "alg", one signature check  → Refusal
//	claims             from the verified bytes     → Refusal
//	                                               → sessions.Caller
//
// Keys come from a Static set, a File that is watched, or a Remote key set:
//
//	Remote.Load   what was remembered before a restart; no network
//	Remote.Run    all that goes over the network, in one goroutine, until its context ends
//	Remote.Key    the keys at hand; waits only where they do not know the kid
package bearer
