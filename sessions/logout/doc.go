// Package logout revokes sessions when the issuer of their caller's token reports that they are
// over: the user signed out there, was disabled, or was deleted.
//
// A Notice is such a report: a subject, or one of its sessions at the issuer ("sid"), at a time. It
// revokes sessions by what their rows recorded of the callers' tokens:
//
//	the notice names   revokes sessions whose caller's token had
//	sid                the same session at the issuer
//	sid and subject    the same sid, or that subject and no sid
//	subject            that subject, as user and as actor
//	user               that name in user_claim, if that is not the subject
//
// Rows are found by an index, never by reading all sessions: by the store's indexes of users and
// actors, and by an index of the issuers' names (Names), which a store that implements Store keeps.
// Sessions of tokens that are newer than the notice go on.
//
// Older tokens still exist, so a notice leaves marks, for as long as such a token can be valid.
// They are checked before and after each session is created (Logouts.SignedOut):
//
//	a notice     stores the marks, then finds and revokes the rows
//	a creation   checks for marks, stores the row, checks again
//
// So if a notice and a creation coincide, in any order, at least one of them sees the other.
package logout
