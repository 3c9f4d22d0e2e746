package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

// Cutoffs returns the cutoffs of the realm, oldest first. If one cannot be read, it fails: a
// revocation must not be missed.
func (s *Store) Cutoffs(ctx context.Context, realm string) (all []revocation.Cutoff, err error) {
	err = s.readCutoffs(ctx, s.query, sqlCutoffs, args(realm), func(c revocation.Cutoff) { all = append(all, c) })
	if err != nil {
		return nil, err
	}
	return all, nil
}

// readCutoffs reads realm, id, time and data, with query or queryNow.
func (s *Store) readCutoffs(
	ctx context.Context, query func(context.Context, string, []any, func() error, ...any) error, sql statement, a []any, report func(revocation.Cutoff),
) error {
	var c revocation.Cutoff
	var data pgtype.DriverBytes
	return query(ctx, s.text(sql), a, func() error {
		c, err := rowcodec.DecodeCutoff(c.Realm, c.ID, c.At, data)
		if err == nil {
			report(c)
		}
		return err
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
	a := s.timed(c.Realm, c.ID, maybeMillis(c.At), data, cutoffNotice(&c, data), millis(newest))
	err = s.query(ctx, s.text(sqlAddCutoff), a, scanned, s.now(new(time.Time)), (*moment)(&c.At), nil)
	return c, err
}

// RemoveCutoff deletes a cutoff; it is no error if there is none.
func (s *Store) RemoveCutoff(ctx context.Context, c revocation.Cutoff) error {
	return s.exec(ctx, s.text(sqlRemoveCutoff), args(c.Realm, millis(c.At), c.ID))
}
