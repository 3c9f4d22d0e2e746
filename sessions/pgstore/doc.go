// Package pgstore keeps sessions in a PostgreSQL database that several nodes share.
//
//	Create                   a lock of the user and one statement, sent as one; one more where a
//	                         session that is to begin is there already
//	Rotate, Revoke           one statement, one round trip
//	Update                   read, decide, compare-and-set on rev; again if another was faster
//	Follow                   LISTEN on a connection apart; else a poll each 250 ms
//
// A statement is prepared on each connection the first time that it is said there, which takes one
// more round trip. Behind a pooler, such as PgBouncer in transaction mode, or where the DSN says
// default_query_exec_mode=cache_describe, nothing is prepared.
//
// The server's clock decides: each statement reads it once. What begins is put after the
// cutoffs that its statement sees, and a cutoff no sooner than the newest session that it
// ends: so their order needs no clock, and a failover to a server whose clock is behind
// changes nothing. Behind a PgBouncer in transaction mode, LISTEN must go past that
// (Options.ListenDSN), or the log of revocations is polled.
//
// # The schema
//
//	sessions      a row a session: what does not change in a rotation as rowcodec.Encode gives
//	              it, the rest in columns that a statement can compare and set
//	revocations   who was ended and when, for two hours, also when the row is swept
//	cutoffs       those of bulk revocations
//	identity      a text that no other store has
//	marks         of logouts
//	version       of the schema: 4; releases that know 1, 2 or 3 go on with it
//
// Whichever node comes first makes or migrates it, under an advisory lock. Rows that
// are revoked are in no index but that of the sweeper, whose due_at is PurgeAt or
// before: a rotation leaves it, and every other column of an index, alone, so that it
// writes the row and no index (a HOT update, for which pages keep room).
//
// # Rights
//
// The role may own the schema, or be one that can only use it. Then a role that owns it
// starts a node once, and again when a release migrates:
//
//	CREATE ROLE owner LOGIN PASSWORD '...';
//	CREATE ROLE sidecar LOGIN PASSWORD '...';
//	CREATE SCHEMA auth_sessions AUTHORIZATION owner;
//	GRANT USAGE ON SCHEMA auth_sessions TO sidecar;
//	ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA auth_sessions
//		GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sidecar;
//
// Nothing else is needed: LISTEN, NOTIFY and advisory locks are everybody's.
//
// # What is acknowledged
//
// A statement that is answered is committed, as synchronous_commit says, which is left
// as it is; Open warns where it is off, or fsync. When an answer does not come nobody
// knows, and the error is sessions.ErrUnavailable.
package pgstore
