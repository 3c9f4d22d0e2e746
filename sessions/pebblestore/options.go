package pebblestore

import (
	"log/slog"
	"time"
)

// Options are the options of a store. Only Dir is required.
type Options struct {
	// Dir is the directory of the database. If it does not exist, it is created, accessible only by
	// its owner; if it exists, it may be empty.
	Dir string
	// MustExist returns sessions.ErrNoStore instead of creating a store.
	MustExist bool
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Log receives what an operator should know (a full disk, a repaired store), and at debug level
	// what Pebble does; nil logs nothing. No user data is logged.
	Log *slog.Logger
	// MemTableSize is how much is written to memory and log before it is written to a table, in
	// bytes; 0 means 8 MiB, or 1/32 of the volume if that is less. Up to three memtables are in
	// memory, and up to five logs of that size on disk.
	MemTableSize uint64
}

const (
	defaultMemTable = 8 << 20
	minMemTable     = 256 << 10
)

// memTable returns the size of a memtable on a volume of that size. Pebble allocates a log of that
// size for each, however little it contains, and they must leave space for the sessions.
func memTable(volume uint64) uint64 {
	return min(max(volume/32, minMemTable), defaultMemTable)
}
