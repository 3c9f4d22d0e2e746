package sessions

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"authsidecar/sessions/event"
)

// makeRoom ends the least recently used sessions of the user that are of the
// same kind and too many. The new session is granted whether that works or not:
// what is left over is ended when the next one is created. Of requests that come
// together, the first does it for all, and the others wait.
func (m *Manager) makeRoom(ctx context.Context, created *Session) {
	if m.MaxPerUser <= 0 {
		return
	}
	if found, err := m.occupants(ctx, created); err == nil && len(found) <= m.MaxPerUser {
		return // as nearly always
	}
	// Nobody keeps his place by hanging up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), roomTimeout)
	defer cancel()
	defer m.rooms.enter(room{created.UserID, created.Impersonation})()
	if err := m.endOldest(ctx, created); err != nil {
		m.observe(ctx, event.Failed, created, fmt.Errorf("ending the user's oldest sessions: %w", err))
	}
}

// roomTimeout bounds how long a request makes room.
const roomTimeout = 5 * time.Second

// A room is where the sessions of a user of one kind are.
type room struct {
	user          string
	impersonation bool
}

// rooms are those where somebody makes room, or waits to.
type rooms struct {
	mu   sync.Mutex
	busy map[room]*door
}

// A door lets one in at a time.
type door struct {
	sync.Mutex
	people int
}

// enter waits until nobody else is there. The caller calls leave when he is done.
func (r *rooms) enter(at room) (leave func()) {
	r.mu.Lock()
	if r.busy == nil {
		r.busy = make(map[room]*door)
	}
	d := r.busy[at]
	if d == nil {
		d = new(door)
		r.busy[at] = d
	}
	d.people++
	r.mu.Unlock()
	d.Lock()
	return func() {
		d.Unlock()
		r.mu.Lock()
		defer r.mu.Unlock()
		if d.people--; d.people == 0 {
			delete(r.busy, at)
		}
	}
}

func (m *Manager) endOldest(ctx context.Context, created *Session) error {
	found, err := m.occupants(ctx, created)
	if err != nil || len(found) <= m.MaxPerUser {
		return err
	}
	// What came to its end takes nobody's place. Sweeping it costs next to nothing
	// where it is done already.
	deleted, err := m.Store.Sweep(ctx, sweepRoom, m.observer().Expired)
	if err == nil && deleted > 0 {
		found, err = m.occupants(ctx, created)
	}
	if err != nil {
		return err
	}
	var tooMany []Key
	for excess := len(found) - m.MaxPerUser; excess > 0 && len(found) > 0; {
		oldest := &found[0]
		row, err := m.Store.Get(ctx, Key{Realm: m.Realm, ID: oldest.id})
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return fmt.Errorf("reading session: %w", err)
		case err == nil && m.live(&row, created.CreatedAt) && row.RotatedAt.After(oldest.used):
			oldest.used = row.RotatedAt
			heap.Fix(&found, 0)
			continue
		case oldest.id == created.ID: // it does not give way to itself
			excess++
		case err == nil:
			tooMany = append(tooMany, row.Key())
		}
		heap.Pop(&found)
		excess--
	}
	return m.endTogether(ctx, tooMany, ender{by: created.Actor, ip: created.IP})
}

// endTogether ends sessions side by side, so that they become durable together.
func (m *Manager) endTogether(ctx context.Context, keys []Key, by ender) error {
	errs := make([]error, len(keys))
	var group sync.WaitGroup
	for i, key := range keys {
		group.Go(func() { errs[i] = m.end(ctx, key, EndReplaced, by) })
		if i%endAtOnce == endAtOnce-1 {
			group.Wait()
		}
	}
	group.Wait()
	return errors.Join(errs...)
}

// endAtOnce is how many sessions are ended side by side.
const endAtOnce = 32

// sweepRoom is how many rows are swept at the most to make room.
const sweepRoom = 1000

// occupants returns the user's sessions of the same kind, if they are too many,
// the one that may have been used least recently first. It reads no rows: a
// session is used at its creation, and perhaps since.
func (m *Manager) occupants(ctx context.Context, created *Session) (occupants, error) {
	query := Query{
		Realm: m.Realm, User: created.UserID, Impersonations: &created.Impersonation,
		Limit: m.MaxPerUser + 1, KeysOnly: true,
	}
	var found occupants
	for {
		page, err := m.Store.List(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("listing sessions: %w", err)
		}
		if found == nil && len(page.Sessions) <= m.MaxPerUser {
			return nil, nil
		}
		for i := range page.Sessions {
			found = append(found, occupant{id: page.Sessions[i].ID, used: page.Sessions[i].CreatedAt})
		}
		if page.Next == "" {
			heap.Init(&found)
			return found, nil
		}
		query.Cursor = page.Next
	}
}

// An occupant is a session and a time at which it was used at the earliest.
type occupant struct {
	id   string
	used time.Time
}

// occupants are a heap, the least recently used one first.
type occupants []occupant

func (o occupants) Len() int           { return len(o) }
func (o occupants) Less(i, j int) bool { return o[i].used.Before(o[j].used) }
func (o occupants) Swap(i, j int)      { o[i], o[j] = o[j], o[i] }
func (o *occupants) Push(x any)        { *o = append(*o, x.(occupant)) }
func (o *occupants) Pop() any {
	last := len(*o) - 1
	x := (*o)[last]
	*o = (*o)[:last]
	return x
}
