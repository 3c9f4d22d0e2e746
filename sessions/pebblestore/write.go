package pebblestore

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/rowcodec"
)

// Create inserts the row unless its key exists. It counts with the filter, which may count too
// many, and for a while after the store was opened returns math.MaxInt.
func (s *Store) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	e, err := s.enterWriting(ctx)
	if err != nil {
		return sessions.Session{}, false, 0, err
	}
	defer s.leave()
	w := newWriter(e, row.Key())
	defer w.close()
	if err := w.lock(ctx); err != nil {
		return sessions.Session{}, false, 0, err
	}
	if !e.filter.isAbsent(w.rowKey) {
		stored, err = e.find(row.Key(), w.rowKey)
		if !errors.Is(err, sessions.ErrNotFound) {
			return stored, false, 0, err
		}
	}
	if row.CreatedAt.IsZero() {
		s.clock.begin(&row)
	} else {
		s.clock.recordCopied(row.CreatedAt)
	}
	normalise(&row)
	if err := w.put(nil, &row); err != nil {
		return sessions.Session{}, false, 0, err
	}
	if err := w.commit(ctx); err != nil {
		return sessions.Session{}, false, 0, err
	}
	var buf [userPrefix]byte
	return row, true, e.filter.count(appendUserPrefix(buf[:0], w.realm, hashString(row.UserID), row.Impersonation)), nil
}

// Update runs fn once on the row, with the session locked, and stores what it returns.
func (s *Store) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	e, err := s.enterWriting(ctx)
	if err != nil {
		return sessions.Session{}, err
	}
	defer s.leave()
	w := newWriter(e, key)
	defer w.close()
	if err := w.lock(ctx); err != nil {
		return sessions.Session{}, err
	}
	row, err := e.get(key, w.rowKey)
	if err != nil {
		return sessions.Session{}, err
	}
	next, write := fn(row, s.Now())
	if !write {
		return row, nil
	}
	keepIndexed(&next, &row)
	normalise(&next)
	if err := w.put(&row, &next); err != nil {
		return sessions.Session{}, err
	}
	if err := w.commit(ctx); err != nil {
		return sessions.Session{}, err
	}
	return next, nil
}

// keepIndexed restores the fields that no transition changes.
func keepIndexed(next, row *sessions.Session) {
	next.Realm, next.ID, next.CreatedAt = row.Realm, row.ID, row.CreatedAt
	next.UserID, next.Impersonation, next.Actor = row.UserID, row.Impersonation, row.Actor
	next.ActorSub, next.ActorSID = row.ActorSub, row.ActorSID
}

// A writer writes one session. It holds the session's lock until it is closed, or hands it over to
// a commit.
type writer struct {
	e      *engine
	key    sessions.Key
	realm  hash
	rowKey []byte
	stripe uint16
	locked bool
	batch  *pebble.Batch
}

func newWriter(e *engine, key sessions.Key) *writer {
	w := &writer{e: e, key: key, realm: hashString(key.Realm)}
	w.rowKey = appendRowKey(make([]byte, 0, 64), w.realm, key.ID)
	w.stripe = e.stripe(w.rowKey)
	return w
}

func (w *writer) lock(ctx context.Context) error {
	err := w.e.lock(ctx, w.stripe)
	w.locked = err == nil
	return err
}

func (w *writer) close() {
	if w.locked {
		w.e.unlock(w.stripe)
	}
	if w.batch != nil {
		_ = w.batch.Close()
	}
}

// commit hands over batch and lock.
func (w *writer) commit(ctx context.Context) error {
	batch := w.batch
	w.batch, w.locked = nil, false
	err := w.e.commit(ctx, batch, w.stripe)
	if err == nil {
		w.e.realms.add(w.realm, w.key.Realm)
	}
	return err
}

// put writes next in place of row, which is nil if there is none.
func (w *writer) put(row, next *sessions.Session) error {
	var err error
	if failed := rowcodec.EncodeFor(next, func(data []byte) {
		w.batch = w.e.db.NewBatchWithSize(len(data) + 512)
		err = w.batch.Set(w.rowKey, data, nil)
	}); failed != nil {
		return unavailable(failed)
	}
	switch {
	case err != nil:
	case next.RevokedAt.IsZero() && (row == nil || !row.RevokedAt.IsZero()):
		err = eachIndexKey(w.realm, next, func(key, value []byte) error { return w.batch.Set(key, value, nil) })
	case !next.RevokedAt.IsZero() && row != nil && row.RevokedAt.IsZero():
		err = eachIndexKey(w.realm, next, func(key, _ []byte) error { return w.batch.Delete(key, nil) })
	}
	if err == nil {
		err = errors.Join(w.logRevoked(row, next), w.e.nameRealm(w.batch, w.realm, next.Realm))
	}
	if due := next.PurgeAt(); err == nil && (row == nil || due.Before(row.PurgeAt())) {
		var buf [128]byte
		err = w.batch.Set(appendTimedKey(buf[:0], kindExpiry, due, w.realm, next.ID), nil, nil)
	}
	return unavailable(err)
}

// eachIndexKey calls do for each index entry of a listed row.
func eachIndexKey(realm hash, row *sessions.Session, do func(key, value []byte) error) error {
	var buf [256]byte
	user := hashString(row.UserID)
	sid, subject := logout.Names(row)
	for _, name := range [...]string{sid, subject} {
		if name == "" {
			continue
		}
		key := appendNamePrefix(buf[:0], realm, name)
		if err := do(appendPlace(key, row.CreatedAt, row.ID), nil); err != nil {
			return err
		}
	}
	if !row.Impersonation {
		key := appendUserPrefix(buf[:0], realm, user, false)
		return do(appendPlace(key, row.CreatedAt, row.ID), nil)
	}
	actor := hashActor(&row.Actor)
	key := appendUserPrefix(buf[:0], realm, user, true)
	err := do(appendPlace(key, row.CreatedAt, row.ID), actor[:])
	if err == nil {
		key = appendActorPrefix(buf[:0], realm, actor)
		err = do(appendPlace(key, row.CreatedAt, row.ID), nil)
	}
	if err == nil {
		key = appendPrefix(buf[:0], kindAll, realm)
		err = do(appendPlace(key, row.CreatedAt, row.ID), nil)
	}
	return err
}

// normalise changes a row to what reading it back returns.
func normalise(row *sessions.Session) {
	for _, at := range []*time.Time{&row.CreatedAt, &row.ExpiresAt, &row.RotatedAt, &row.ConfirmedAt, &row.RevokedAt} {
		*at = time.UnixMilli(at.UnixMilli()).UTC()
	}
	row.Idle = row.Idle.Truncate(time.Millisecond)
	if len(row.ActorClaims) == 0 {
		row.ActorClaims = nil
	}
	if len(row.ActorAbsent) == 0 {
		row.ActorAbsent = nil
	}
	if len(row.RequestHash) == 0 {
		row.RequestHash = nil
	}
}
