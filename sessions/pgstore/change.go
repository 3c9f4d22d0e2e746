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
	if err != nil {
		return sessions.Session{}, err
	}
	return found.row, nil
}

func (s *Store) get(ctx context.Context, key sessions.Key) (found *foundRow, err error) {
	found = new(foundRow)
	err = s.query(ctx, s.text(sqlGet), s.timed(key.Realm, key.ID), func() error { return found.decode(key) }, found.columns(s.now(&found.at))...)
	if err == nil && found.at.IsZero() {
		err = sessions.ErrNotFound
	}
	return found, err
}

// Update reads the row, calls fn, and writes the result if nobody wrote the row meanwhile;
// otherwise it starts over.
func (s *Store) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	lane, err := s.lanes.Exclusive(ctx, hash32(storedrow.Hash("session", key.Realm, key.ID)))
	if err != nil {
		return sessions.Session{}, err
	}
	defer lane.Leave()
	for range calls.MaxContended {
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
		stored, written, err := s.set(ctx, found, &next, before.RevokedAt)
		if err != nil || written {
			return stored, err
		}
		if err := calls.CheckContext(ctx); err != nil {
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
	a, sql := append([]any{next.Realm, next.ID, int64(found.rev)}, w.changing()...), sqlUpdate
	if !w.Session.RevokedAt.IsZero() && !w.Session.RevokedAt.Equal(revoked) {
		a, sql = append(a, name(next.Key())), sqlUpdateRevoking
	}
	var at time.Time
	err = s.query(ctx, s.text(sql), s.timed(a...), noRow, s.now(&at), nil)
	return w.Session, !at.IsZero(), err
}

// Rotate stores the next generation if the token is the live one.
func (s *Store) Rotate(ctx context.Context, p *sessions.Presented, fresh *sessions.Fresh) (row sessions.Session, at time.Time, rotated bool, err error) {
	found := new(foundRow)
	a := s.timed(p.Session.Realm, p.Session.ID, int64(p.Generation), p.Secret[:], hashHolder(p.UserID, p.ClientID),
		int64(p.Generation+1), fresh.Secret[:], fresh.KeyID, fresh.From, rowcodec.Format)
	err = s.query(ctx, s.text(sqlRotate), a, func() error { return found.decode(p.Session) }, found.columns(s.now(&found.at))...)
	if err != nil || found.at.IsZero() {
		return sessions.Session{}, time.Time{}, false, err
	}
	return found.row, found.at, true, nil
}

// Revoke revokes the row unless it is revoked already.
func (s *Store) Revoke(ctx context.Context, key sessions.Key, reason sessions.EndReason) (row sessions.Session, ended bool, err error) {
	a := s.timed(key.Realm, key.ID, string(reason), storedrow.KeptRevoked, rowcodec.Format, name(key))
	for range calls.MaxContended {
		found := new(foundRow)
		err = s.query(ctx, s.text(sqlRevoke), a, func() error { return found.decode(key) }, append(found.columns(s.now(&found.at), &ended), nil)...)
		switch {
		case err != nil:
			return sessions.Session{}, false, err
		case found.at.IsZero():
			return sessions.Session{}, false, sessions.ErrNotFound
		case !found.row.RevokedAt.IsZero():
			return found.row, ended, nil
		}
		// Another statement revoked the row while this one waited: the rest of what this one saw is
		// older.
	}
	return sessions.Session{}, false, calls.ErrContended
}

// Interface guards
var _ sessions.Rotator = (*Store)(nil)
