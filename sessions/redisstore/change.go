package redisstore

import (
	"cmp"
	"context"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// Get returns the row, or sessions.ErrNotFound.
func (s *Store) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	found, _, err := s.get(ctx, key)
	if err != nil {
		return sessions.Session{}, err
	}
	return found.row, nil
}

func (s *Store) get(ctx context.Context, key sessions.Key) (found *storedRow, at time.Time, err error) {
	r, err := s.run(ctx, s.lua.get, s.keys.row(rowID(key)))
	if err != nil {
		return nil, at, err
	}
	found, err = readRow(key, r.next())
	return found, r.at, err
}

// Update reads the row, calls fn, and writes the result if nobody wrote the row meanwhile;
// otherwise it starts over.
func (s *Store) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	lane, err := s.lanes.Exclusive(ctx, hash32(rowID(key)))
	if err != nil {
		return sessions.Session{}, err
	}
	defer lane.Leave()
	for range calls.MaxContended {
		found, at, err := s.get(ctx, key)
		if err != nil {
			return sessions.Session{}, err
		}
		next, write := fn(found.row, at)
		if !write {
			return found.row, nil
		}
		next.Realm, next.ID = key.Realm, key.ID
		stored, written, err := s.set(ctx, found, &next)
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
func (s *Store) set(ctx context.Context, found *storedRow, next *sessions.Session) (sessions.Session, bool, error) {
	if next.UserID != found.row.UserID { // which indexes and decode go by
		return sessions.Session{}, false, calls.ErrCorrupt
	}
	w, err := encode(next, found.ref, found.due)
	if err != nil {
		return sessions.Session{}, false, err
	}
	before, sooner := &found.row, place(w.row.PurgeAt()) < found.due
	if !s.onOneServer() && (sooner || w.row.RevokedAt.IsZero() && !before.RevokedAt.IsZero()) {
		if _, err := s.addEntries(ctx, &found.ref, &w.row); err != nil {
			return sessions.Session{}, false, err
		}
	}
	r, err := s.run(ctx, s.lua.update, s.keys.row(found.ref.id), found.value, w.value, label(next.Key()))
	if err != nil {
		return sessions.Session{}, false, err
	}
	if r.int() != 1 {
		return sessions.Session{}, false, r.err
	}
	if sooner {
		w.due = place(w.row.PurgeAt())
	}
	if !w.row.RevokedAt.Equal(before.RevokedAt) {
		err = s.logRevocation(ctx, w, found.due)
	}
	return w.row, true, err
}

// Rotate stores the next generation if the token is the live one.
func (s *Store) Rotate(ctx context.Context, p *sessions.Presented, fresh *sessions.Fresh) (row sessions.Session, at time.Time, rotated bool, err error) {
	r, err := s.run(ctx, s.lua.rotate, s.keys.row(rowID(p.Session)),
		generation(p.Generation), string(p.Secret[:]), hashHolder(p.UserID, p.ClientID),
		generation(p.Generation+1), string(fresh.Secret[:]), fresh.KeyID, fresh.From, ownFormat)
	if err != nil || len(r.values) == 0 {
		return row, at, false, err
	}
	found, err := readRow(p.Session, r.next())
	if err != nil {
		return row, at, false, err
	}
	return found.row, r.at, true, nil
}

// Revoke revokes the row unless it is revoked already.
func (s *Store) Revoke(ctx context.Context, key sessions.Key, reason sessions.EndReason) (row sessions.Session, ended bool, err error) {
	if err := s.claim(ctx, key.Realm); err != nil {
		return row, false, err
	}
	r, err := s.run(ctx, s.lua.revoke, s.keys.row(rowID(key)), string(reason), ownFormat, label(key))
	if err != nil {
		return row, false, err
	}
	ended = r.int() == 1
	found, err := readRow(key, r.next())
	if err != nil {
		return row, false, err
	}
	// In a cluster, do this even if the row was revoked before: whoever revoked it may not have
	// finished.
	if err := s.logRevocation(ctx, found, cmp.Or(r.text(), found.due)); err != nil {
		return row, false, err
	}
	return found.row, ended, nil
}

// Interface guards
var _ sessions.Rotator = (*Store)(nil)
