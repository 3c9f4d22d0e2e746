package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"authsidecar/sessions"
)

// partial is the suffix of a copy until it is complete.
const partial = ".partial"

// Checkpoint makes a copy in dir. On the same file system as the store, most of the copy takes no
// space. It can be opened as a store. Until it is complete it is called dir.partial; an incomplete
// copy is started over.
func (s *Store) Checkpoint(ctx context.Context, dir string) error {
	e, err := s.enterWriting(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	copied := make(chan error, 1)
	trouble := e.guard.Trouble()
	e.commits.Go(func() { // the disk may hang forever
		err := s.checkpoint(e, dir)
		if err != nil {
			err = fmt.Errorf("copying session store: %w", unavailable(cause(err)))
		}
		copied <- err
	})
	return e.outcome(ctx, copied, trouble)
}

// checkpoint copies the store; only one copy is made at a time.
func (s *Store) checkpoint(e *engine, dir string) error {
	e.copying.Lock()
	defer e.copying.Unlock()
	disk, temp := s.dir.fs, dir+partial
	if _, err := disk.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	if err := disk.RemoveAll(temp); err != nil {
		return err
	}
	if err := e.db.Checkpoint(temp, pebble.WithFlushedWAL()); err != nil {
		return errors.Join(err, disk.RemoveAll(temp))
	}
	return errors.Join(s.finish(temp, dir), disk.RemoveAll(temp))
}

// finish turns the copy into a store and renames it.
func (s *Store) finish(temp, dir string) error {
	disk := s.dir.fs
	if disk == vfs.Default {
		if err := os.Chmod(temp, 0o700); err != nil { //nolint:gosec // a directory, for its owner alone
			return err
		}
	}
	if err := (directory{fs: disk, path: temp}).writeMarker(markerText(format)); err != nil {
		return err
	}
	return rename(disk, temp, dir)
}

// Ping returns nil if the store can read and write.
func (s *Store) Ping(ctx context.Context) error {
	e, err := s.enterWriting(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	_, closer, err := e.read([]byte{kindRealm}) // a key that never exists
	if errors.Is(err, sessions.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = errors.Join(ErrCorrupt, closer.Close())
	}
	return unavailable(err)
}
