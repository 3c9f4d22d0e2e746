package pebblestore

import (
	"errors"
	"slices"
	"syscall"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// Errors of Open. The directory is as it was.
var (
	// ErrInUse means that a process has the directory open, this one or another.
	ErrInUse = errors.New("another process has the session store open")
	// ErrForeign means that the directory holds something else.
	ErrForeign = errors.New("directory is not empty and holds no session store")
	// ErrNewer means that a newer release wrote the directory.
	ErrNewer = errors.New("session store was written by a newer release")
	// ErrCorrupt means that the directory holds a session store that cannot be
	// read.
	ErrCorrupt = errors.New("session store is corrupt")
)

var errNoRoom = errors.New("no space left on its disk")

func unavailable(err error) error { return calls.Unavailable(err) }

// refusal leaves the errors of Open as they are, and wraps those of the system.
func refusal(err error) error {
	for _, known := range []error{ErrInUse, ErrForeign, sessions.ErrNoStore, ErrNewer, ErrCorrupt} {
		if errors.Is(err, known) {
			return err
		}
	}
	return calls.Refusal(cause(err), misplaced(err))
}

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// cause is what the system said, without the path it said it of.
func cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// misplaced reports whether the system says that the directory cannot be one of ours, and not
// that its disk is full or fails.
func misplaced(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains([]syscall.Errno{
		syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOENT, syscall.ENOTDIR, syscall.EEXIST, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL,
	}, errno)
}
