package caddymodule

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

// health remembers whether an instance can serve, for a second: probes, however many,
// cost the store one question.
type health struct {
	mu      sync.Mutex
	checked time.Time
	err     error
}

// healthEvery is for how long an answer holds, healthTimeout how long the store may
// think about it.
const (
	healthEvery   = time.Second
	healthTimeout = 2 * time.Second
)

// serveHealth answers a request for the health path, if this is one. It gives no
// detail: that is in the log, and on the admin API.
func (h *Handler) serveHealth(w http.ResponseWriter, r *http.Request) bool {
	if h.Health == "" || r.URL.Path != h.Health {
		return false
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	status, text := http.StatusOK, "ok\n"
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		status, text = http.StatusMethodNotAllowed, "method not allowed\n"
	case h.inst.healthy() != nil:
		status, text = http.StatusServiceUnavailable, "unavailable\n"
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, text)
	}
	return true
}

// healthy tells why the instance cannot serve; nil if it can.
func (inst *instance) healthy() error {
	h := &inst.reports.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.checked) >= healthEvery {
		before := h.err
		ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
		h.err = inst.checkHealth(ctx)
		cancel()
		h.checked = time.Now()
		if h.err != nil && (before == nil || before.Error() != h.err.Error()) {
			inst.logger.Error("not ready", zap.String("issuer", inst.issuer), zap.Error(h.err))
		}
	}
	return h.err
}

func (inst *instance) checkHealth(ctx context.Context) error {
	if !inst.ready.Load() {
		return errors.New("the store and the signing keys are not open")
	}
	now := time.Now()
	for _, t := range inst.trust {
		source, ok := t.issuer.Keys.(interface{ Status() bearer.Status })
		if !ok { // a secret
			continue
		}
		status := source.Status()
		if len(status.Keys) == 0 || !status.UsableUntil.IsZero() && !now.Before(status.UsableUntil) {
			return fmt.Errorf("there are no keys of %s", t.issuer.Name)
		}
	}
	for _, r := range inst.rings {
		if _, err := r.ring.Signing(now); err != nil {
			return fmt.Errorf("%s tokens: %w", r.name, err)
		}
	}
	if err := ping(ctx, inst.store.store); err != nil {
		return fmt.Errorf("asking the store: %w", err)
	}
	return nil
}
