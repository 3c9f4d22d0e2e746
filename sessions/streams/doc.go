// Package streams closes what is open for a session when the session ends: WebSockets, server-sent
// events and long downloads that were authorized while it was live.
//
//	the session is revoked         closed at once, by the deny list
//	a cutoff covers it             likewise
//	long after its last token      closed at once, by the code that revokes it
//	                               (Registry.End): the deny list only keeps sessions
//	                               that can still have a valid token
//	its access token has expired   the store is asked whether the session is live,
//	                               and again at its idle or absolute end
//	the node is degraded           every second, like a request
//	(revocation.Watcher)
//
// A stream causes no store call before its access token has expired.
package streams
