package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"hash/maphash"
	"runtime"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Pebble has its own commit queue, but a commit does not return while the disk is full or hangs.
// Here a caller can stop waiting, and if a commit fails, all writes that share it fail:
// TestAFullDiskIsUnavailableAndWritesWorkAgainWhenThereIsRoom and
// TestADyingDiskIsUnavailableAndTheStoreOpensAgain. The clock is stored with each commit, in order.
// A goroutine and a commit of Pebble's for each write take 40 % more processor time of a creation,
// and 25 % more of a rotation (BenchmarkCreate, BenchmarkUpdate).

// A commit is a write that waits for its turn, with the locks of its sessions. Its caller may stop
// waiting; the locks are held until it is done.
type commit struct {
	batch *pebble.Batch
	locks []uint16
	done  chan error
}

// stripe returns the index of the session's lock.
func (e *engine) stripe(rowKey []byte) uint16 {
	return uint16(maphash.Bytes(e.seed, rowKey) % stripes)
}

// lock locks a session.
func (e *engine) lock(ctx context.Context, stripe uint16) error {
	select {
	case e.locks[stripe] <- struct{}{}:
		return nil
	default:
	}
	select {
	case e.locks[stripe] <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-e.guard.Trouble():
		return unavailable(e.guard.Err())
	}
}

func (e *engine) unlock(stripe uint16) { <-e.locks[stripe] }

// newTurns returns the places for reading pages concurrently. With more, each would be preempted
// while all others run (10 ms each); with these, pages are served in order.
func newTurns() chan struct{} { return make(chan struct{}, runtime.GOMAXPROCS(0)) }

// waitTurn waits for a place to read a page, first come, first served.
func (e *engine) waitTurn(ctx context.Context) error {
	select {
	case e.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// change commits what change adds to the batch, if anything. The key is locked meanwhile.
func (e *engine) change(ctx context.Context, key []byte, change func(b *pebble.Batch) error) error {
	stripe := e.stripe(key)
	if err := e.lock(ctx, stripe); err != nil {
		return err
	}
	batch := e.db.NewBatch()
	if err := change(batch); err != nil || batch.Empty() {
		e.unlock(stripe)
		return unavailable(cmp.Or(cause(err), batch.Close()))
	}
	return e.commit(ctx, batch, stripe)
}

// commit writes the batch together with all that queue meanwhile, and returns when it is on disk.
// Then the locks are released; if it is unknown when that will be, they are kept.
func (e *engine) commit(ctx context.Context, batch *pebble.Batch, locks ...uint16) error {
	c := &commit{batch: batch, locks: locks, done: make(chan error, 1)}
	trouble := e.guard.Trouble()
	e.mu.Lock()
	e.queue = append(e.queue, c)
	lead := !e.committing
	e.committing = true
	e.mu.Unlock()
	if lead {
		e.commits.Go(e.commitQueue)
	}
	return e.outcome(ctx, c.done, trouble)
}

// outcome waits for a write until the caller gives up or the disk has trouble.
func (e *engine) outcome(ctx context.Context, done <-chan error, trouble <-chan struct{}) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-trouble:
	}
	select {
	case err := <-done: // it is known after all
		return err
	default:
		return unavailable(cmp.Or(e.guard.Err(), errNoSpace))
	}
}

// commitQueue commits until the queue is empty. It runs in its own goroutine, since Pebble does not
// return while the disk hangs.
func (e *engine) commitQueue() {
	for {
		// Let writers that are about to commit join. That costs nothing if there are none, and
		// otherwise they share an fsync.
		runtime.Gosched()
		e.mu.Lock()
		group := e.queue
		if len(group) == 0 {
			e.committing = false
			e.mu.Unlock()
			return
		}
		e.queue = e.spare[:0]
		e.mu.Unlock()
		e.commitGroup(group)
		clear(group)
		e.spare = group
	}
}

func (e *engine) commitGroup(group []*commit) {
	batch, changes, err := e.merge(group)
	if err == nil {
		err = e.clock.store(batch)
	}
	if err == nil {
		e.filter.renew(e.db)
		deleted := e.filter.add(changes)
		if err = batch.Commit(pebble.Sync); err == nil {
			e.filter.decrement(deleted)
		}
	}
	clear(changes)
	for _, c := range group {
		_ = c.batch.Close() // its memory was that of the changes
	}
	e.reuse(batch, err)
	for _, c := range group {
		for _, stripe := range c.locks {
			e.unlock(stripe)
		}
		c.done <- unavailable(err)
	}
}

// A keyChange is one change of a batch.
type keyChange struct {
	kind       pebble.InternalKeyKind
	key, value []byte
	place      int // among the changes
}

// merge merges all commits into one batch, and also returns its changes in the order of their keys:
// inserting a key next to the last one costs Pebble less, and a session has keys in several places.
// If a range is deleted, the changes stay in the order in which they came.
func (e *engine) merge(group []*commit) (batch *pebble.Batch, changes []keyChange, err error) {
	if batch, e.merged = e.merged, nil; batch == nil {
		batch = e.db.NewBatch()
	}
	changes, ranges, err := readAll(e.changes[:0], group)
	e.changes = changes
	if ranges || err != nil {
		for _, c := range group {
			err = cmp.Or(err, batch.Apply(c.batch, nil))
		}
		return batch, changes, err
	}
	slices.SortFunc(changes, func(a, b keyChange) int { return cmp.Or(bytes.Compare(a.key, b.key), a.place-b.place) })
	for i := range changes {
		if c := &changes[i]; c.kind == pebble.InternalKeyKindSet {
			err = cmp.Or(err, batch.Set(c.key, c.value, nil))
		} else {
			err = cmp.Or(err, batch.Delete(c.key, nil))
		}
	}
	return batch, changes, err
}

// readAll appends the changes of all commits. ranges reports whether any of them does more than set
// or delete a key.
func readAll(changes []keyChange, group []*commit) (_ []keyChange, ranges bool, err error) {
	for _, c := range group {
		for r := c.batch.Reader(); ; {
			kind, key, value, ok, err := r.Next()
			if err != nil {
				return changes, ranges, err
			}
			if !ok {
				break
			}
			ranges = ranges || kind != pebble.InternalKeyKindSet && kind != pebble.InternalKeyKindDelete
			changes = append(changes, keyChange{kind, key, value, len(changes)})
		}
	}
	return changes, ranges, nil
}

// reuse keeps the batch for the next group, or closes it if it failed.
func (e *engine) reuse(batch *pebble.Batch, err error) {
	if err != nil {
		_ = batch.Close()
		return
	}
	batch.Reset()
	e.merged = batch
}
