package pebblestore

import (
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
	// blockCache is the memory for blocks that were read from disk, in bytes.
	blockCache = 16 << 20
	// formatVersion is Pebble's own version of what it writes: raising it is
	// raising what a predecessor has to read.
	formatVersion = pebble.FormatWALSyncChunks
	// stripes is how many locks all sessions share.
	stripes = 4096
)

// An engine is one opened Pebble, and what goes wrong with it.
type engine struct {
	db      *pebble.DB
	guard   *guard
	locks   [stripes]chan struct{}
	seed    maphash.Seed
	filter  *filter
	realms  realms
	clock   *clock
	copying sync.Mutex // of the one copy being made
	ending  context.Context
	end     context.CancelFunc
	tidying atomic.Bool
	turns   chan struct{} // of those who list

	mu         sync.Mutex
	queue      []*commit // waits for the commit in flight
	spare      []*commit
	merged     *pebble.Batch // of the commit in flight, kept for its memory
	committing bool
	commits    sync.WaitGroup // of what commits
}

// openEngine opens the database. It returns also where the disk does not let
// Pebble open it: what it began then stays parked behind the guard.
func openEngine(opts *Options, fs vfs.FS, ours *pebble.Options) (*engine, error) {
	e := &engine{seed: maphash.MakeSeed(), filter: newFilter(), turns: newTurns()}
	e.ending, e.end = context.WithCancel(context.Background())
	for i := range e.locks {
		e.locks[i] = make(chan struct{}, 1)
	}
	e.guard = newGuard(fs, opts.Dir, func(trouble error) { reportTrouble(opts.Log, trouble) })
	ours.FS = e.guard
	ours.Logger = &chatter{log: opts.Log, fatal: e.guard.kill}
	opened := make(chan error, 1)
	go func() {
		var err error
		e.db, err = openPebble(opts.Dir, ours)
		opened <- err
	}()
	select {
	case err := <-opened:
		if err == nil {
			e.filter.fill(e.db)
		}
		return e, err
	case <-e.guard.Trouble():
		err := e.guard.Err()
		e.guard.kill(err)
		return nil, unavailable(err)
	}
}

// openPebble is pebble.Open, whose panics are errors.
func openPebble(dir string, opts *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pebble: %v", r)
		}
	}()
	return pebble.Open(dir, opts)
}

// verify opens the database without writing a byte, so that one that cannot be
// read stays as it is.
func (d directory) verify(opts *pebble.Options, log *slog.Logger) error {
	o := *opts
	o.FS, o.ReadOnly, o.ErrorIfNotExists = readOnly{d.fs}, true, true
	o.Logger = &chatter{log: log, fatal: func(err error) { panic(err) }}
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

// readOnly is a file system on which the lock is held already.
type readOnly struct{ vfs.FS }

// Lock does nothing.
func (readOnly) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap returns the file system underneath.
func (r readOnly) Unwrap() vfs.FS { return r.FS }

func reportTrouble(log *slog.Logger, trouble error) {
	switch {
	case trouble == nil:
		log.Info("session store writes again")
	case errors.Is(trouble, errNoRoom):
		log.Error("session store cannot write: no space left on its disk; it goes on when there is some")
	default:
		log.Error("session store cannot write; it will be opened again", "error", trouble)
	}
}

// pebbleOptions sizes Pebble for a store that shares its machine with an app:
// a small cache for what is read at random, filters so that most of what is
// absent is never looked for.
func pebbleOptions(opts *Options) *pebble.Options {
	log := opts.Log
	p := &pebble.Options{
		Comparer:                    comparer,
		FormatMajorVersion:          formatVersion,
		CacheSize:                   blockCache + 2*int64(opts.MemTableSize), // one is written, one flushed: Pebble takes both from it
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

// close closes the database, or leaves it where it is if the disk does not let
// it end.
func (e *engine) close() error {
	ended := make(chan error, 1)
	e.end()
	if e.guard.Err() == nil {
		go func() {
			e.commits.Wait() // for those, too, for which nobody waits any more
			e.filter.end()
			if e.merged != nil {
				_ = e.merged.Close()
			}
			ended <- e.db.Close()
		}()
	}
	select {
	case err := <-ended:
		return unavailable(err)
	case <-e.guard.Trouble():
		err := e.guard.Err()
		e.guard.kill(err)
		return unavailable(err)
	}
}

// chatter is what Pebble logs to.
type chatter struct {
	log *slog.Logger
	// fatal gets the error for which Pebble would end the process.
	fatal func(error)
}

// Infof logs what Pebble does.
func (c *chatter) Infof(format string, args ...any) { c.debug(format, args) }

// Errorf logs what did not work, and is tried again.
func (c *chatter) Errorf(format string, args ...any) { c.debug(format, args) }

// Fatalf is called in the middle of something, with locks held, by code that
// counts on never being returned to. So it ends the database and not the
// process, and does not return.
func (c *chatter) Fatalf(format string, args ...any) {
	c.fatal(fmt.Errorf("pebble: "+format, args...))
	select {}
}

func (c *chatter) debug(format string, args []any) {
	if c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("pebble", "event", fmt.Sprintf(format, args...))
	}
}
