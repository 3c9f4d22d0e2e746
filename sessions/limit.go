package sessions

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"authsidecar/sessions/event"
)

// An eviction applies the session limit of a user after a session was created.
type eviction struct {
	*Manager
	created *Session
}

// enforce revokes the user's least recently used sessions of the same kind that exceed MaxPerUser.
// The new session is granted even if that fails; the rest is revoked when the next session is
// created. Concurrent requests for one user and kind take turns.
func (e *eviction) enforce(ctx context.Context) {
	if e.MaxPerUser <= 0 {
		return
	}
	if found, err := e.sameKind(ctx); err == nil && len(found) <= e.MaxPerUser {
		return // the usual case
	}
	// Evict even if the client disconnects.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limitTimeout)
	defer cancel()
	same := limitKey{e.created.UserID, e.created.Impersonation}
	turn := &e.limiting[maphash.Comparable(limitSeed, same)%limitLocks]
	turn.Lock()
	defer turn.Unlock()
	if err := e.evict(ctx); err != nil {
		e.observe(ctx, event.Failed, e.created, fmt.Errorf("evicting the user's least recently used sessions: %w", err))
	}
}

const (
	// limitTimeout limits how long a request evicts.
	limitTimeout = 5 * time.Second
	// limitSweep is the maximum number of expired rows to sweep first.
	limitSweep = 1000
	// limitMargin is how far a page may exceed the limit, for sessions that are created
	// concurrently.
	limitMargin = 64
	// evictAtOnce is how many sessions are revoked concurrently.
	evictAtOnce = 32
	// limitLocks is how many locks all users share. Two that evict at once seldom have the same.
	limitLocks = 256
)

var limitSeed = maphash.MakeSeed()

// A limitKey identifies the sessions that share a limit.
type limitKey struct {
	user          string
	impersonation bool
}

// evict revokes what exceeds the limit, the least recently used first.
func (e *eviction) evict(ctx context.Context) error {
	found, err := e.countedSessions(ctx)
	if err != nil || len(found) <= e.MaxPerUser {
		return err
	}
	// Expired sessions do not count. Sweeping is cheap if nothing is due.
	deleted, err := e.Store.Sweep(ctx, limitSweep, e.observer().Expired)
	if err == nil && deleted > 0 {
		found, err = e.countedSessions(ctx)
	}
	if err != nil {
		return err
	}
	var tooMany []Key
	for excess := len(found) - e.MaxPerUser; excess > 0 && len(found) > 0; excess-- {
		oldest := found[0]
		found = found[1:]
		row, err := e.Store.Get(ctx, Key{Realm: e.Realm, ID: oldest.id})
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return fmt.Errorf("reading session: %w", err)
		case err == nil && e.isLive(&row, e.created.RotatedAt) && row.RotatedAt.After(oldest.used):
			oldest.used = row.RotatedAt // used since then: another session may be older
			at, _ := slices.BinarySearchFunc(found, oldest, byUse)
			found = slices.Insert(found, at, oldest)
			excess++
		case oldest.id == e.created.ID: // the new session is not evicted
			excess++
		case err == nil:
			tooMany = append(tooMany, row.Key())
		}
	}
	_, err = e.revokeEach(ctx, tooMany, evictAtOnce, EndReplaced, revoker{by: e.created.Actor, ip: e.created.RequestIP()})
	return err
}

// sessionUse is a session, and the last use that is known of it.
type sessionUse struct {
	id   string
	used time.Time
}

func byUse(a, b sessionUse) int { return a.used.Compare(b.used) }

// countedSessions returns the sessions of sameKind without those that are pending, which do not
// count. Only sessions created within LinkTTL can be pending.
func (e *eviction) countedSessions(ctx context.Context) ([]sessionUse, error) {
	found, err := e.sameKind(ctx)
	if err != nil {
		return nil, err
	}
	if e.LinkTTL <= 0 || len(found) <= e.MaxPerUser {
		return found, nil
	}
	since := e.Store.Now().Add(-e.LinkTTL)
	counted := found[:0]
	for _, use := range found {
		if !use.used.Before(since) && use.id != e.created.ID {
			row, err := e.Store.Get(ctx, Key{Realm: e.Realm, ID: use.id})
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, fmt.Errorf("reading session: %w", err)
			}
			if err != nil || row.Pending != nil {
				continue
			}
		}
		counted = append(counted, use)
	}
	return counted, nil
}

// sameKind returns the user's sessions of the same kind if they exceed the limit, ordered by the
// earliest time of their last use. It reads no rows: a session was used when it was created, and
// perhaps since.
func (e *eviction) sameKind(ctx context.Context) (found []sessionUse, err error) {
	query := Query{
		Realm: e.Realm, User: e.created.UserID, Impersonations: &e.created.Impersonation,
		Limit: e.MaxPerUser + limitMargin, KeysOnly: true,
	}
	for {
		page, err := e.Store.List(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("listing sessions: %w", err)
		}
		if found == nil && len(page.Sessions) <= e.MaxPerUser {
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
