// Package rowcodec turns sessions and cutoffs into the bytes under which stores keep them,
// and back. Both are JSON objects (RFC 8259):
//
//	member "v"   the version of the encoding; it comes first. A row has the lowest that can
//	             say what it is: 2 where its tokens live in cookies, else 1
//	times        Unix milliseconds
//	bytes        base64url of sessions, base64 of cutoffs
//	empty        left out
//
// Realm and ID are the key, and not part of the value; of a cutoff its time, too. A release
// reads its own version and every earlier one. What it does not know the version of is
// ErrNewer, and what it cannot read wraps sessions.ErrUnavailable: what a
// session is, or whom a cutoff revokes, is never guessed.
package rowcodec
