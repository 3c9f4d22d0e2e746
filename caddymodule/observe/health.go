package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"authsidecar/sessions/bearer"
)

// health caches for a second whether a block can serve, so that many probes cost the store one
// query.
type health struct {
	mu      sync.Mutex
	checked time.Time
	err     error
}

// healthEvery is how long the cached answer is used, healthTimeout how long the store may take.
const (
	healthEvery   = time.Second
	healthTimeout = 2 * time.Second
)

// ServeHealth answers a request for the health path. It gives no detail: that is in the log,
// and on the admin API.
func (r *Reporter) ServeHealth(w http.ResponseWriter, req *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	status, text := http.StatusOK, "ok\n"
	switch {
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		status, text = http.StatusMethodNotAllowed, "method not allowed\n"
	case r.healthy() != nil:
		status, text = http.StatusServiceUnavailable, "unavailable\n"
	}
	w.WriteHeader(status)
	if req.Method != http.MethodHead {
		_, _ = io.WriteString(w, text)
	}
}

// healthy returns why the block cannot serve; nil if it can.
func (r *Reporter) healthy() error {
	h := &r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.checked) >= healthEvery {
		before := h.err
		ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
		h.err = r.block.check(ctx)
		cancel()
		h.checked = time.Now()
		if h.err != nil && (before == nil || before.Error() != h.err.Error()) {
			level := zap.ErrorLevel
			if errors.Is(h.err, errOpening) { // as after each start; what prevents opening is logged elsewhere
				level = zap.InfoLevel
			}
			r.logger.Log(level, "not ready", zap.String("issuer", r.issuer), zap.Error(h.err))
		}
	}
	return h.err
}

var errOpening = errors.New("the store and the signing keys are not open")

func (b *Block) check(ctx context.Context) error {
	if !b.Ready() {
		return errOpening
	}
	now := time.Now()
	for _, issuer := range b.Trusted {
		status, known := keysOf(issuer)
		if known && (len(status.Keys) == 0 || !status.UsableUntil.IsZero() && !now.Before(status.UsableUntil)) {
			return fmt.Errorf("there are no keys of %s", issuer.Name)
		}
	}
	for _, r := range b.Rings {
		if _, err := r.Keys.Signing(now); err != nil {
			return fmt.Errorf("%s tokens: %w", r.Use, err)
		}
	}
	if err := b.Ping(ctx); err != nil {
		return fmt.Errorf("asking the store: %w", err)
	}
	return nil
}

// keysOf returns the status of a trusted issuer's keys; known is false if they are a secret.
func keysOf(issuer bearer.Issuer) (status bearer.Status, known bool) {
	source, known := issuer.Keys.(interface{ Status() bearer.Status })
	if known {
		status = source.Status()
	}
	return status, known
}
