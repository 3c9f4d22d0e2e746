package revocation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

// A Watcher reports whether a session was revoked, from memory: by this process, or by others that
// share the store. While it cannot hear the others it is degraded and asks the store. It is safe
// for concurrent use.
type Watcher struct {
	// Deny holds what is known to be revoked.
	Deny DenyList
	// Store is the store to watch. If it does not implement the Store of this package, revocations
	// do not survive a restart, and there are no cutoffs.
	Store sessions.Store
	// Clock measures how long the feed has been silent; it is not the store's. Default: time.Now.
	Clock func() time.Time
	// Lost is called with the reason when a feed ended, or when what it missed could not be loaded.
	// Optional.
	Lost func(error)

	identity atomic.Pointer[string] // of the store
	state    atomic.Pointer[state]  // nil before Start
	answers  sharedLookups

	loads sync.Map // realms with loaded cutoffs
	swept sync.Map // ids of cutoffs with all rows revoked
	adds  sync.Map // by realm, a chan struct{} signaled when a cutoff was added here
}

// state is the state of the feed.
type state struct {
	since time.Time // degraded since then; zero if not
	heard time.Time // last sign of life of the feed
	feed  bool      // the store has a feed
}

func (w *Watcher) now() time.Time {
	if w.Clock == nil {
		return time.Now() //nolint:forbidigo // the default of the clock
	}
	return w.Clock()
}

// degraded reports whether, and since when, the watcher has been degraded.
func (w *Watcher) degraded(now time.Time) (since time.Time, degraded bool) {
	s := w.state.Load()
	switch {
	case s == nil:
		return time.Time{}, false
	case !s.since.IsZero():
		return s.since, true
	case s.feed && now.Sub(s.heard) > FeedTimeout:
		return s.heard.Add(FeedTimeout), true
	default:
		return time.Time{}, false
	}
}

// Degraded returns how long the watcher has been degraded; 0 means that it is not.
func (w *Watcher) Degraded() time.Duration {
	now := w.now()
	since, degraded := w.degraded(now)
	if !degraded {
		return 0
	}
	return max(now.Sub(since), 1)
}

// FeedAge returns the time since the feed's last sign of life; 0 without a feed.
func (w *Watcher) FeedAge() time.Duration {
	s := w.state.Load()
	if s == nil || !s.feed {
		return 0
	}
	return max(w.now().Sub(s.heard), 1)
}

// Start loads what the store remembers, or waits for the feed, which Run follows. An error means
// that it is unknown what was revoked.
func (w *Watcher) Start(ctx context.Context) error {
	if _, err := w.Identify(ctx); err != nil {
		return fmt.Errorf("reading the identity of the store: %w", err)
	}
	now := w.now()
	if _, ok := sessions.As[Feed](w.Store); ok {
		w.state.Store(&state{since: now, heard: now, feed: true}) // degraded until Run receives something
		return nil
	}
	if _, ok := sessions.As[Store](w.Store); !ok {
		w.state.Store(&state{since: now}) // forever: the store remembers nothing
		return nil
	}
	return w.load(ctx)
}

// Run follows the feed of the store, if it has one, until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	feed, ok := sessions.As[Feed](w.Store)
	if !ok {
		return
	}
	for ctx.Err() == nil {
		f := follower{w: w, ready: make(chan struct{}, 1)}
		err := f.run(ctx, feed)
		w.change(func(s *state) {
			if s.since.IsZero() {
				s.since = w.now()
			}
		})
		if ctx.Err() == nil {
			w.reportLost(fmt.Errorf("following the revocations of other nodes: %w", err))
		}
		pause(ctx, Heartbeat)
	}
}

func (w *Watcher) reportLost(err error) {
	if w.Lost != nil {
		w.Lost(err)
	}
}

// change replaces the state.
func (w *Watcher) change(change func(*state)) {
	for {
		old := w.state.Load()
		next := *old
		change(&next)
		if w.state.CompareAndSwap(old, &next) {
			return
		}
	}
}

// Revoked reports whether the session of an access token was revoked. An error wraps
// sessions.ErrUnavailable and means that it is unknown.
func (w *Watcher) Revoked(ctx context.Context, r sessions.Ref) (bool, error) {
	if w.isOfOtherStore(&r) || w.Deny.Revoked(&r) {
		return true, nil
	}
	if w.state.Load() == nil {
		return false, nil
	}
	now := w.now()
	since, degraded := w.degraded(now)
	if !degraded {
		return false, nil
	}
	return w.revokedWhileDegraded(ctx, r, now, since)
}

// revokedWhileDegraded is Revoked while the feed has been silent since then. It is a function of
// its own so that r is on the heap in this case only.
func (w *Watcher) revokedWhileDegraded(ctx context.Context, r sessions.Ref, now, since time.Time) (bool, error) {
	revoked, err := w.answers.of(r.Key, now, func() (bool, error) { return w.lookUp(context.WithoutCancel(ctx), &r) })
	if err != nil && !r.Impersonation && now.Sub(since) < DegradedGrace {
		return false, nil
	}
	return revoked, err
}

// lookUp reads the row and the cutoffs.
func (w *Watcher) lookUp(ctx context.Context, r *sessions.Ref) (revoked bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, FeedTimeout)
	defer cancel()
	row, err := w.Store.Get(ctx, r.Key)
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading session: %w", err)
	case !row.RevokedAt.IsZero():
		w.Deny.Add(r.Key, row.RevokedAt)
		return true, nil
	}
	if err := w.LoadCutoffs(ctx, r.Realm); err != nil {
		return false, err
	}
	return w.Deny.Revoked(r), nil
}

// Identify reads the identity of the store, and reports whether it changed: the store was emptied
// or replaced. Access tokens that were minted before are not valid for it.
func (w *Watcher) Identify(ctx context.Context) (changed bool, err error) {
	store, ok := sessions.As[Store](w.Store)
	if !ok {
		return false, nil
	}
	is, err := store.Identity(ctx)
	if err != nil {
		return false, err
	}
	was := w.identity.Load()
	if was != nil && *was == is {
		return false, nil
	}
	w.identity.Store(&is)
	return was != nil, nil
}

// Identity returns the identity that the store last returned; "" if it has none.
func (w *Watcher) Identity() string {
	if is := w.identity.Load(); is != nil {
		return *is
	}
	return ""
}

// isOfOtherStore reports whether an access token names another store. A token that names none was
// minted by an earlier release, or for a store without an identity.
func (w *Watcher) isOfOtherStore(r *sessions.Ref) bool {
	return r.StoreID != "" && r.StoreID != w.Identity()
}

// Interface guards
var _ sessions.Revocations = (*Watcher)(nil)
