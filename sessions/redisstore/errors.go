package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
)

// Errors of Open and of each operation. All of them wrap sessions.ErrUnavailable.
var (
	// ErrNewer means that a newer release keeps what is there in another way.
	ErrNewer = fmt.Errorf("%w: keys were laid out by a newer release", sessions.ErrUnavailable)
	// ErrBusy means that too many calls are under way already, and none ended in
	// time. Nothing was done.
	ErrBusy = fmt.Errorf("%w: too many calls are under way", sessions.ErrUnavailable)
	// ErrReplicas means that a write is not on as many replicas as Options.Replicas
	// asks for. It may be lost, or stay.
	ErrReplicas = fmt.Errorf("%w: too few replicas confirmed the write", sessions.ErrUnavailable)

	errContended = fmt.Errorf("%w: others changed the session again and again", sessions.ErrUnavailable)
	errCorrupt   = fmt.Errorf("%w: what the server answered cannot be read", sessions.ErrUnavailable)
)

// refusal wraps the errors of Open: those that do not pass by themselves are
// sessions.ErrSetup as well.
func refusal(err error) error {
	err = unavailable(err)
	if errors.Is(err, ErrNewer) || errors.Is(err, sessions.ErrNoStore) || refusedUs(err) {
		return fmt.Errorf("%w: %w", sessions.ErrSetup, err)
	}
	return err
}

// refusedUs reports whether the server is there and does not take what we are, or has
// something else where our keys belong.
func refusedUs(err error) bool {
	answer, ok := errors.AsType[*rueidis.RedisError](err)
	return ok && slices.ContainsFunc([]string{
		"WRONGPASS", "NOAUTH", "NOPERM", "WRONGTYPE", "ERR invalid password", "ERR AUTH", "ERR Client sent AUTH", "ERR DB index", "ERR invalid DB index",
	}, func(begin string) bool { return strings.HasPrefix(answer.Error(), begin) })
}

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

// done tells whether the caller still waits.
func done(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	return nil
}
