// Package forward tells the app who the user is, in headers that clients cannot set. It depends on
// net/http, but not on Caddy.
//
//	Names.Scrub    removes our headers from a request, in any spelling, and from
//	               the lists that would make a proxy drop them
//	Credential     finds the token of a request
//	DropCookies    removes our cookies and keeps those of the app
//	Of             returns who the caller is to the app: Who
//	Field          renders a part of that as the value of a header
//
// Values are visible ASCII: bytes outside 0x21 to 0x7E, and "%", are percent-encoded.
package forward
