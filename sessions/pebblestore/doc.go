// Package pebblestore keeps sessions in an embedded Pebble database: one
// directory, owned by one process at a time.
//
// An operation goes this way:
//
//	Create, Update   gate → lock of the session → read, decide, encode → queue
//	                 → one commit and one fsync for all that queued meanwhile
//	Get              gate → lock of the session → read
//	List             gate → turn → index → rows
//	Sweep            gate → expiry index → locks of those sessions → one commit
//	Scan             gate → rows
//	Revoked          gate → log of ends
//
// Whether the id is new, and how many sessions the user has, Create knows from a filter in
// memory as a rule: see filter.go.
//
// The gate is what Close waits at. A session stays locked until its write is on
// the disk, or for as long as that is unknown: so no operation sees a row that a
// crash could take back.
//
// # Time
//
// The clock of the machine may be set back. That of the store never runs back, also when
// it is opened again, and what begins and what is cut off are ordered whatever it says:
// see clock.go.
//
// # A disk that fails
//
// Pebble ends the process when its log cannot be written. So it never learns of
// it: all its writing goes through a guard. A write that finds no room waits
// inside the guard until there is some; meanwhile the store answers
// sessions.ErrUnavailable at once, and reads go on. Any other failed write or
// fsync ends that database: nothing of it reaches the disk any more, its
// goroutines stay parked where they are, and the next operation opens the
// directory anew and reads from the log what was acknowledged.
//
// # Keys
//
// A key is a kind byte, then (all but the expiry index and the log) 16 bytes of the
// SHA-256 of the realm, then:
//
//	row       id                                        → rowcodec.Encode
//	user      hash of user, kind, newest first          → hash of actor, if impersonation
//	actor     hash of actor, newest first               (impersonations only)
//	all       newest first                              (impersonations only)
//	expiry    time, realm, id                           (a lower bound of PurgeAt)
//	log       time of the end, realm, id                (of what was revoked)
//	cutoff    time, id                                  → rowcodec.EncodeCutoff
//	realm                                               → its name
//	clock       (of no realm)                           → how far the time and the order are
//
// "Newest first" is the inverted time of creation, then the inverted id. Rows
// that are revoked have no entries in the first three indexes. A rotation moves
// PurgeAt away and writes the row alone: the sweeper finds the old entry, looks
// at the row, and moves the entry. The log is cut off behind by the sweeper.
package pebblestore
