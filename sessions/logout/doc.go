// Package logout ends sessions when the issuer that vouched for them says that they are over
// there: somebody signed out, was disabled, or is gone.
//
// What an issuer says is a Notice: a subject, or one of its sessions at the issuer ("sid"), as of
// a time. What ends, by what the rows recorded of their callers' tokens:
//
//	the notice names   ends what the caller's token said
//	sid                the same one
//	sid and subject    the same sid, or that subject and no sid
//	subject            that subject, as user and as actor
//	user               the claim that names callers (user_claim), where that is not the subject
//
// A row is found by an index, never by reading all sessions: those of a store for users and
// actors, and one by the names that issuers have (Names), which a store that takes part keeps
// (Store). A session of a token that is newer than the notice goes on.
//
// Tokens from before are out there still, so a notice leaves marks, for as long as such a token
// may be good, that are asked for before and after each session is created (Logouts.SignedOut):
//
//	a notice     stores the marks, then finds and ends the rows
//	a creation   asks for marks, stores the row, asks again
//
// so of a notice and a creation at once, whatever their order, one sees the other.
package logout
