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

// partial is what a copy is called until it is whole, after its name.
const partial = ".partial"

// Checkpoint makes a copy in dir, on the same file system as the store if it can be:
// there most of it costs no room. It can be opened as a store. Until it is whole it
// has another name (dir.partial), and one that was not finished is made anew.
func (s *Store) Checkpoint(ctx context.Context, dir string) error {
	e, err := s.enterWriting(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	copied := make(chan error, 1)
	trouble := e.guard.Trouble()
	e.commits.Go(func() { // the disk may not come back
		err := s.checkpoint(e, dir)
		if err != nil {
			err = fmt.Errorf("copying session store: %w", unavailable(cause(err)))
		}
		copied <- err
	})
	return e.outcome(ctx, copied, trouble)
}

// checkpoint copies, one at a time.
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

// finish makes a store of the copy, and calls it by its name.
func (s *Store) finish(temp, dir string) error {
	disk := s.dir.fs
	if disk == vfs.Default {
		if err := os.Chmod(temp, 0o700); err != nil { //nolint:gosec // a directory, for its owner alone
			return err
		}
	}
	if err := (directory{fs: disk, path: temp}).mark(markerText(format)); err != nil {
		return err
	}
	if err := disk.Rename(temp, dir); err != nil {
		return err
	}
	parent, err := disk.OpenDir(disk.PathDir(dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// Ping returns nil where the store reads and writes.
func (s *Store) Ping(ctx context.Context) error {
	e, err := s.enterWriting(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	_, closer, err := e.read([]byte{kindRealm}) // the key of nothing
	if errors.Is(err, sessions.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = errors.Join(ErrCorrupt, closer.Close())
	}
	return unavailable(err)
}
