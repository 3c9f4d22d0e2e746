// Package pgtest starts PostgreSQL servers and PgBouncers for tests, on free ports of
// the loopback interface.
package pgtest
