package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// Store is a sessions.Store in a directory of this machine.
type Store struct {
	opts  Options
	dir   directory
	lock  io.Closer
	clock *clock

	gate calls.Gate

	engine   atomic.Pointer[engine]
	reviving sync.Mutex
	retryAt  time.Time
	sweeping chan struct{}
}

// reviveEvery is how often a store tries to reopen after its disk failed.
const reviveEvery = time.Second

// Open opens the store, or creates one in an empty or absent directory. After ErrInUse, ErrForeign,
// sessions.ErrNoStore, ErrNewer and ErrCorrupt, the directory is unchanged. All other errors wrap
// sessions.ErrUnavailable: a disk that is full or fails. Missing permissions, or a path where there
// can be no directory, wrap sessions.ErrSetup too.
func Open(opts Options) (*Store, error) { return open(opts, vfs.Default) }

func open(opts Options, fs vfs.FS) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of the clock
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		opts: opts, dir: directory{fs: fs, path: opts.Dir}, clock: newClock(opts.Now, opts.Log), sweeping: make(chan struct{}, 1),
	}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("opening session store: %w", err)
	}
	return s, nil
}

func (s *Store) open() (err error) {
	if s.opts.MustExist {
		if err := s.dir.mustExist(); err != nil {
			return refusal(err)
		}
	}
	if err := s.dir.prepare(); err != nil {
		return refusal(err)
	}
	if s.opts.MemTableSize == 0 {
		s.opts.MemTableSize = s.dir.memTable()
	}
	if _, err := s.dir.inspect(); err != nil {
		return refusal(err)
	}
	if s.lock, err = s.dir.lock(); err != nil {
		return refusal(err)
	}
	defer func() {
		if err != nil {
			_ = s.lock.Close()
		}
	}()
	finished, err := s.dir.inspect() // nobody changes it from now on
	if err != nil {
		return refusal(err)
	}
	if !finished {
		return s.make()
	}
	if err := s.dir.verify(pebbleOptions(&s.opts), s.opts.Log); err != nil {
		return err
	}
	return s.start(true)
}

// make creates a store.
func (s *Store) make() error {
	if err := s.dir.writeMarker(markerText(format) + making); err != nil {
		return refusal(err)
	}
	if err := s.start(false); err != nil {
		return err
	}
	if err := s.dir.writeMarker(markerText(format)); err != nil {
		return unavailable(errors.Join(err, s.engine.Load().close()))
	}
	s.opts.Log.Info("there was no session store: a new one was made")
	return nil
}

// start opens the database.
func (s *Store) start(exists bool) error {
	if err := s.dir.probe(); err != nil {
		return refusal(err)
	}
	opts := pebbleOptions(&s.opts)
	opts.ErrorIfNotExists = exists
	e, err := openEngine(&s.opts, s.dir.fs, opts)
	if err != nil {
		return unavailable(err)
	}
	if s.dir.fs == vfs.Default {
		_ = os.Chmod(s.dir.fs.PathJoin(s.dir.path, lockName), 0o600) // the only file that Pebble's lock created; it is empty
	}
	if err := s.clock.load(e); err != nil {
		return unavailable(errors.Join(err, e.close()))
	}
	e.clock = s.clock
	s.engine.Store(e)
	return nil
}

// Close waits for operations in flight and closes the store: all later ones return
// sessions.ErrClosed. If the disk is full or failing, what Pebble was about to write is abandoned,
// and the error says so; acknowledged writes are not lost.
func (s *Store) Close() error {
	return s.gate.Close(func() error { return errors.Join(s.engine.Load().close(), s.lock.Close()) })
}

// enter admits an operation, which must leave unless there is an error.
func (s *Store) enter(ctx context.Context) (*engine, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	e, err := s.current()
	if err != nil {
		s.leave()
		return nil, err
	}
	return e, nil
}

func (s *Store) leave() { s.gate.Leave() }

// enterWriting is enter for an operation that writes.
func (s *Store) enterWriting(ctx context.Context) (*engine, error) {
	e, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	if err := e.guard.Err(); err != nil {
		s.leave()
		return nil, unavailable(err)
	}
	return e, nil
}

// current returns the engine, after reopening it if it died.
func (s *Store) current() (*engine, error) {
	e := s.engine.Load()
	dead := e.guard.Dead()
	if dead == nil {
		return e, nil
	}
	if !s.reviving.TryLock() {
		return nil, unavailable(dead)
	}
	defer s.reviving.Unlock()
	if e := s.engine.Load(); e.guard.Dead() == nil {
		return e, nil
	}
	if now := s.opts.Now(); now.Before(s.retryAt) {
		return nil, unavailable(dead)
	} else {
		s.retryAt = now.Add(reviveEvery)
	}
	if err := s.start(true); err != nil {
		return nil, err
	}
	s.opts.Log.Info("session store was opened again")
	return s.engine.Load(), nil
}

// Now returns the store's time, which never goes backward.
func (s *Store) Now() time.Time { return fromMillis(s.clock.read()) }

// Interface guards
var _ sessions.Store = (*Store)(nil)
