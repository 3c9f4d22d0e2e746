// Package browser keeps the tokens of sessions in cookies of a browser, for people: what a
// session of the rest of the module is for programs.
//
//	Jar        the two pairs of cookies: read, set, cleared
//	API        our endpoints for browsers; the table is in endpoints.go
//
// One's own session has a pair of cookies, and so has an impersonation, which takes precedence
// while it is there: the one never moves the other. It knows no Caddy, and nothing of how the
// app is told who asks.
package browser
