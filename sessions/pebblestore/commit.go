package pebblestore

import (
	"cmp"
	"context"
	"hash/maphash"
	"runtime"

	"github.com/cockroachdb/pebble/v2"
)

// Pebble has a queue of commits of its own, but does not come back from a disk that is full or hangs.
// Here whoever waits can stop waiting, and where a commit fails, so do all that were joined in it:
// TestAFullDiskIsUnavailableAndWritesWorkAgainWhenThereIsRoom and
// TestADyingDiskIsUnavailableAndTheStoreOpensAgain. The clock is stored with each commit, in order.

// A commit is a write that waits for its turn, and the locks of the sessions
// that it is about. Whoever made it may stop waiting; the locks stay until it
// is done.
type commit struct {
	batch *pebble.Batch
	locks []uint16
	done  chan error
}

// stripe returns which lock is the session's.
func (e *engine) stripe(rowKey []byte) uint16 {
	return uint16(maphash.Bytes(e.seed, rowKey) % stripes)
}

// lock takes a session for the caller alone.
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

// newTurns returns how many pages are read at once. More would have each of them interrupted for as
// long as all others go on (10 ms each), where the first of those who wait is served next.
func newTurns() chan struct{} { return make(chan struct{}, runtime.GOMAXPROCS(0)) }

// turn waits until it is the caller's turn to read a page, in the order in which they came.
func (e *engine) turn(ctx context.Context) error {
	select {
	case e.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// change writes, if it puts anything into the batch, what changes the value of a key, which nobody else changes
// meanwhile.
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

// commit writes the batch, with all that queues meanwhile, and returns when it
// is on the disk. The locks are released then, or stay where it is unknown when
// that will be.
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

// outcome waits for what writes, as long as the caller wants to and there was no trouble since it began.
func (e *engine) outcome(ctx context.Context, done <-chan error, trouble <-chan struct{}) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-trouble:
	}
	select {
	case err := <-done: // known all the same
		return err
	default:
		return unavailable(cmp.Or(e.guard.Err(), errNoRoom))
	}
}

// commitQueue commits until nothing waits any more. It is a goroutine of its
// own, since Pebble does not come back from a disk that does not.
func (e *engine) commitQueue() {
	for {
		// Whoever is about to commit joins: it costs nothing where nobody is, and
		// where many are, it makes one fsync of many.
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
	batch, err := e.merge(group)
	if err == nil {
		err = e.clock.store(batch)
	}
	if err == nil {
		e.filter.renew(e.db)
		deleted := e.filter.add(batch)
		if err = batch.Commit(pebble.Sync); err == nil {
			e.filter.sub(deleted)
		}
	}
	e.reuse(batch, err)
	for _, c := range group {
		for _, stripe := range c.locks {
			e.unlock(stripe)
		}
		c.done <- unavailable(err)
	}
}

// merge makes one batch of all.
func (e *engine) merge(group []*commit) (*pebble.Batch, error) {
	batch := e.merged
	if e.merged = nil; batch == nil {
		batch = e.db.NewBatch()
	}
	var err error
	for _, c := range group {
		if err == nil {
			err = batch.Apply(c.batch, nil)
		}
		_ = c.batch.Close()
	}
	return batch, err
}

// reuse keeps the batch for the next group, or closes one that failed.
func (e *engine) reuse(batch *pebble.Batch, err error) {
	if err != nil {
		_ = batch.Close()
		return
	}
	batch.Reset()
	e.merged = batch
}
