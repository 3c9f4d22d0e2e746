package pebblestore

import (
	"log/slog"
	"time"
)

// Options say where a store is. The zero value of all but Dir is a good choice.
type Options struct {
	// Dir is the directory of the database. It is made, for its owner alone, if
	// it does not exist; it may exist and be empty.
	Dir string
	// MustExist opens a store that is there, and makes none: sessions.ErrNoStore.
	MustExist bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log gets what an operator wants to know (a full disk, a repaired
	// store), and at debug level what Pebble does; nil logs nothing. No user data
	// is logged.
	Log *slog.Logger
	// MemTableSize is how much is written to memory and log before it is written
	// to a table, in bytes; 0 is 8 MiB, or 1/32 of the volume where that is less. Up to
	// three of them are in memory, and up to five logs of that size are on the disk.
	MemTableSize uint64
}

const (
	defaultMemTable = 8 << 20
	leastMemTable   = 256 << 10
)

// memTable is the size of a memtable on a volume of that size: Pebble allocates a log of
// that size for each, however little is in it, and they must leave room for the sessions.
func memTable(volume uint64) uint64 {
	return min(max(volume/32, leastMemTable), defaultMemTable)
}
