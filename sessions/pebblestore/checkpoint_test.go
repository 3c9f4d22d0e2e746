package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"authsidecar/sessions"
)

// A copy is a store of its own: what was acknowledged before is in it, and it is for
// its owner alone.
func TestACopyMadeWhileServingIsAStore(t *testing.T) {
	s := openStore(t, Options{MemTableSize: 1 << 20})
	var acknowledged atomic.Int64
	stop, writers := make(chan struct{}), sync.WaitGroup{}
	writers.Go(func() {
		for i := int64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, _, _, err := s.Create(ctx(), row(fmt.Sprint(i), "alice")); err != nil {
				t.Error(err)
				return
			}
			acknowledged.Store(i + 1)
		}
	})
	for acknowledged.Load() < 300 && !t.Failed() {
		if err := s.Ping(ctx()); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "copies", "one")
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir+partial, "left"), 0o700); err != nil { // of a copy that was not finished
		t.Fatal(err)
	}
	before := acknowledged.Load()
	if err := s.Checkpoint(ctx(), dir); err != nil {
		t.Fatal(err)
	}
	close(stop)
	writers.Wait()
	for path, what := range contents(t, dir) {
		if want := map[bool]string{true: "drwx------", false: "-rw-------"}[path == dir]; what[:10] != want {
			t.Errorf("%s is %s", path, what[:10])
		}
	}
	if _, err := os.Stat(dir + partial); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was begun is left: %v", err)
	}
	was := contents(t, dir)
	if err := s.Checkpoint(ctx(), dir); !errors.Is(err, fs.ErrExist) || !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("over a copy: %v", err)
	}
	if !maps.Equal(was, contents(t, dir)) {
		t.Error("another copy changed it")
	}
	theCopy := openStore(t, Options{Dir: dir})
	for i := range before {
		if _, err := theCopy.Get(ctx(), keyOf(fmt.Sprint(i))); err != nil {
			t.Fatalf("session %d of %d: %v", i, before, err)
		}
	}
	later := row("later", "bob")
	if _, _, _, err := theCopy.Create(ctx(), later); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(ctx(), later.Key()); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("a write to the copy is in the store: %v", err)
	}
}

// A copyFS is a disk on which there is no writing outside of a directory.
type copyFS struct {
	vfs.FS
	inside string
	fault  error
}

func (c *copyFS) of(name string) error {
	if filepath.Dir(name) == c.inside || name == c.inside {
		return nil
	}
	return c.fault
}

func (c *copyFS) Create(name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	if err := c.of(name); err != nil {
		return nil, err
	}
	return c.FS.Create(name, k)
}

func (c *copyFS) Link(from, to string) error { return errors.Join(c.of(to), syscall.EXDEV) }

func TestACopyThatCannotBeMadeHarmsNothing(t *testing.T) {
	for _, fault := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES, syscall.EROFS} {
		t.Run(fault.Error(), func(t *testing.T) {
			inside := filepath.Join(t.TempDir(), "store")
			disk := &copyFS{FS: vfs.Default, inside: inside}
			s, err := open(Options{Dir: inside}, disk)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			if _, _, _, err := s.Create(ctx(), row("one", "alice")); err != nil {
				t.Fatal(err)
			}
			if err := s.engine.Load().db.Flush(); err != nil { // so that there is a table to copy
				t.Fatal(err)
			}
			was := s.engine.Load()
			copies := t.TempDir()
			disk.fault = fault
			if err := s.Checkpoint(ctx(), filepath.Join(copies, "one")); !errors.Is(err, fault) || !errors.Is(err, sessions.ErrUnavailable) {
				t.Errorf("%v, not %v", err, fault)
			}
			if left, _ := os.ReadDir(copies); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
			if _, _, _, err := s.Create(ctx(), row("two", "alice")); err != nil {
				t.Errorf("creating afterwards: %v", err)
			}
			if s.engine.Load() != was {
				t.Error("the store was opened again")
			}
			disk.fault = nil
			if err := s.Checkpoint(ctx(), filepath.Join(copies, "one")); err != nil { // to another disk: by copying
				t.Error(err)
			}
			theCopy := openStore(t, Options{Dir: filepath.Join(copies, "one")})
			if _, err := theCopy.Get(ctx(), keyOf("two")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAFullDiskIsNotReady(t *testing.T) {
	disk := faulty()
	s, err := open(Options{Dir: filepath.Join(t.TempDir(), "store")}, disk)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(ctx()); err != nil {
		t.Fatal(err)
	}
	disk.fail(full)
	c, cancel := context.WithCancel(ctx())
	defer cancel()
	if _, _, _, err := s.Create(c, row("one", "alice")); !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("creating: %v", err)
	}
	if err := s.Ping(ctx()); !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("it answers: %v", err)
	}
	if err := s.Checkpoint(ctx(), filepath.Join(t.TempDir(), "copy")); !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("it is copied: %v", err)
	}
	disk.mend()
	for s.Ping(ctx()) != nil {
		if t.Context().Err() != nil {
			t.Fatal("it never answers again")
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
