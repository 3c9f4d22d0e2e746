package caddymodule

import (
	"context"
	"errors"
	"net/http"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"authsidecar/sessions"
)

// observe writes what happened to a session into the log: who, as whom, why and
// from where. There is no token in an event. What is open for a session that was ended
// ends with it.
func (inst *instance) observe(_ context.Context, e *sessions.Event) {
	if !e.Session.RevokedAt.IsZero() {
		inst.store.streams.End(e.Session.Key())
	}
	level := zapcore.InfoLevel
	if e.Kind == sessions.EventFailed && !errors.Is(e.Err, context.Canceled) {
		level = zapcore.ErrorLevel
	}
	entry := inst.logger.Check(level, "session "+string(e.Kind))
	if entry == nil {
		return
	}
	s := e.Session
	fields := []zap.Field{
		zap.String("issuer", inst.issuer),
		zap.String("session_id", s.ID),
		zap.String("user_id", s.UserID),
		zap.Bool("is_impersonation", s.Impersonation),
		zap.String("actor", s.Actor.Subject),
		zap.String("actor_issuer", s.Actor.Issuer),
		zap.String("client_id", s.ClientID),
		zap.String("rule", s.Rule),
		zap.String("reason", s.Reason),
		zap.String("client_ip", e.IP),
	}
	if s.EndReason != "" {
		fields = append(fields, zap.String("end_reason", string(s.EndReason)))
	}
	if e.By != (sessions.Principal{}) {
		fields = append(fields, zap.String("by", e.By.Subject), zap.String("by_issuer", e.By.Issuer))
	}
	if e.Err != nil {
		fields = append(fields, zap.Error(e.Err))
	}
	entry.Write(fields...)
}

// failed logs a request of ours that was refused (at debug: the caller's fault)
// or failed (at error: ours).
func (inst *instance) failed(r *http.Request, status int, err error) {
	level := zapcore.DebugLevel
	if status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		level = zapcore.ErrorLevel
	}
	if entry := inst.logger.Check(level, "request refused"); entry != nil {
		entry.Write(
			zap.String("issuer", inst.issuer),
			zap.Int("status", status),
			zap.String("client_ip", clientIP(r)),
			zap.Error(err),
		)
	}
}
