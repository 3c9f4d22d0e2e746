package sessions

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// makeRoom ends the least recently used sessions of the user that are of the
// same kind and too many. The new session is granted whether that works or not:
// what is left over is ended when the next one is created. Of requests that come
// together, one does it for all.
func (m *Manager) makeRoom(ctx context.Context, created *Session) {
	if m.MaxPerUser <= 0 {
		return
	}
	if found, err := m.occupants(ctx, created); err == nil && len(found) <= m.MaxPerUser {
		return // as nearly always
	}
	at := room{created.UserID, created.Impersonation}
	if !m.rooms.enter(at) {
		return
	}
	defer m.rooms.leave(at)
	// Nobody keeps his place by hanging up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), roomTimeout)
	defer cancel()
	for pass := 1; pass == 1 || pass == 2 && m.rooms.again(at); pass++ {
		if err := m.endOldest(ctx, created); err != nil {
			m.observe(ctx, EventFailed, created, fmt.Errorf("ending the user's oldest sessions: %w", err))
		}
	}
}

// roomTimeout bounds how long a request makes room.
const roomTimeout = 5 * time.Second

// A room is where the sessions of a user of one kind are.
type room struct {
	user          string
	impersonation bool
}

// rooms are those where somebody makes room. The value tells that others came
// meanwhile.
type rooms struct {
	mu   sync.Mutex
	busy map[room]bool
}

// enter tells whether nobody makes room there yet.
func (r *rooms) enter(at room) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, busy := r.busy[at]; busy {
		r.busy[at] = true
		return false
	}
	if r.busy == nil {
		r.busy = make(map[room]bool)
	}
	r.busy[at] = false
	return true
}

// again tells whether others came meanwhile, so that there is more to do. Nobody
// does it more than twice for them: it is his request that waits.
func (r *rooms) again(at room) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	came := r.busy[at]
	r.busy[at] = false
	return came
}

// leave lets the next one make room.
func (r *rooms) leave(at room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, at)
}

func (m *Manager) endOldest(ctx context.Context, created *Session) error {
	found, err := m.occupants(ctx, created)
	if err != nil || len(found) <= m.MaxPerUser {
		return err
	}
	// What came to its end takes nobody's place. Sweeping it costs next to nothing
	// where it is done already.
	deleted, err := m.Store.Sweep(ctx, sweepRoom)
	if err == nil && deleted > 0 {
		found, err = m.occupants(ctx, created)
	}
	if err != nil {
		return err
	}
	for excess := len(found) - m.MaxPerUser; excess > 0; {
		oldest := &found[0]
		row, err := m.Store.Get(ctx, Key{Realm: m.Realm, ID: oldest.id})
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return fmt.Errorf("reading session: %w", err)
		case err == nil && m.live(&row, created.CreatedAt) && row.RotatedAt.After(oldest.used):
			oldest.used = row.RotatedAt
			heap.Fix(&found, 0)
			continue
		case oldest.id == created.ID: // all others are used more recently
			return nil
		case err == nil:
			if err := m.end(ctx, row.Key(), EndReplaced, ender{by: created.Actor, ip: created.IP}); err != nil {
				return err
			}
		}
		heap.Pop(&found)
		excess--
	}
	return nil
}

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
