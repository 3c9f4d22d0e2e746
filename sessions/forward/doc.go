// Package forward says to the app behind us who is asking, in headers that nobody else
// can set. It knows requests, and no Caddy.
//
//	Names.Scrub    takes our headers out of a request, however they are spelt, and out
//	               of the lists that make a proxy drop them
//	Credential     finds the token of a request
//	DropCookies    takes the cookies out of it that are ours, and leaves those of the app
//	Of             says who the caller is to the app: Who
//	Field          renders a part of that as the value of a header
//
// A value is visible ASCII: all bytes outside of 0x21 to 0x7E, and "%", are
// percent-encoded.
package forward
