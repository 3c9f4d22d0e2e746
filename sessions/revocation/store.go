package revocation

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"authsidecar/sessions"
)

// Store is what a sessions.Store implements besides to take part in revocation. Errors
// are those of sessions.Store.
type Store interface {
	// Identity returns a short random text that is kept with the rows: lost with them, and
	// not copied with them to another store. Access tokens carry it, so that a token is of
	// no session in another store, or in one that was emptied. A store that has none yet
	// makes it (NewIdentity). It is called each second, since another process may replace
	// it. "" is a store without identity.
	Identity(ctx context.Context) (string, error)

	// Revoked calls report for each session, of all realms, whose RevokedAt is not before
	// since, in any order, possibly twice. It is called once at start-up and after each
	// loss of a feed. Sessions revoked within Retention must be reported even where their
	// rows were swept or deleted meanwhile.
	Revoked(ctx context.Context, since time.Time, report func(key sessions.Key, at time.Time)) error

	// AddCutoff stores the cutoff and returns it as stored: where it has no At, the store
	// sets it, by its clock in the step that writes it. A cutoff that has an At is a copy.
	// It survives a crash when AddCutoff returns.
	//
	// Cutoffs are ordered with the creation of sessions: of a session whose Create returned
	// before AddCutoff was called, CreatedAt is not after At; of one whose Create was called
	// after AddCutoff returned, it is. That holds on whichever nodes they were called,
	// whatever the clocks of nodes say, and however often two things happen in one
	// millisecond. Concurrent calls may come in either order.
	AddCutoff(ctx context.Context, c Cutoff) (Cutoff, error)

	// Cutoffs returns those of the realm, oldest first.
	Cutoffs(ctx context.Context, realm string) ([]Cutoff, error)

	// RemoveCutoff deletes a cutoff. It is no error where it is not stored.
	RemoveCutoff(ctx context.Context, c Cutoff) error
}

// A Feed is a Store that several nodes share, and that reports to each of them what any of
// them revoked.
type Feed interface {
	Store
	// Follow reports to the sink what is revoked from now on, until ctx ends or the
	// connection is lost: it always returns an error, and is called again after a pause.
	// It calls Ready once, as soon as nothing that is committed from then on can be
	// missed, and Alive each Heartbeat or so, when it heard from the engine (its own
	// heartbeat came back, or a poll was answered). It blocks on nothing but the engine,
	// and starts no goroutine that outlives it.
	Follow(ctx context.Context, sink Sink) error
}

// A Sink receives what a feed hears. Its methods do not block.
type Sink interface {
	Ready()
	Alive()
	Revoked(key sessions.Key, at time.Time)
	Cutoff(c Cutoff)
}

const (
	// Retention is how long a revoked session is remembered: the longest life of an access
	// token, and leeway.
	Retention = time.Hour + time.Minute
	// Heartbeat is how often a feed proves that it is alive.
	Heartbeat = 250 * time.Millisecond
	// FeedTimeout is how long a feed may be silent before the node is degraded.
	FeedTimeout = time.Second
	// DegradedGrace is how long a degraded node whose store is down accepts sessions that
	// are no impersonations.
	DegradedGrace = 30 * time.Second
)

// NewIdentity returns an identity for a store that has none: 64 random bits in base64url.
func NewIdentity() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // it never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
