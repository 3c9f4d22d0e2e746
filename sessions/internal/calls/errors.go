package calls

import (
	"context"
	"errors"
	"fmt"

	"authsidecar/sessions"
)

// Unavailable wraps an error with an unknown outcome in sessions.ErrUnavailable.
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

// Refusal wraps an error of opening a store. setup means that it persists until an operator changes
// the options, the permissions or the data: it then wraps sessions.ErrSetup too, as
// sessions.ErrNoStore does.
func Refusal(err error, setup bool) error {
	if setup || errors.Is(err, sessions.ErrNoStore) {
		return fmt.Errorf("%w: %w", sessions.ErrSetup, Unavailable(err))
	}
	return Unavailable(err)
}

// CheckContext returns an error if the caller no longer waits.
func CheckContext(ctx context.Context) error { return Unavailable(ctx.Err()) }

// Errors of stores on a server.
var (
	ErrContended = fmt.Errorf("%w: the session was changed concurrently too often", sessions.ErrUnavailable)
	ErrCorrupt   = fmt.Errorf("%w: the server's response cannot be parsed", sessions.ErrUnavailable)
)

// MaxContended is how often an update is retried after losing to others.
const MaxContended = 50
