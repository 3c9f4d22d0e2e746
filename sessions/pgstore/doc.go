// Package pgstore stores sessions in a PostgreSQL database that several nodes can share.
//
//	Create                   a lock of the user and one statement, sent together; another
//	                         statement if a session that is to begin exists already
//	Rotate, Revoke           one statement, one round trip
//	Update                   read, decide, compare-and-set on rev; again after a conflict
//	Follow                   LISTEN on a separate connection, or a poll every 250 ms
//
// A statement is prepared on each connection when it is first used there, which takes one more
// round trip. Behind a pooler, such as PgBouncer in transaction mode, or if the DSN has
// default_query_exec_mode=cache_describe, nothing is prepared.
//
// The server's clock decides: each statement reads it once. A session that begins gets a position
// after the cutoffs that its statement sees, and a cutoff one that is not before the newest session
// that it revokes: so their order does not depend on the clock, even after a failover to a server
// whose clock is behind. Behind PgBouncer in transaction mode, LISTEN must bypass the pooler
// (Options.ListenDSN); otherwise the log of revocations is polled.
//
// # The schema
//
//	sessions      a row per session: fields that rotations do not change in the encoding of
//	              rowcodec, the others in columns that a statement can compare and set
//	revocations   what was revoked and when, for two hours, even after the row is swept
//	cutoffs       bulk revocations
//	identity      a text that no other store has
//	marks         of logouts
//	version       of the schema: 4; releases that know 1, 2 or 3 can still use it
//
// The first node creates or migrates it, under an advisory lock. Revoked rows are in no index but
// the sweeper's, where due_at is PurgeAt or earlier. A rotation changes neither due_at nor any
// other indexed column, so it writes the row and no index (a HOT update, for which pages keep
// space).
//
// # Privileges
//
// The role may own the schema, or only use it. In the second case, a node whose role owns it must
// be started once, and again for each migration:
//
//	CREATE ROLE owner LOGIN PASSWORD '...';
//	CREATE ROLE sidecar LOGIN PASSWORD '...';
//	CREATE SCHEMA auth_sessions AUTHORIZATION owner;
//	GRANT USAGE ON SCHEMA auth_sessions TO sidecar;
//	ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA auth_sessions
//		GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sidecar;
//
// Nothing else is needed: every role may use LISTEN, NOTIFY and advisory locks.
//
// # Durability
//
// An acknowledged statement is committed as synchronous_commit says, which is not changed; Open
// warns if it or fsync is off. If no response arrives, the outcome is unknown, and the error is
// sessions.ErrUnavailable.
package pgstore
