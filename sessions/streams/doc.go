// Package streams ends what stays open for a session when the session ends: the
// WebSockets, server-sent events and long downloads that were let through while it
// was live.
//
//	the session is revoked       at once: the deny set tells
//	a cutoff ends it             the same
//	long after its last token    at once: whoever ended it tells (Registry.End), for
//	                             the deny set only keeps who could still have a token
//	its access token is over     the store is asked whether the session goes on,
//	its idle or absolute end     and again whenever it would be over
//	blind (revocation.Watcher)     each second what a request would be asked
//
// No stream costs the store anything before its access token is over.
package streams
