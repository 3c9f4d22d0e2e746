package caddymodule

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"authsidecar/sessions"
	"authsidecar/sessions/audit"
	"authsidecar/sessions/bearer"
)

// reports are where an instance tells what happens.
type reports struct {
	audit   *auditor
	events  *events
	refused refusedLog
	health  health
}

// newReports prepares them, as far as that needs no file.
func (inst *instance) newReports(ctx caddy.Context, h *Handler) (err error) {
	inst.reports.audit = newAuditor(h, inst.logger)
	inst.reports.refused = refusedLog{logger: inst.logger, issuer: inst.issuer, kinds: make(map[refusedKind]*refusedCount)}
	inst.reports.events, err = newEvents(ctx)
	showZeros(inst.issuer)
	return err
}

// openReports opens them: from now on what is swept of the realm is told here.
func (inst *instance) openReports() error {
	if err := inst.reports.audit.open(); err != nil {
		return err
	}
	opened.Store(inst.issuer, inst)
	return nil
}

func (inst *instance) closeReports() error {
	opened.CompareAndDelete(inst.issuer, inst)
	return inst.reports.audit.close()
}

// observe tells what happened to a session: who, as whom, why and from where. There
// is no token in an event.
func (inst *instance) observe(ctx context.Context, e *sessions.Event) {
	count(inst.issuer, e)
	noteOf(ctx).happened(e)
	inst.countLive(e)
	inst.endStreams(e)
	switch e.Kind {
	case sessions.EventFailed:
		level := zapcore.ErrorLevel
		if errors.Is(e.Err, context.Canceled) {
			level = zapcore.InfoLevel
		}
		inst.logRecord(inst.logger, level, audit.RecordOf(e), audit.Position{})
	case sessions.EventTried:
		inst.logRecord(inst.logger, zapcore.InfoLevel, audit.RecordOf(e), audit.Position{})
	default:
		_ = inst.audit(ctx, audit.RecordOf(e)) // it happened: what cannot be written is logged
	}
}

// logRecord writes a record into a log.
func (inst *instance) logRecord(logger *zap.Logger, level zapcore.Level, r *audit.Record, at audit.Position) {
	entry := logger.Check(level, "session "+r.Event)
	if entry == nil {
		return
	}
	var fields []zap.Field
	for _, f := range r.Fields() {
		fields = append(fields, zap.Any(f.Name, f.Value))
	}
	if at.Seq > 0 {
		fields = append(fields, zap.Uint64("audit_seq", at.Seq), zap.Stringer("audit_sha256", at.Hash))
	}
	entry.Write(fields...)
}

// countLive keeps the number of live sessions up to date.
func (inst *instance) countLive(e *sessions.Event) {
	if inst.store == nil {
		return
	}
	switch e.Kind {
	case sessions.EventCreated:
		inst.store.live.change(e.Session, 1)
	case sessions.EventRevoked, sessions.EventReuse, sessions.EventStoreBehind, sessions.EventExpired:
		inst.store.live.change(e.Session, -1)
	default:
	}
}

// verified is told of each bearer token: whose it is, nil for nobody's, and whether it
// was remembered.
func (inst *instance) verified(ctx context.Context, c *sessions.Caller, remembered bool) {
	result := "miss"
	if remembered {
		result = "hit"
	}
	cacheLookups.WithLabelValues(inst.issuer, result).Inc()
	noteOf(ctx).told(c, remembered)
}

// failed logs a request that was refused (at debug, and what is wrong with tokens at info,
// not each of them: the caller's fault) or failed (at error: ours).
func (inst *instance) failed(r *http.Request, status int, err error) {
	reason := reasonOf(status, err)
	rejections.WithLabelValues(inst.issuer, reason).Inc()
	noteOf(r.Context()).refused(reason)
	inst.reports.refused.note(err, clientIP(r))
	level := zapcore.DebugLevel
	if status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		level = zapcore.ErrorLevel
	}
	if entry := inst.logger.Check(level, "request refused"); entry != nil {
		entry.Write(
			zap.String("issuer", inst.issuer),
			zap.Int("status", status),
			zap.String("client_ip", clientIP(r)),
			zap.String("reason", reason),
			zap.Error(err),
		)
	}
}

// Reasons of rejections that alerts know.
const (
	reasonRequired    = "reason_required"
	reasonUnavailable = "unavailable"
	reasonInternal    = "internal"
)

// reasonOf names why a request was refused or failed, in one of a few words.
func reasonOf(status int, err error) string {
	if token, ok := errors.AsType[*bearer.Refusal](err); ok {
		return string(token.Reason)
	}
	if request, ok := errors.AsType[*refusal](err); ok {
		return request.reason()
	}
	for _, known := range [...]struct {
		err    error
		reason string
	}{
		{bearer.ErrNoToken, "no_token"},
		{bearer.ErrMalformed, string(malformed)},
		{sessions.ErrReasonRequired, reasonRequired},
		{sessions.ErrClient, "client"},
		{sessions.ErrGrant, "invalid_grant"},
		{sessions.ErrEnded, "ended"},
		{sessions.ErrForbidden, "forbidden"},
		{sessions.ErrDenied, "denied"},
		{bearer.ErrKeysUnavailable, "keys_unavailable"},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	switch status {
	case http.StatusNotFound:
		return "not_found"
	case http.StatusMethodNotAllowed:
		return "method"
	case http.StatusConflict, http.StatusUnprocessableEntity:
		return "idempotency"
	case http.StatusServiceUnavailable:
		return reasonUnavailable
	case http.StatusInternalServerError:
		return reasonInternal
	default:
		return "invalid_request"
	}
}
