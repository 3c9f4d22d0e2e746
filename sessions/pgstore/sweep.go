package pgstore

import (
	"context"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/storedrow"
	"authsidecar/sessions/revocation"
)

// sweepBatch is how many rows one statement reads.
const sweepBatch = 1000

// Sweep deletes rows that are due. Rows that are being written, or swept by another call, are left
// for the next one.
func (s *Store) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (deleted int, err error) {
	for deleted < limit {
		most := min(limit-deleted, sweepBatch)
		looked, gone, err := s.sweepSome(ctx, most)
		if err != nil {
			return deleted, err
		}
		deleted += len(gone)
		for i := range gone {
			if over != nil && gone[i].RevokedAt.IsZero() {
				over(&gone[i])
			}
		}
		if looked < most {
			return deleted, s.forget(ctx, limit)
		}
		if err := calls.CheckContext(ctx); err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// sweepSome reads the next rows, and deletes those that are due.
func (s *Store) sweepSome(ctx context.Context, most int) (looked int, gone []sessions.Session, err error) {
	some, key, found := false, sessions.Key{}, new(foundRow)
	gone, err = collect(ctx, s.do, s.text(sqlSweep), s.timed(most, storedrow.KeptRevoked), func() (sessions.Session, error) {
		if err := found.decode(key); err != nil {
			found.row = sessions.Session{Realm: key.Realm, ID: key.ID} // deleted whatever it contained
		}
		return found.row, nil
	}, found.columns(s.now(&found.at), &looked, &some, (*text)(&key.Realm), (*text)(&key.ID))...)
	if !some {
		return looked, nil, err // the only row has the time and the number
	}
	return looked, gone, err
}

// logKept is how long a revocation stays in the log, in milliseconds: longer than anybody asks for.
const logKept = int64(2 * revocation.Retention / 1e6)

// forget truncates the log of revocations, and deletes marks that are over.
func (s *Store) forget(ctx context.Context, most int) error {
	if err := s.exec(ctx, s.text(sqlForget), s.timed(logKept, most)); err != nil {
		return err
	}
	return s.exec(ctx, s.text(sqlSweepMarks), s.timed(most))
}
