package redisstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// Errors of Open and of all operations. All of them wrap sessions.ErrUnavailable.
var (
	// ErrNewer means that a newer release wrote the keys, in another layout.
	ErrNewer = fmt.Errorf("%w: keys were laid out by a newer release", sessions.ErrUnavailable)
	// ErrOlder means that a build before the first release wrote the keys. They are left unchanged.
	ErrOlder = fmt.Errorf("%w: keys were laid out by an earlier build: delete those of this prefix or choose another prefix; that build's copy command takes the sessions to another store", sessions.ErrUnavailable)
	// ErrBusy means that too many calls are in progress, and none ended in time. Nothing was done.
	ErrBusy = fmt.Errorf("%w: too many calls are in progress", sessions.ErrUnavailable)
	// ErrRealm means that another realm of the store has the same hash. Nothing was done.
	ErrRealm = fmt.Errorf("%w: the issuer has the same 48-bit hash as another one in this Redis: give it a prefix of its own", sessions.ErrUnavailable)
	// ErrReplicas means that fewer than Options.Replicas replicas have confirmed a write. It may be
	// lost or not.
	ErrReplicas = fmt.Errorf("%w: too few replicas confirmed the write", sessions.ErrUnavailable)
)

// refusal wraps the errors of Open. Those that persist wrap sessions.ErrSetup too.
func refusal(err error) error {
	return calls.Refusal(err, errors.Is(err, ErrNewer) || errors.Is(err, ErrOlder) || isSetupError(err))
}

// isSetupError reports whether the server refused our user or options, or has something else in
// place of our keys.
func isSetupError(err error) bool {
	answer, ok := errors.AsType[*rueidis.RedisError](err)
	return ok && slices.ContainsFunc([]string{
		"WRONGPASS", "NOAUTH", "NOPERM", "WRONGTYPE", "ERR invalid password", "ERR AUTH", "ERR Client sent AUTH", "ERR DB index", "ERR invalid DB index",
	}, func(begin string) bool { return strings.HasPrefix(answer.Error(), begin) })
}

func unavailable(err error) error { return calls.Unavailable(err) }
