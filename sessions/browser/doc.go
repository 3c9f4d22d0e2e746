// Package browser keeps the tokens of sessions in a browser's cookies. What the endpoints of other
// packages do for programs, it does for people.
//
//	Jar        the two pairs of cookies: read, set, clear
//	API        the browser endpoints; endpoints.go lists them
//
// A person's own session has one pair of cookies, and an impersonation has another, which takes
// precedence while it exists: neither ever replaces the other. The package depends neither on Caddy
// nor on how the app learns the identity of the user.
package browser
