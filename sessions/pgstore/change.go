package pgstore

import (
	"context"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/storedrow"
	"authsidecar/sessions/rowcodec"
)

// Get returns the row, or sessions.ErrNotFound.
func (s *Store) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	found, err := s.get(ctx, key)
	return found.row, err
}

// A foundRow is a row as it was at a time.
type foundRow struct {
	row sessions.Session
	rev int64
	at  time.Time
}

func (s *Store) get(ctx context.Context, key sessions.Key) (found foundRow, err error) {
	err = sessions.ErrNotFound
	asking := s.query(ctx, s.sql.get, s.at().text(key.Realm).text(key.ID), func(r *reader) error {
		found, err = s.found(key, r)
		return err
	})
	if asking != nil {
		return foundRow{}, asking
	}
	return found, err
}

// found reads the time and the columns.
func (s *Store) found(key sessions.Key, r *reader) (found foundRow, err error) {
	at := *r
	if err := s.learn(r); err != nil {
		return found, err
	}
	found.at = fromMillis(at.int())
	found.row, found.rev, err = readRow(key, r)
	return found, err
}

// Update reads the row, calls fn, and writes the result if nobody wrote the row meanwhile;
// otherwise it starts over.
func (s *Store) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	lane, err := s.lanes.Exclusive(ctx, hash32(hash("session", key.Realm, key.ID)))
	if err != nil {
		return sessions.Session{}, err
	}
	defer lane.Leave()
	for range calls.MostContended {
		found, err := s.get(ctx, key)
		if err != nil {
			return sessions.Session{}, err
		}
		before := found.row
		next, write := fn(found.row, found.at)
		if !write {
			return before, nil
		}
		next.Realm, next.ID = key.Realm, key.ID
		stored, written, err := s.set(ctx, &found, &next, before.RevokedAt)
		if err != nil || written {
			return stored, err
		}
		if err := calls.Done(ctx); err != nil {
			return sessions.Session{}, err
		}
	}
	return sessions.Session{}, calls.ErrContended
}

// set writes next in place of the row that was found, unless that has changed.
func (s *Store) set(ctx context.Context, found *foundRow, next *sessions.Session, revoked time.Time) (sessions.Session, bool, error) {
	w, err := encode(next)
	if err != nil {
		return sessions.Session{}, false, err
	}
	a := w.changing(s.at().text(next.Realm).text(next.ID).int(found.rev))
	sql := s.sql.update
	if !w.Session.RevokedAt.IsZero() && !w.Session.RevokedAt.Equal(revoked) {
		sql = s.sql.updateEnding
		a.string(name(next.Key()))
	}
	written := false
	err = s.query(ctx, sql, a, func(r *reader) error {
		written = true
		return s.learn(r)
	})
	return w.Session, written, err
}

// Rotate stores the next generation if the token is the live one.
func (s *Store) Rotate(ctx context.Context, p *sessions.Presented, fresh *sessions.Fresh) (row sessions.Session, at time.Time, rotated bool, err error) {
	a := s.at().text(p.Session.Realm).text(p.Session.ID)
	a.int(int64(p.Generation)).bytes(p.Secret[:]).bytes(hashHolder(p.UserID, p.ClientID))
	a.int(int64(p.Generation + 1)).bytes(fresh.Secret[:]).text(fresh.KeyID).text(fresh.From).int(rowcodec.Format)
	err = s.query(ctx, s.sql.rotate, a, func(r *reader) error {
		found, err := s.found(p.Session, r)
		row, at, rotated = found.row, found.at, err == nil
		return err
	})
	if err != nil {
		return sessions.Session{}, time.Time{}, false, err
	}
	return row, at, rotated, nil
}

// Revoke revokes the row unless it is revoked already.
func (s *Store) Revoke(ctx context.Context, key sessions.Key, reason sessions.EndReason) (row sessions.Session, ended bool, err error) {
	for range calls.MostContended {
		a := s.at().text(key.Realm).text(key.ID).text(string(reason)).int(storedrow.KeptRevoked).int(rowcodec.Format).string(name(key))
		err = sessions.ErrNotFound
		asking := s.query(ctx, s.sql.revoke, a, func(r *reader) error {
			if err := s.learn(r); err != nil {
				return err
			}
			ended = r.bool()
			row, _, err = readRow(key, r)
			return err
		})
		switch {
		case asking != nil:
			return sessions.Session{}, false, asking
		case err != nil:
			return sessions.Session{}, false, err
		case !row.RevokedAt.IsZero():
			return row, ended, nil
		}
		// Another statement revoked the row while this one waited: the rest of what this one saw is
		// older.
	}
	return sessions.Session{}, false, calls.ErrContended
}

// Interface guards
var _ sessions.Rotator = (*Store)(nil)
