// Package identity handles requests on their way to the app: it authenticates them, tells the app
// who the user is in headers that clients cannot set, and restricts impersonated sessions.
//
//	Middleware.ServeHTTP   scrub → authenticate → guard → next; failures are refused
//	scrub                  removes our headers, in all spellings, from the request
//	authenticate           verifies the credential; the result is an identity, anonymous,
//	                       or a refusal
//	setHeaders             sets headers, placeholders and the assertion
//	guard                  deny and read_only; the audit of unsafe requests; closing
//	                       streams at the end of their session
//	fail                   makes a refused request anonymous, in place, since error routes
//	                       get the same request
//
// A rule about what a request may do is a Problem in refusal.go and a line in guard.go. General
// parts that do not depend on Caddy are in sessions/forward. A request with a known session causes
// no store call. The package does not depend on how an instance is opened or configured.
package identity
