package observe

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// limitedPause is the minimum time between two log lines about limited addresses, so that a client
// with many addresses does not fill the log.
const limitedPause = 10 * time.Second

// A limitedLog counts limited addresses that have not been logged.
type limitedLog struct {
	mu     sync.Mutex
	count  int
	logged time.Time
}

// due counts an address. It returns how many there are since the last line, or 0 if that is too
// recent.
func (l *limitedLog) due(now time.Time) (count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if now.Sub(l.logged) < limitedPause {
		return 0
	}
	count, l.count, l.logged = l.count, 0, now
	return count
}

// Limited reports an address from which too many attempts failed: client is the OAuth client that
// the last one named, or "" if it is unknown. The requests that are refused because of it are
// counted in rejections_total, as rate_limited.
func (r *Reporter) Limited(ctx context.Context, client string) {
	count := r.limited.due(time.Now())
	if count == 0 {
		return
	}
	fields := []zap.Field{zap.String("issuer", r.issuer), zap.String("client_ip", clientIP(ctx)), zap.Int("addresses", count)}
	if client != "" {
		fields = append(fields, zap.String("client_id", client))
	}
	fields = append(fields, zap.String("mend", "find out who guesses secrets or makes up tokens there, or which client has a wrong secret; if it is the address of a proxy of yours, name that in trusted_proxies, since all of its clients are limited together"))
	r.logger.Warn("address limited: too many attempts to authenticate failed", fields...)
}
