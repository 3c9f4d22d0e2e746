// Package revocation makes a revoked session invalid at once, including its access tokens, without
// a store call per request.
//
// A node keeps a DenyList of what was revoked recently: session ids, for as long as an access token
// can live, and cutoffs, which are bulk revocations stored as a filter and a time. A Watcher fills
// the list from the store and, if several nodes share the store, from its Feed. While it cannot
// hear the other nodes it is degraded:
//
//	                      up to date   degraded, store answers   degraded, store down
//	own sessions          memory       store, for a second       accept for DegradedGrace, then ErrUnavailable
//	impersonations        memory       store, for a second       ErrUnavailable
//
// The path of a revocation from one node to the others:
//
//	Manager.Revoke, RevokeAll   Store.Update, Store.AddCutoff   durable
//	Watcher.Deny, AddCutoff     this node refuses the access tokens
//	Feed                        Sink.Revoked, Sink.Cutoff       the others do, within milliseconds
//	Watcher.SweepCutoffs        revokes the rows that a cutoff selects, in batches
//
// A Watcher is the sessions.Revocations of a sessions.Manager. A store that supports revocation
// implements Store, and Feed if several nodes share it.
package revocation
