package revocation

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"authsidecar/sessions"
)

// Store is an optional interface of a sessions.Store, for revocation. Its errors are those of
// sessions.Store.
type Store interface {
	// Identity returns a short random text that is stored with the rows, lost with them, and not
	// copied to another store. Access tokens carry it, so that a token is not valid for a session
	// in another store, or after the store was emptied. A store without one creates it
	// (NewIdentity). Identity is called every second, since another process may replace it. ""
	// means that the store has no identity.
	Identity(ctx context.Context) (string, error)

	// Revoked calls report for each session, of all realms, whose RevokedAt is not before since, in
	// any order, possibly twice. It is called once at start and after each loss of a feed. Sessions
	// revoked within Retention must be reported even if their rows were swept or deleted meanwhile.
	Revoked(ctx context.Context, since time.Time, report func(key sessions.Key, at time.Time)) error

	// AddCutoff stores the cutoff and returns the stored one. If it has no At, the store sets it,
	// by its clock in the step that writes it. A cutoff with an At is a copy. The cutoff survives a
	// crash once AddCutoff has returned.
	//
	// Cutoffs are ordered with the creation of sessions: CreatedAt is not after At if Create
	// returned before AddCutoff was called, and after At if Create was called after AddCutoff
	// returned. That holds across nodes, whatever their clocks say, and for any number of events in
	// the same millisecond. Concurrent calls may be ordered either way.
	AddCutoff(ctx context.Context, c Cutoff) (Cutoff, error)

	// Cutoffs returns the cutoffs of the realm, oldest first.
	Cutoffs(ctx context.Context, realm string) ([]Cutoff, error)

	// RemoveCutoff deletes a cutoff. It is no error if the cutoff is not stored.
	RemoveCutoff(ctx context.Context, c Cutoff) error
}

// A Feed is a Store that several nodes share, and that reports to each of them what any of them
// revoked.
type Feed interface {
	Store
	// Follow reports to the sink what is revoked from now on, until ctx ends or the connection is
	// lost: it always returns an error, and is called again after a pause. It calls Ready once, as
	// soon as nothing that is committed from then on can be missed, and Alive about every Heartbeat
	// when it heard from the engine (its own heartbeat came back, or a poll succeeded). It blocks
	// only on the engine, and starts no goroutine that outlives it.
	Follow(ctx context.Context, sink Sink) error
}

// A Sink receives what a feed reports. Its methods do not block.
type Sink interface {
	Ready()
	Alive()
	Revoked(key sessions.Key, at time.Time)
	Cutoff(c Cutoff)
}

const (
	// Retention is how long a revoked session is remembered: the maximum lifetime of an access
	// token, plus leeway.
	Retention = time.Hour + time.Minute
	// Heartbeat is how often a feed proves that it is alive.
	Heartbeat = 250 * time.Millisecond
	// FeedTimeout is how long a feed may be silent before the node is degraded.
	FeedTimeout = time.Second
	// DegradedGrace is how long a degraded node accepts own sessions while its store is down.
	DegradedGrace = 30 * time.Second
)

// NewIdentity returns an identity for a store that has none: 64 random bits in base64url.
func NewIdentity() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails: it crashes the process instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
