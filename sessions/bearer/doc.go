// Package bearer authenticates callers: it verifies bearer JWTs of trusted issuers, and fetches the
// keys of these issuers.
//
// A token passes these steps, and the first failure ends it:
//
//	FromHeader         Authorization field         → token, or ErrNoToken, ErrMalformed
//	jose.Parse         size, form, header          → Refusal
//	issuer             unverified "iss", read      → Refusal
//	                   strictly, selects the keys
//	KeySource.Key      that issuer's key by "kid"  → Refusal, or ErrKeysUnavailable
//	jose.Token.Verify  "alg", one signature check  → Refusal
//	claims             from the verified bytes     → Refusal
//	                                               → sessions.Caller
//
// Keys come from a Static set, a File that is watched, or a Remote key set:
//
//	Remote.Load   keys that were saved before a restart; no network
//	Remote.Run    all network access, in one goroutine, until its context ends
//	Remote.Key    the current keys; waits only if they lack the kid
package bearer
