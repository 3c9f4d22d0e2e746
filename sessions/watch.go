package sessions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Watcher tells whether a session was ended, from memory: of what this process
// ended, and of what a store that others share says that they ended. As long as it
// cannot hear them it is blind, and asks the store. Its zero value knows what this
// process ended. It is safe for concurrent use.
//
//	                      hears        blind, store answers   blind, store down
//	own sessions          memory       store, for a second    pass for BlindGrace, then ErrUnavailable
//	impersonations        memory       store, for a second    ErrUnavailable
type Watcher struct {
	// Deny is what is known.
	Deny DenySet
	// Store is asked. Nil is never asked: then the watcher is never blind.
	Store Store
	// Clock times silence; it has nothing to do with the store's. Default:
	// time.Now.
	Clock func() time.Time
	// Lost is told why a feed ended, and loading what it missed failed. Nil is
	// silence.
	Lost func(error)

	identity atomic.Pointer[string] // of the store

	state  atomic.Pointer[sight]
	realms sync.Map // of cutoffs that are loaded
	glance glances
}

// BlindGrace is for how long a blind watcher, whose store is down, lets sessions
// pass that are no impersonations.
const BlindGrace = 30 * time.Second

// sight is what a watcher sees. It is blind from since on; the zero time is never.
type sight struct {
	since time.Time
	heard time.Time // the feed's last word, where there is one
	feed  bool
}

func (w *Watcher) now() time.Time {
	if w.Clock == nil {
		return time.Now() //nolint:forbidigo // the default of the clock
	}
	return w.Clock()
}

// blindSince tells since when the watcher has been blind.
func (w *Watcher) blindSince(now time.Time) (since time.Time, blind bool) {
	s := w.state.Load()
	switch {
	case s == nil:
		return time.Time{}, false
	case !s.since.IsZero():
		return s.since, true
	case s.feed && now.Sub(s.heard) > FeedSilence:
		return s.heard.Add(FeedSilence), true
	default:
		return time.Time{}, false
	}
}

// Blind is for how long the watcher has been blind; 0 is not at all.
func (w *Watcher) Blind() time.Duration {
	now := w.now()
	since, blind := w.blindSince(now)
	if !blind {
		return 0
	}
	return max(now.Sub(since), 1)
}

// Silence is since when the feed has said nothing; 0 where there is no feed.
func (w *Watcher) Silence() time.Duration {
	s := w.state.Load()
	if s == nil || !s.feed {
		return 0
	}
	return max(w.now().Sub(s.heard), 1)
}

// Ended tells whether the session was ended before its time. ErrUnavailable: nobody
// can tell.
func (w *Watcher) Ended(ctx context.Context, f *Facts) (bool, error) {
	if w.elsewhere(f) || w.Deny.Denied(f) {
		return true, nil
	}
	if w.state.Load() == nil {
		return false, nil
	}
	now := w.now()
	since, blind := w.blindSince(now)
	if !blind {
		return false, nil
	}
	ended, err := w.ask(ctx, f, now)
	if err != nil && !f.Impersonation && now.Sub(since) < BlindGrace {
		return false, nil
	}
	return ended, err
}

// Start begins to watch the store: a store without a feed is nobody else's, and what
// it remembers is loaded. An error means that nobody knows what was ended.
func (w *Watcher) Start(ctx context.Context) error {
	if _, err := w.Identify(ctx); err != nil {
		return fmt.Errorf("asking for the identity: %w", err)
	}
	now := w.now()
	if _, ok := As[RevocationFeed](w.Store); ok {
		w.state.Store(&sight{since: now, heard: now, feed: true}) // until Run heard it
		return nil
	}
	if _, ok := As[RevocationLog](w.Store); !ok {
		w.state.Store(&sight{since: now}) // forever: it remembers nothing
		return nil
	}
	return w.load(ctx, w.Store.Now().Add(-RevocationMemory))
}

// Run follows the feed of the store, if it has one, until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	feed, ok := As[RevocationFeed](w.Store)
	if !ok {
		return
	}
	for ctx.Err() == nil {
		f := following{w: w, ready: make(chan struct{}, 1)}
		session, cancel := context.WithCancel(ctx)
		var loading sync.WaitGroup
		loading.Go(func() { f.catchUp(session) })
		err := feed.Follow(session, &f)
		cancel()
		loading.Wait()
		w.change(func(s *sight) {
			if s.since.IsZero() {
				s.since = w.now()
			}
		})
		if ctx.Err() == nil {
			w.lost(fmt.Errorf("following what other nodes end: %w", err))
		}
		pause(ctx, FeedHeartbeat)
	}
}

func (w *Watcher) lost(err error) {
	if w.Lost != nil {
		w.Lost(err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// change replaces what the watcher sees.
func (w *Watcher) change(change func(*sight)) {
	for {
		old := w.state.Load()
		next := *old
		change(&next)
		if w.state.CompareAndSwap(old, &next) {
			return
		}
	}
}

// following is the sink of one connection of a feed.
type following struct {
	w     *Watcher
	ready chan struct{}
}

func (f *following) Ready() {
	f.Alive()
	f.ready <- struct{}{}
}

func (f *following) Alive() {
	now := f.w.now()
	f.w.change(func(s *sight) { s.heard = now })
}

func (f *following) Revoked(key Key, at time.Time) { f.w.Deny.Deny(key, at) }

func (f *following) Cutoff(c Cutoff) { f.w.Deny.Cut(c) }

// catchUp loads what the feed missed, as soon as it is ready; then the watcher sees.
func (f *following) catchUp(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-f.ready:
	}
	for ctx.Err() == nil {
		err := f.w.load(ctx, f.w.Store.Now().Add(-RevocationMemory))
		if err == nil {
			f.w.change(func(s *sight) { s.since = time.Time{} })
			return
		}
		if ctx.Err() == nil {
			f.w.lost(err)
		}
		pause(ctx, FeedHeartbeat)
	}
}

// load reads what was ended from since on, the store's clock, and the cutoffs.
func (w *Watcher) load(ctx context.Context, since time.Time) error {
	log, ok := As[RevocationLog](w.Store)
	if !ok {
		return nil
	}
	if err := log.Revoked(ctx, since, w.Deny.Deny); err != nil {
		return fmt.Errorf("reading what was revoked: %w", err)
	}
	return w.reloadCutoffs(ctx)
}

func (w *Watcher) reloadCutoffs(ctx context.Context) (err error) {
	w.realms.Range(func(realm, _ any) bool {
		err = w.loadCutoffs(ctx, w.Store, realm.(string))
		return err == nil
	})
	return err
}

// loadCutoffs puts the cutoffs of a realm in force, and forgets those that others
// dropped.
func (w *Watcher) loadCutoffs(ctx context.Context, from Store, realm string) error {
	store, ok := As[CutoffStore](from)
	if !ok {
		return nil
	}
	w.realms.Store(realm, nil)
	stored, err := store.Cutoffs(ctx, realm)
	if err != nil {
		return fmt.Errorf("reading cutoffs: %w", err)
	}
	now := from.Now()
	for _, c := range w.Deny.Cutoffs(realm) {
		dropped := !slices.ContainsFunc(stored, func(have Cutoff) bool { return have.ID == c.ID })
		if dropped && now.Sub(c.At) >= cutoffRetention {
			w.Deny.Uncut(c)
		}
	}
	for _, c := range stored {
		w.Deny.Cut(c)
	}
	return nil
}

// ask asks the store, which is remembered for a second: whatever asks meanwhile waits
// for the same answer, and a store that is down is not asked by everybody.
func (w *Watcher) ask(ctx context.Context, f *Facts, now time.Time) (bool, error) {
	g, mine := w.glance.of(f.Key, now)
	if mine {
		g.ended, g.err = w.look(context.WithoutCancel(ctx), f)
		if g.err != nil {
			w.glance.fail(g.err, now)
		}
		close(g.done)
	}
	select {
	case <-g.done:
		return g.ended, g.err
	case <-ctx.Done():
		return false, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

func (w *Watcher) look(ctx context.Context, f *Facts) (ended bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, FeedSilence)
	defer cancel()
	row, err := w.Store.Get(ctx, f.Key)
	switch {
	case errors.Is(err, ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("asking for session: %w", err)
	case !row.RevokedAt.IsZero():
		w.Deny.Deny(f.Key, row.RevokedAt)
		return true, nil
	}
	if err := w.loadCutoffs(ctx, w.Store, f.Realm); err != nil {
		return false, err
	}
	return w.Deny.Denied(f), nil
}
