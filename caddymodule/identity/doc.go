// Package identity is what happens to a request on its way to the app: who is asking is decided,
// the app learns it by headers that nobody else can set, and impersonated sessions are kept from
// what they may not do.
//
//	Middleware.ServeHTTP   scrub → authenticate → guard → next; what fails on the way is refused
//	scrub                  our headers, in all spellings, out of what the client sent
//	authenticate           the credential, verified; anonymous, or a refusal
//	setHeaders             headers and placeholders of who is asking; the assertion
//	guard                  deny and read_only; the audit of unsafe requests; streams that end
//	                       with their session
//	fail                   whoever is refused is nobody: in place, since error routes get the
//	                       same request
//
// A rule about what a request may do is a Problem in refusal.go and a line in guard.go. What is
// read from requests and put into them in general, without Caddy, is in sessions/forward. No
// store is asked for a request whose session is known, and nothing here knows how an instance is
// opened or configured.
package identity
