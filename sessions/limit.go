package sessions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"authsidecar/sessions/event"
)

// enforceLimit revokes the least recently used sessions of the user that are of the same
// kind and exceed MaxPerUser. The new session is granted whether that works or not: what is
// left over is revoked when the next one is created. Concurrent requests for one user and
// kind do it one after the other.
func (m *Manager) enforceLimit(ctx context.Context, created *Session) {
	if m.MaxPerUser <= 0 {
		return
	}
	if found, err := m.sameKind(ctx, created); err == nil && len(found) <= m.MaxPerUser {
		return // as nearly always
	}
	// A client that hangs up does not keep its sessions.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limitTimeout)
	defer cancel()
	defer m.limiting.lock(limitKey{created.UserID, created.Impersonation})()
	if err := m.evict(ctx, created); err != nil {
		m.observe(ctx, event.Failed, created, fmt.Errorf("evicting the user's least recently used sessions: %w", err))
	}
}

const (
	// limitTimeout bounds how long a request evicts.
	limitTimeout = 5 * time.Second
	// limitSweep is how many expired rows are swept at the most before that.
	limitSweep = 1000
	// evictAtOnce is how many sessions are revoked concurrently.
	evictAtOnce = 32
)

// A limitKey is whose sessions are limited together.
type limitKey struct {
	user          string
	impersonation bool
}

// limitLocks has a lock for each key that somebody holds or waits for.
type limitLocks struct {
	mu    sync.Mutex
	locks map[limitKey]*limitLock
}

type limitLock struct {
	sync.Mutex
	users int
}

// lock waits until nobody else holds the key.
func (l *limitLocks) lock(key limitKey) (unlock func()) {
	l.mu.Lock()
	if l.locks == nil {
		l.locks = make(map[limitKey]*limitLock)
	}
	one := l.locks[key]
	if one == nil {
		one = new(limitLock)
		l.locks[key] = one
	}
	one.users++
	l.mu.Unlock()
	one.Lock()
	return func() {
		one.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(l.locks, key)
		}
	}
}

// evict revokes what exceeds the limit, the least recently used first.
func (m *Manager) evict(ctx context.Context, created *Session) error {
	found, err := m.sameKind(ctx, created)
	if err != nil || len(found) <= m.MaxPerUser {
		return err
	}
	// Expired sessions do not count. Sweeping costs next to nothing where it is done already.
	deleted, err := m.Store.Sweep(ctx, limitSweep, m.observer().Expired)
	if err == nil && deleted > 0 {
		found, err = m.sameKind(ctx, created)
	}
	if err != nil {
		return err
	}
	var tooMany []Key
	for excess := len(found) - m.MaxPerUser; excess > 0 && len(found) > 0; excess-- {
		oldest := found[0]
		found = found[1:]
		row, err := m.Store.Get(ctx, Key{Realm: m.Realm, ID: oldest.id})
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return fmt.Errorf("reading session: %w", err)
		case err == nil && m.live(&row, created.CreatedAt) && row.RotatedAt.After(oldest.used):
			oldest.used = row.RotatedAt // it was used since: others may be older
			at, _ := slices.BinarySearchFunc(found, oldest, byUse)
			found = slices.Insert(found, at, oldest)
			excess++
		case oldest.id == created.ID: // the new session is not evicted
			excess++
		case err == nil:
			tooMany = append(tooMany, row.Key())
		}
	}
	return m.revokeTogether(ctx, tooMany, ender{by: created.Actor, ip: created.IP})
}

// revokeTogether revokes sessions concurrently, so that they become durable together.
func (m *Manager) revokeTogether(ctx context.Context, keys []Key, by ender) error {
	errs := make([]error, len(keys))
	var group sync.WaitGroup
	for i, key := range keys {
		group.Go(func() { errs[i] = m.end(ctx, key, EndReplaced, by) })
		if i%evictAtOnce == evictAtOnce-1 {
			group.Wait()
		}
	}
	group.Wait()
	return errors.Join(errs...)
}

// sessionUse is a session and a time since which it may have been used again.
type sessionUse struct {
	id   string
	used time.Time
}

func byUse(a, b sessionUse) int { return a.used.Compare(b.used) }

// sameKind returns the user's sessions of the same kind where they exceed the limit, those
// first that may have been used least recently. It reads no rows: a session is used at its
// creation, and perhaps since.
func (m *Manager) sameKind(ctx context.Context, created *Session) (found []sessionUse, err error) {
	query := Query{
		Realm: m.Realm, User: created.UserID, Impersonations: &created.Impersonation,
		Limit: m.MaxPerUser + 1, KeysOnly: true,
	}
	for {
		page, err := m.Store.List(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("listing sessions: %w", err)
		}
		if found == nil && len(page.Sessions) <= m.MaxPerUser {
			return nil, nil
		}
		for i := range page.Sessions {
			found = append(found, sessionUse{page.Sessions[i].ID, page.Sessions[i].CreatedAt})
		}
		if page.Next == "" {
			slices.SortFunc(found, byUse)
			return found, nil
		}
		query.Cursor = page.Next
	}
}
