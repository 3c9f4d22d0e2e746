package calls

import (
	"context"
	"errors"
	"fmt"

	"authsidecar/sessions"
)

// Unavailable wraps an error whose outcome is unknown in sessions.ErrUnavailable.
func Unavailable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sessions.ErrUnavailable):
		return err
	default:
		return fmt.Errorf("%w: %w", sessions.ErrUnavailable, err)
	}
}

// Refusal wraps an error of opening a store. setup reports whether it stays until somebody changes
// the options, the rights or what is there: it is sessions.ErrSetup too, as sessions.ErrNoStore is.
func Refusal(err error, setup bool) error {
	if setup || errors.Is(err, sessions.ErrNoStore) {
		return fmt.Errorf("%w: %w", sessions.ErrSetup, Unavailable(err))
	}
	return Unavailable(err)
}

// Done returns why the caller does not wait any more, or nil.
func Done(ctx context.Context) error { return Unavailable(ctx.Err()) }

// What stores on a server say.
var (
	ErrContended = fmt.Errorf("%w: others changed the session again and again", sessions.ErrUnavailable)
	ErrCorrupt   = fmt.Errorf("%w: what the server answered cannot be read", sessions.ErrUnavailable)
)

// MostContended is how often an update is tried that others were faster than.
const MostContended = 50
