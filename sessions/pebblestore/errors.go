package pebblestore

import (
	"errors"
	"slices"
	"syscall"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// Errors of Open, which leave the directory unchanged.
var (
	// ErrInUse means that a process has the directory open, possibly this one.
	ErrInUse = errors.New("another process has the session store open")
	// ErrForeign means that the directory contains something else.
	ErrForeign = errors.New("directory is not empty and holds no session store")
	// ErrNewer means that a newer release wrote the directory.
	ErrNewer = errors.New("session store was written by a newer release")
	// ErrCorrupt means that the directory contains a session store that cannot be read.
	ErrCorrupt = errors.New("session store is corrupt")
)

var errNoSpace = errors.New("no space left on its disk")

func unavailable(err error) error { return calls.Unavailable(err) }

// refusal wraps errors of the system and returns other errors of Open unchanged.
func refusal(err error) error {
	for _, known := range []error{ErrInUse, ErrForeign, sessions.ErrNoStore, ErrNewer, ErrCorrupt} {
		if errors.Is(err, known) {
			return err
		}
	}
	return calls.Refusal(cause(err), isMisplaced(err))
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// cause returns the error of the system without its path.
func cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// isMisplaced reports whether an error means that a store cannot be at that path, rather than that
// the disk is full or failing.
func isMisplaced(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains([]syscall.Errno{
		syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOENT, syscall.ENOTDIR, syscall.EEXIST, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL,
	}, errno)
}
