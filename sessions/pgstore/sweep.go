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
		if err := calls.Done(ctx); err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// sweepSome reads the next rows, and deletes those that are due.
func (s *Store) sweepSome(ctx context.Context, most int) (looked int, gone []sessions.Session, err error) {
	err = s.query(ctx, s.sql.sweep, s.at().int(int64(most)).int(storedrow.KeptRevoked), func(r *reader) error {
		if err := s.learn(r); err != nil {
			return err
		}
		looked = int(r.int())
		if !r.bool() {
			return r.err
		}
		key := sessions.Key{Realm: r.text(), ID: r.text()}
		if r.err != nil {
			return r.err
		}
		row, _, err := readRow(key, r)
		if err != nil {
			row = sessions.Session{Realm: key.Realm, ID: key.ID} // deleted whatever it contained
		}
		gone = append(gone, row)
		r.err = nil
		return nil
	})
	return looked, gone, err
}

// logKept is how long a revocation stays in the log, in milliseconds: longer than anybody asks for.
const logKept = int64(2 * revocation.Retention / 1e6)

// forget truncates the log of revocations, and deletes marks that are over.
func (s *Store) forget(ctx context.Context, most int) error {
	if err := s.exec(ctx, s.sql.forget, s.at().int(logKept).int(int64(most))); err != nil {
		return err
	}
	return s.exec(ctx, s.sql.sweepMarks, s.at().int(int64(most)))
}
