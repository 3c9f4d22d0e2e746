package pebblestore

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A guardedFile is a file on which no write fails. After a failed fsync it is unknown what was
// lost, and another fsync would falsely report success. So a failed fsync ends the guard, even if
// the disk was full.
type guardedFile struct {
	vfs.File
	guard *guard
}

// Write writes all of p, however often the disk is full meanwhile.
func (f *guardedFile) Write(p []byte) (int, error) {
	rest := p
	f.guard.do(func() error {
		n, err := f.File.Write(rest)
		rest = rest[min(n, len(rest)):]
		return err
	})
	return len(p), nil
}

// WriteAt writes p at an offset.
func (f *guardedFile) WriteAt(p []byte, off int64) (int, error) {
	f.guard.do(func() error {
		_, err := f.File.WriteAt(p, off)
		return err
	})
	return len(p), nil
}

// Sync makes all writes durable.
func (f *guardedFile) Sync() error {
	f.guard.do(func() error { return permanentError(f.File.Sync()) })
	return nil
}

// SyncData makes all written data durable.
func (f *guardedFile) SyncData() error {
	f.guard.do(func() error { return permanentError(f.File.SyncData()) })
	return nil
}

// SyncTo starts writing data to the disk.
func (f *guardedFile) SyncTo(length int64) (full bool, err error) {
	f.guard.do(func() error {
		full, err = f.File.SyncTo(length)
		return permanentError(err)
	})
	return full, nil
}

// permanentError turns an error into one that is not retried.
func permanentError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("syncing: %v", cause(err)) //nolint:errorlint // a full disk is not special here
}
