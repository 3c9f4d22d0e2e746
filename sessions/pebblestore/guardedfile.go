package pebblestore

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A guardedFile is a file no write to which fails. What a failed fsync lost
// is unknown, and another one says that all is well: that is the end of the
// guard, also where the reason is a full disk.
type guardedFile struct {
	vfs.File
	guard *guard
}

// Write appends p: all of it, however many times the disk was full meanwhile.
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

// Sync brings all that was written to the disk.
func (f *guardedFile) Sync() error {
	f.guard.do(func() error { return final(f.File.Sync()) })
	return nil
}

// SyncData brings all data that was written to the disk.
func (f *guardedFile) SyncData() error {
	f.guard.do(func() error { return final(f.File.SyncData()) })
	return nil
}

// SyncTo starts to bring data to the disk.
func (f *guardedFile) SyncTo(length int64) (full bool, err error) {
	f.guard.do(func() error {
		full, err = f.File.SyncTo(length)
		return final(err)
	})
	return full, nil
}

// final makes an error one that is not tried again.
func final(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("syncing: %v", cause(err)) //nolint:errorlint // a full disk is like any other error here
}
