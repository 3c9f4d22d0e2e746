package observe

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/periodic"
	"authsidecar/sessions"
	"authsidecar/sessions/audit"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
)

// A refusedLog logs, at Caddy's default level, which tokens are refused and what to do about it:
// the first of each reason and issuer at once, and then every refusedPause how many there were
// since. Issuers that are not configured share entries, so that made-up names fill neither the
// memory nor the log.
type refusedLog struct {
	logger *zap.Logger
	issuer string // our issuer
	mend   func(reason bearer.Reason, issuer string) string

	mu    sync.Mutex
	kinds map[refusedKind]*refusedCount
}

// refusedPause is how often a kind of refusal is logged.
const refusedPause = time.Second

// A refusedKind is a group of refusals that share a line.
type refusedKind struct {
	reason bearer.Reason
	issuer string // a configured issuer, or ""
}

// A refusedCount counts a kind since its last line.
type refusedCount struct {
	count    int
	logged   time.Time
	claimed  string // issuer in the last one
	clientIP string
	uuid     string
}

// Reasons without a single refused token: the credentials cannot be parsed, or several cookies are
// valid. ClientAuth is for a refresh token that only its client may present.
const (
	Malformed bearer.Reason = "malformed_credentials"
	Several   bearer.Reason = "several_cookies"

	ClientAuth bearer.Reason = "client_authentication"
)

// count counts a refused request, if it was refused for its token.
func (l *refusedLog) count(err error, clientIP, uuid string) {
	var kind refusedKind
	claimed := ""
	if refusal, ok := errors.AsType[*bearer.Refusal](err); ok {
		kind, claimed = refusedKind{refusal.Reason, refusal.Issuer}, refusal.Claimed
	} else if errors.Is(err, forward.ErrSeveral) {
		kind.reason = Several
	} else if errors.Is(err, sessions.ErrClientAuth) {
		kind.reason = ClientAuth
	} else if errors.Is(err, bearer.ErrMalformed) {
		kind.reason = Malformed
	} else {
		return
	}
	if kind == (refusedKind{bearer.ReasonExpired, l.issuer}) {
		return // this is how clients learn that it is time to refresh
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.kinds[kind]
	if c == nil {
		c = new(refusedCount)
		l.kinds[kind] = c
	}
	c.count++
	c.claimed, c.clientIP, c.uuid = claimed, clientIP, uuid
	if c.logged.IsZero() {
		l.write(kind, c)
	}
}

// run writes the lines that are due until ctx ends, and then the rest.
func (l *refusedLog) run(ctx context.Context) {
	periodic.Run(ctx, refusedPause, func() { l.flush(refusedPause) })
	l.flush(0)
}

// flush writes the kinds whose last line is older than age, and drops those without new ones.
func (l *refusedLog) flush(age time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, c := range l.kinds {
		switch {
		case time.Since(c.logged) < age:
		case c.count > 0:
			l.write(kind, c)
		default:
			delete(l.kinds, kind)
		}
	}
}

func (l *refusedLog) write(kind refusedKind, c *refusedCount) {
	fields := []zap.Field{zap.String("issuer", l.issuer), zap.String("reason", string(kind.reason)), zap.Int("count", c.count)}
	if kind.issuer != "" {
		fields = append(fields, zap.String("trusted_issuer", kind.issuer))
	} else if c.claimed != "" {
		fields = append(fields, zap.String("unknown_issuer", claimedIssuer(c.claimed)))
	}
	fields = append(fields, zap.String("client_ip", c.clientIP), zap.String("uuid", c.uuid), zap.String("mend", l.mend(kind.reason, kind.issuer)))
	what := "bearer token refused"
	if kind.reason == ClientAuth {
		what = "refresh token refused"
	}
	l.logger.Info(what, fields...)
	c.count, c.logged = 0, time.Now()
}

// maxClaimedIssuer is how much of an unverified issuer name is logged, in bytes.
const maxClaimedIssuer = 128

// claimedIssuer makes an unverified issuer name safe to log.
func claimedIssuer(name string) string {
	if len(name) > maxClaimedIssuer {
		return audit.Mask(forward.Encode(name[:maxClaimedIssuer])) + "..."
	}
	return audit.Mask(forward.Encode(name))
}
