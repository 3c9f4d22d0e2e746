package pebblestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// blockCache is the size of the cache for blocks read from disk, in bytes.
	blockCache = 16 << 20
	// formatVersion is the version of Pebble's format. Raising it raises what an earlier release
	// must be able to read.
	formatVersion = pebble.FormatWALSyncChunks
	// stripes is the number of locks that all sessions share.
	stripes = 4096
)

// An engine is an open Pebble database and its failures.
type engine struct {
	db      *pebble.DB
	guard   *guard
	locks   [stripes]chan struct{}
	seed    maphash.Seed
	filter  *filter
	realms  realms
	clock   *clock
	copying sync.Mutex // held while a copy is made
	ending  context.Context
	end     context.CancelFunc
	tidying atomic.Bool
	turns   chan struct{} // of those that list

	mu         sync.Mutex
	queue      []*commit // waiting for the commit in flight
	spare      []*commit
	merged     *pebble.Batch // batch of the commit in flight, whose memory is reused
	changes    []keyChange   // changes of that batch, likewise
	committing bool
	commits    sync.WaitGroup // running commits
}

// openEngine opens the database. It returns even if the disk blocks Pebble; the attempt then stays
// blocked in the guard.
func openEngine(opts *Options, fs vfs.FS, ours *pebble.Options) (*engine, error) {
	e := &engine{seed: maphash.MakeSeed(), filter: newFilter(), turns: newTurns()}
	e.ending, e.end = context.WithCancel(context.Background())
	for i := range e.locks {
		e.locks[i] = make(chan struct{}, 1)
	}
	e.guard = newGuard(fs, opts.Dir, func(trouble error) { reportTrouble(opts.Log, trouble) })
	ours.FS = e.guard
	ours.Logger = &pebbleLogger{log: opts.Log, fatal: e.guard.kill}
	opened := make(chan error, 1)
	go func() {
		var err error
		e.db, err = openPebble(opts.Dir, ours)
		opened <- err
	}()
	err := e.waitOrTrouble(opened)
	if err == nil {
		e.filter.fill(e.db)
	}
	return e, err
}

// waitOrTrouble waits until the database is open or closed. If the disk prevents that, nothing of it
// reaches the disk any more.
func (e *engine) waitOrTrouble(done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-e.guard.Trouble():
		err := cmp.Or(e.guard.Err(), errNoSpace)
		e.guard.kill(err)
		return err
	}
}

// openPebble is pebble.Open with panics turned into errors.
func openPebble(dir string, opts *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pebble: %v", r)
		}
	}()
	return pebble.Open(dir, opts)
}

// verify opens the database without writing, so that an unreadable one stays unchanged.
func (d directory) verify(opts *pebble.Options, log *slog.Logger) error {
	o := *opts
	o.FS, o.ReadOnly, o.ErrorIfNotExists = readOnly{d.fs}, true, true
	o.Logger = &pebbleLogger{log: log, fatal: func(err error) { panic(err) }}
	db, err := openPebble(d.path, &o)
	if err == nil {
		err = db.Close()
	}
	var errno syscall.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &errno) && errno != syscall.ENOENT:
		return unavailable(errno)
	default:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
}

// readOnly is a file system whose lock is already held.
type readOnly struct{ vfs.FS }

// Lock does nothing.
func (readOnly) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap returns the underlying file system.
func (r readOnly) Unwrap() vfs.FS { return r.FS }

func reportTrouble(log *slog.Logger, trouble error) {
	switch {
	case trouble == nil:
		log.Info("session store can write again")
	case errors.Is(trouble, errNoSpace):
		log.Error("session store cannot write: no space left on its disk; it goes on when there is some")
	default:
		log.Error("session store cannot write; it will be opened again", "error", trouble)
	}
}

// pebbleOptions sizes Pebble for a store that shares its machine with an app: a small cache for
// random reads, and filters so that most absent keys are never searched for.
func pebbleOptions(opts *Options) *pebble.Options {
	log := opts.Log
	p := &pebble.Options{
		Comparer:                    comparer,
		FormatMajorVersion:          formatVersion,
		CacheSize:                   blockCache + 2*int64(opts.MemTableSize), // one is written, one flushed: Pebble takes both from the cache
		MemTableSize:                opts.MemTableSize,
		MemTableStopWritesThreshold: 3,
		MaxOpenFiles:                256,
		L0CompactionThreshold:       8,
		LBaseMaxBytes:               256 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { log.Error("session store failed in the background", "error", cause(err)) },
			DataCorruption:  func(pebble.DataCorruptionInfo) { log.Error("session store found corrupt data on its disk") },
		},
	}
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		p.Levels[i].BlockSize = 4 << 10
		p.Levels[i].IndexBlockSize = 256 << 10
	}
	return p
}

// close closes the database, or abandons it if the disk blocks that.
func (e *engine) close() error {
	ended := make(chan error, 1)
	e.end()
	if e.guard.Err() == nil {
		go func() {
			e.commits.Wait() // even for commits that nobody waits for
			e.filter.end()
			if e.merged != nil {
				_ = e.merged.Close()
			}
			ended <- e.db.Close()
		}()
	}
	return unavailable(e.waitOrTrouble(ended))
}

// pebbleLogger is Pebble's logger.
type pebbleLogger struct {
	log *slog.Logger
	// fatal is called with the error for which Pebble would terminate the process.
	fatal func(error)
}

// Infof logs at debug level.
func (c *pebbleLogger) Infof(format string, args ...any) { c.debug(format, args) }

// Errorf logs failures that Pebble retries.
func (c *pebbleLogger) Errorf(format string, args ...any) { c.debug(format, args) }

// Fatalf is called in the middle of an operation, with locks held, by code that does not expect it
// to return. So it ends the database instead of the process, and does not return.
func (c *pebbleLogger) Fatalf(format string, args ...any) {
	c.fatal(fmt.Errorf("pebble: "+format, args...))
	select {}
}

func (c *pebbleLogger) debug(format string, args []any) {
	if c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("pebble", "event", fmt.Sprintf(format, args...))
	}
}
