package observe

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"authsidecar/sessions"
	"authsidecar/sessions/audit"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser/banner"
	"authsidecar/sessions/event"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
)

// A Config is the configuration of a Reporter.
type Config struct {
	Issuer string      // our issuer: the realm of the block
	Logger *zap.Logger // that of the handler

	// AuditFile is the audit file, "" for none. AuditRequired means that nothing happens to a
	// session unless it is in the file, on disk.
	AuditFile     string
	AuditRequired bool

	// Refusals are further reasons of rejections whose counters are exported from the start, as 0.
	Refusals []string
	// Mend returns what to do about tokens that are refused for a reason. issuer is a configured
	// one or our own, or "" for any other.
	Mend func(reason bearer.Reason, issuer string) string

	Block Block
}

// A Block is the state of an auth_sessions block, for the gauges, the health path and the admin
// API. Ping and Watch are not called before it is ready.
type Block struct {
	Trusted []bearer.Issuer // in the order of the configuration
	Rings   []Ring
	Ready   func() bool
	Ping    func(context.Context) error // nil if the store responds
	Watch   func() *revocation.Watcher
	Live    func() *Live // nil before the store is open
}

// A Ring is the signing keys of one use.
type Ring struct {
	Use       string // refresh or access
	Keys      *keyring.Ring
	Generated bool // otherwise from files
}

// A Reporter reports what happens in one auth_sessions block, and its state.
type Reporter struct {
	issuer  string
	logger  *zap.Logger
	block   Block
	audit   *auditor
	events  *events
	refused refusedLog
	limited limitedLog
	health  health
	issuers issuerLog

	hits, misses prometheus.Counter // of the verified-token cache
}

// New creates the reporter of a block. It opens no file: see OpenAudit.
func New(ctx caddy.Context, c Config) (*Reporter, error) {
	events, err := newEvents(ctx)
	if err != nil {
		return nil, err
	}
	showZeros(c.Issuer, c.Refusals)
	return &Reporter{
		hits: cacheLookups.WithLabelValues(c.Issuer, "hit"), misses: cacheLookups.WithLabelValues(c.Issuer, "miss"),
		issuer: c.Issuer, logger: c.Logger, block: c.Block, events: events,
		audit:   &auditor{logger: c.Logger.Named(auditName), path: c.AuditFile, required: c.AuditRequired},
		refused: refusedLog{logger: c.Logger, issuer: c.Issuer, mend: c.Mend, kinds: make(map[refusedKind]*refusedCount)},
	}, nil
}

// Block returns the state of the block.
func (r *Reporter) Block() *Block { return &r.block }

// OpenAudit opens the audit file.
func (r *Reporter) OpenAudit() error { return r.audit.open() }

// CloseAudit closes the audit file. Later events are not in it.
func (r *Reporter) CloseAudit() error { return r.audit.close() }

// LogIntervals writes the lines that are logged at intervals, until ctx ends.
func (r *Reporter) LogIntervals(ctx context.Context) { r.refused.run(ctx) }

// Event reports what happened to a session: who, as whom, why and from where. It contains no token.
func (r *Reporter) Event(ctx context.Context, e *sessions.Event) {
	count(r.issuer, e)
	summaryOf(ctx).setEvent(e)
	if live := r.block.Live(); live != nil {
		live.count(e)
	}
	switch e.Kind {
	case event.Failed:
		level := zapcore.ErrorLevel
		if errors.Is(e.Err, context.Canceled) {
			level = zapcore.InfoLevel
		}
		logRecord(r.logger, level, audit.RecordOf(e), audit.Position{})
	case event.Shadowed:
		logRecord(r.logger, zapcore.InfoLevel, audit.RecordOf(e), audit.Position{})
	default:
		_ = r.Record(ctx, audit.RecordOf(e)) // it has happened: if it cannot be written, that is logged
	}
}

// logRecord writes a record into a log.
func logRecord(logger *zap.Logger, level zapcore.Level, r *audit.Record, at audit.Position) {
	entry := logger.Check(level, "session "+r.Event)
	if entry == nil {
		return
	}
	known := r.Fields()
	fields := make([]zap.Field, 0, len(known)+2)
	for _, f := range known {
		fields = append(fields, zap.Any(f.Name, f.Value))
	}
	if at.Seq > 0 {
		fields = append(fields, zap.Uint64("audit_seq", at.Seq), zap.Stringer("audit_sha256", at.Hash))
	}
	entry.Write(fields...)
}

// Verified reports a bearer token: its issuer, or "" if it was refused, and whether the result came
// from the cache.
func (r *Reporter) Verified(ctx context.Context, issuer string, cached bool) {
	if cached {
		r.hits.Inc()
	} else {
		r.misses.Inc()
	}
	summaryOf(ctx).setIssuer(issuer, cached)
}

// Failed reports a request that was refused or failed. Refusals are the caller's fault and logged
// at debug, with a summary of refused tokens at info; failures are ours and logged at error.
func (r *Reporter) Failed(ctx context.Context, status int, err error) {
	reason, ip := Reason(status, err), clientIP(ctx)
	rejections.WithLabelValues(r.issuer, reason).Inc()
	summaryOf(ctx).setReason(reason)
	r.refused.count(err, ip, requestID(ctx))
	level := zapcore.DebugLevel
	if status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		level = zapcore.ErrorLevel
	}
	if entry := r.logger.Check(level, "request refused"); entry != nil {
		entry.Write(
			zap.String("issuer", r.issuer),
			zap.Int("status", status),
			zap.String("client_ip", ip),
			zap.String("reason", reason),
			zap.String("uuid", requestID(ctx)),
			zap.Error(err),
		)
	}
}

// WouldRefuse reports a request that would have been refused without shadow mode.
func (r *Reporter) WouldRefuse(req *http.Request, reason string) {
	shadowRefusals.WithLabelValues(r.issuer, reason).Inc()
	r.logger.Info("request would be refused: identity is in shadow mode",
		zap.String("issuer", r.issuer), zap.String("reason", reason), zap.String("client_ip", ClientIP(req)),
		zap.String("method", req.Method), zap.String("path", audit.Mask(req.URL.Path)))
}

// Banner reports what happened to the bar on a page.
func (r *Reporter) Banner(outcome banner.Outcome) {
	banners.WithLabelValues(r.issuer, string(outcome)).Inc()
}

// ClientIP returns the address of the client, determined by Caddy's trusted_proxies.
func ClientIP(r *http.Request) string { return clientIP(r.Context()) }

// RequestID returns the UUID that Caddy gives a request, {http.request.uuid}. Reading it also adds
// it to the access log as "uuid", so it is read only when a request is refused.
func RequestID(r *http.Request) string { return requestID(r.Context()) }

func requestID(ctx context.Context) string {
	repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	id, _ := repl.GetString("http.request.uuid")
	return id
}

func clientIP(ctx context.Context) string {
	ip, _ := variable(ctx, clientIPVar).(string)
	return ip
}
