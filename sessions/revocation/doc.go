// Package revocation makes a revoked session stop working at once, for access tokens
// too, without a call to the store for each request.
//
// A node keeps what was revoked recently in a DenyList: session ids, for as long as an
// access token can live, and cutoffs, which are bulk revocations stored as a filter and a
// time. A Watcher fills the list from the store, and from the Feed of a store that several
// nodes share; it is degraded while it cannot hear the other nodes:
//
//	                      up to date   degraded, store answers   degraded, store down
//	own sessions          memory       store, for a second       pass for DegradedGrace, then ErrUnavailable
//	impersonations        memory       store, for a second       ErrUnavailable
//
// The way of a revocation, from one node to another:
//
//	Manager.Revoke, RevokeAll   Store.Update, Store.AddCutoff   durable
//	Watcher.Deny, AddCutoff     this node refuses the access tokens
//	Feed                        Sink.Revoked, Sink.Cutoff       the others do, within milliseconds
//	Watcher.SweepCutoffs        the rows that a cutoff selects are revoked, some at a time
//
// A Watcher is the sessions.Revocations of a sessions.Manager. A store that takes part
// implements Store, and Feed where several nodes share it.
package revocation
