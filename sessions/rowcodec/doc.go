// Package rowcodec encodes sessions and cutoffs for stores, and decodes them. Both are JSON objects
// (RFC 8259):
//
//	member "v"   the version of the encoding; it comes first. A row has the lowest that can
//	             represent it: 2 if its tokens live in cookies or it is pending, else 1
//	times        Unix milliseconds
//	bytes        base64url in sessions, base64 in cutoffs
//	empty        omitted
//
// Realm and ID are the key, and not part of the value, nor is the time of a cutoff. A release reads
// its own version and all earlier ones. An unknown version is ErrNewer, and a value that cannot be
// decoded wraps sessions.ErrUnavailable: what a session is, or what a cutoff revokes, is never
// guessed.
package rowcodec
