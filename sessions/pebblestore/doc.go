// Package pebblestore stores sessions in an embedded Pebble database: one directory, owned by one
// process at a time.
//
// The path of an operation:
//
//	Create, Update   gate → lock of the session → read, decide, encode → queue
//	                 → one commit and one fsync for all that queued meanwhile
//	Get              gate → lock of the session → read
//	List             gate → turn → index → rows
//	Sweep            gate → expiry index → locks of those sessions → one commit
//	Scan             gate → rows
//	Revoked          gate → log of revocations
//
// Create usually learns from a filter in memory whether the id is new and how many sessions the
// user has: see filter.go.
//
// Close waits at the gate. A session stays locked until its write is on disk, or while that is
// unknown, so that no operation sees a row that a crash could undo.
//
// # Time
//
// The machine's clock may be set back. The store's clock never goes backward, even across restarts,
// and sessions and cutoffs are ordered whatever it says: see clock.go.
//
// # A disk that fails
//
// Pebble terminates the process if it cannot write its log. To prevent that, all its writes go
// through a guard. A write that finds no space waits inside the guard until there is some;
// meanwhile the store returns sessions.ErrUnavailable at once, and reads continue. Any other failed
// write or fsync ends that database: nothing more of it reaches the disk, and its goroutines stay
// blocked. The next operation opens the directory again and recovers acknowledged writes from the
// log.
//
// # Keys
//
// A key is a kind byte, then (except in the expiry index and the log) 16 bytes of the SHA-256 of
// the realm, then:
//
//	row       id                                        → rowcodec.Encode
//	user      hash of user, kind, newest first          → hash of actor, if impersonation
//	actor     hash of actor, newest first               (impersonations only)
//	all       newest first                              (impersonations only)
//	expiry    time, realm, id                           (a lower bound of PurgeAt)
//	log       time of revocation, realm, id
//	cutoff    time, id                                  → rowcodec.EncodeCutoff
//	realm                                               → its name
//	clock       (no realm)                              → the time and the order
//
// "Newest first" is the inverted creation time, then the inverted id. Revoked rows have no entries
// in the first three indexes. A rotation changes PurgeAt but writes only the row: when the sweeper
// finds the old entry, it reads the row and moves the entry. The sweeper also truncates the log.
package pebblestore
