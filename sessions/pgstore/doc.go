// Package pgstore keeps sessions in a PostgreSQL database that several nodes share.
//
//	Create, Rotate, Revoke   one statement, one round trip
//	CreateCounted            a lock of the user and that statement, sent as one
//	Update                   read, decide, compare-and-set on rev; again if another was faster
//	Follow                   LISTEN on a connection apart; else a poll each 250 ms
//
// The server's clock decides: each statement reads it once. A statement is sent with
// its arguments and leaves nothing behind in the session, so that a PgBouncer in
// transaction mode may stand before the server; only LISTEN must go past it
// (Options.ListenDSN), or the log of revocations is polled.
package pgstore
