package pgstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

// Cutoffs returns the cutoffs of the realm, oldest first. If one cannot be read, it fails: a
// revocation must not be missed.
func (s *Store) Cutoffs(ctx context.Context, realm string) ([]revocation.Cutoff, error) {
	return s.readCutoffs(ctx, s.do, sqlCutoffs, args(realm))
}

// readCutoffs reads realm, id, time and data.
func (s *Store) readCutoffs(ctx context.Context, run runner, sql statement, a []any) ([]revocation.Cutoff, error) {
	var c revocation.Cutoff
	var data pgtype.DriverBytes
	return collect(ctx, run, s.text(sql), a, func() (revocation.Cutoff, error) {
		return rowcodec.DecodeCutoff(c.Realm, c.ID, c.At, data)
	}, (*text)(&c.Realm), (*text)(&c.ID), (*moment)(&c.At), &data)
}

// AddCutoff stores the cutoff, and notifies the other nodes in the same transaction.
func (s *Store) AddCutoff(ctx context.Context, c revocation.Cutoff) (revocation.Cutoff, error) {
	data, err := rowcodec.EncodeCutoff(&c)
	if err != nil {
		return c, unavailable(err)
	}
	newest := time.Time{}
	if c.At.IsZero() {
		if newest, err = c.Newest(ctx, s); err != nil {
			return c, err
		}
	}
	a := s.timed(c.Realm, c.ID, millisOrNull(c.At), data, cutoffNotice(&c, data), millis(newest))
	err = s.query(ctx, s.text(sqlAddCutoff), a, noRow, s.now(new(time.Time)), (*moment)(&c.At), nil)
	return c, err
}

// RemoveCutoff deletes a cutoff; it is no error if there is none.
func (s *Store) RemoveCutoff(ctx context.Context, c revocation.Cutoff) error {
	return s.exec(ctx, s.text(sqlRemoveCutoff), args(c.Realm, millis(c.At), c.ID))
}

// Identity returns a text that no other store has. It changes when the schema is created again or
// the table identity is emptied.
func (s *Store) Identity(ctx context.Context) (string, error) {
	found, err := s.identity(ctx)
	if err != nil || found != "" {
		return found, err
	}
	// If several nodes create one concurrently, the first succeeds and the others read it.
	if err := s.queryNow(ctx, s.text(sqlMakeIdentity), args(revocation.NewIdentity()), noRow, nil); err != nil {
		return "", err
	}
	if found, err = s.identity(ctx); err == nil && found == "" {
		err = fmt.Errorf("%w: its identity was removed as soon as it was made", sessions.ErrUnavailable)
	}
	return found, err
}

// identity reads it; "" if there is none yet.
func (s *Store) identity(ctx context.Context) (string, error) {
	found, err := s.texts(ctx, s.doNow, sqlIdentity, nil)
	return strings.Join(found, ""), err // at most one
}
