package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"authsidecar/sessions"
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

// unavailable wraps an error so that its outcome reads as unknown.
func unavailable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sessions.ErrUnavailable):
		return err
	default:
		return fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
	}
}

// refusal leaves the errors of Open as they are, and wraps those of the system.
func refusal(err error) error {
	for _, known := range []error{ErrInUse, ErrForeign, sessions.ErrNoStore, ErrNewer, ErrCorrupt} {
		if errors.Is(err, known) {
			return err
		}
	}
	if misplaced(err) {
		return fmt.Errorf("%w: %w", sessions.ErrSetup, unavailable(cause(err)))
	}
	return unavailable(cause(err))
}

// misplaced reports whether the system says that the directory cannot be one of ours, and not
// that its disk is full or fails.
func misplaced(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains([]syscall.Errno{
		syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOENT, syscall.ENOTDIR, syscall.EEXIST, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL,
	}, errno)
}

// done tells whether the caller still waits.
func done(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	return nil
}
