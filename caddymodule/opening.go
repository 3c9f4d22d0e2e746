package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/periodic"
	"authsidecar/sessions"
)

// An opening opens an instance in its own goroutine. If something that it needs is down, it
// retries until the instance is open or closed. Only one attempt runs at a time, however many
// callers wait for it.
type opening struct {
	once   sync.Once
	cancel context.CancelFunc
	keys   chan struct{} // closed when the signing keys are loaded
	tried  chan struct{} // closed after the first attempt
	ended  chan struct{} // closed when there are no more attempts

	mu  sync.Mutex
	err error // of the last attempt
}

// openTimeout limits an attempt, which may wait for the lock of Caddy's storage, and openWait how
// long the start of Caddy, or a request, waits for the first one.
const (
	openTimeout = time.Minute
	openWait    = 10 * time.Second
)

// The pauses between attempts double from the first to the last, with jitter, so that nodes that
// wait for a server do not retry at the same time.
const (
	openPauseFirst = 200 * time.Millisecond
	openPauseLast  = 5 * time.Second
)

func newOpening() *opening {
	return &opening{keys: make(chan struct{}), tried: make(chan struct{}), ended: make(chan struct{})}
}

// begin starts the attempts, once.
func (o *opening) begin(inst *instance) {
	o.once.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		o.cancel = cancel
		go func() {
			defer close(o.ended)
			o.run(ctx, inst)
		}()
	})
}

// run retries until it succeeds, or ctx ends.
func (o *opening) run(ctx context.Context, inst *instance) {
	began, pause, said := time.Now(), openPauseFirst, false
	for first := true; ; first = false {
		err := inst.tryOpen(ctx)
		if err == nil && !first {
			inst.logger.Info("session store and signing keys are open now", zap.String("issuer", inst.issuer), zap.Duration("after", time.Since(began)))
		}
		o.set(err)
		if err == nil || ctx.Err() != nil {
			return
		}
		if by := isTemporary(err); by && !said || !by && !first && said {
			inst.logger.Error("the session store or the signing keys cannot be opened; what needs them is answered with 503, and this is tried again until they can",
				zap.String("issuer", inst.issuer), zap.String("store", engineOf(inst.opener)), zap.String("location", locationOf(inst.opener)), zap.Error(err))
			said = by // logged once, and again if it becomes permanent
		}
		if !periodic.Wait(ctx, pause+rand.N(pause/4)) { //nolint:gosec // nobody gains by guessing a pause
			return
		}
		pause = min(2*pause, openPauseLast)
	}
}

// setKeys marks the signing keys as loaded. Attempts call it, one after the other.
func (o *opening) setKeys() { closeOnce(o.keys) }

// closeOnce closes a channel unless it is closed. It must not be called concurrently.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// waitKeys waits until the signing keys are loaded, or returns why they are not.
func (o *opening) waitKeys(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	select {
	case <-o.keys:
	case <-o.tried:
	case <-waiting.Done():
	}
	select {
	case <-o.keys:
		return nil
	default:
		return o.wait(waiting)
	}
}

// set records the result of an attempt.
func (o *opening) set(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
	closeOnce(o.tried)
}

// wait waits for the end of the first attempt, and returns the result of the last one; nil if it is
// open.
func (o *opening) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	select {
	case <-o.tried:
		return o.failed()
	case <-ctx.Done():
		return fmt.Errorf("%w: it is being opened", sessions.ErrUnavailable)
	}
}

// end stops the attempts and waits for the last one. Callers that wait for an instance that was
// never opened get an error. One that was opened stays open: requests of a replaced configuration
// continue as long as the store is open.
func (o *opening) end() {
	o.once.Do(func() {
		o.cancel = func() {}
		close(o.ended)
	})
	o.cancel()
	<-o.ended
	select {
	case <-o.tried:
		if o.failed() == nil {
			return
		}
	default:
	}
	o.set(sessions.ErrClosed)
}

// failed returns the result of the last attempt; nil if it is open.
func (o *opening) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// isTemporary reports whether a failure may be temporary: a server that does not respond, a full
// disk, or another configuration that abandoned opening the same store. Other failures require the
// operator.
func isTemporary(err error) bool {
	if errors.Is(err, sessions.ErrSetup) {
		return false
	}
	for _, cause := range [...]error{sessions.ErrUnavailable, context.DeadlineExceeded, context.Canceled, syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
		if errors.Is(err, cause) {
			return true
		}
	}
	_, network := errors.AsType[*net.OpError](err) // Caddy's storage may be on a server
	return network
}
