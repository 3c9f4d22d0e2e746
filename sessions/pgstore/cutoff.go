package pgstore

import (
	"context"
	"time"

	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

// Cutoffs returns the cutoffs of the realm, oldest first. If one cannot be read, it fails: a
// revocation must not be missed.
func (s *Store) Cutoffs(ctx context.Context, realm string) (all []revocation.Cutoff, err error) {
	err = s.query(ctx, s.sql.cutoffs, new(args).text(realm), func(r *reader) error {
		c, err := readCutoff(realm, r)
		all = append(all, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// readCutoff reads id, time and data.
func readCutoff(realm string, r *reader) (revocation.Cutoff, error) {
	id, at, data := r.text(), fromMillis(r.int()), r.next()
	if r.err != nil {
		return revocation.Cutoff{}, r.err
	}
	return rowcodec.DecodeCutoff(realm, id, at, data)
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
	a := maybeMillis(s.at().text(c.Realm).text(c.ID), c.At).bytes(data).string(cutoffNotice(&c, data)).int(millis(newest))
	err = s.query(ctx, s.sql.addCutoff, a, func(r *reader) error {
		if err := s.learn(r); err != nil {
			return err
		}
		c.At = fromMillis(r.int())
		return r.err
	})
	return c, err
}

// RemoveCutoff deletes a cutoff; it is no error if there is none.
func (s *Store) RemoveCutoff(ctx context.Context, c revocation.Cutoff) error {
	return s.exec(ctx, s.sql.dropCutoff, new(args).text(c.Realm).int(millis(c.At)).text(c.ID))
}
