// Package streams ends what stays open for a session when the session ends: the
// WebSockets, server-sent events and long downloads that were let through while it
// was live.
//
//	the session is revoked         at once, by the deny list
//	a cutoff covers it             the same
//	long after its last token      at once, by who revokes it (Registry.End): the deny
//	                               list only keeps who could still have a token
//	its access token has expired   the store is asked whether the session goes on,
//	                               and again at its idle or absolute end
//	the node is degraded           each second, what a request would be asked
//	(revocation.Watcher)
//
// No stream costs the store anything before its access token has expired.
package streams
