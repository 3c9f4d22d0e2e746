package observe

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"authsidecar/sessions/logoutapi"
)

// IssuerEvent is the last event that a trusted issuer sent to this process.
type IssuerEvent struct {
	Kind    string            `json:"kind"`
	Outcome logoutapi.Outcome `json:"outcome"`
	JTI     string            `json:"jti,omitempty"`
	Ended   int               `json:"ended"` // number of revoked sessions
	At      time.Time         `json:"at"`    // when it arrived
}

// An issuerLog holds what trusted issuers sent.
type issuerLog struct {
	mu     sync.Mutex
	last   map[string]IssuerEvent
	logged map[string]time.Time // when a line about a kind of refused token was last logged
}

// issuerPause is the minimum time between two log lines about refused tokens of one issuer for the
// same reason.
const issuerPause = time.Minute

// add stores an event. again reports whether the same refusal was logged within issuerPause.
func (l *issuerLog) add(h *logoutapi.Result, now time.Time) (again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last, l.logged = make(map[string]IssuerEvent), make(map[string]time.Time)
	}
	if h.Outcome != logoutapi.OutcomeRefused {
		l.last[h.Issuer] = IssuerEvent{Kind: h.Kind, Outcome: h.Outcome, JTI: h.JTI, Ended: h.Ended, At: now.UTC()}
		return false
	}
	key := h.Kind + " " + h.Issuer + " " + h.Err.Error() // one of a few words of ours
	if again = now.Sub(l.logged[key]) < issuerPause; !again {
		l.logged[key] = now
	}
	return again
}

// LastIssuerEvent returns the last event of a trusted issuer, or nil.
func (r *Reporter) LastIssuerEvent(issuer string) *IssuerEvent {
	r.issuers.mu.Lock()
	defer r.issuers.mu.Unlock()
	if e, ok := r.issuers.last[issuer]; ok {
		return &e
	}
	return nil
}

// ReportIssuerEvent reports an event of a trusted issuer. rows describes which identifiers of its
// tokens the rows hold, for an event that matches nothing.
func (r *Reporter) ReportIssuerEvent(ctx context.Context, h *logoutapi.Result, rows string) {
	issuerEvents.WithLabelValues(r.issuer, h.Kind, string(h.Outcome)).Inc()
	again := r.issuers.add(h, time.Now())
	fields := []zap.Field{zap.String("issuer", r.issuer), zap.String("trusted_issuer", h.Issuer), zap.String("kind", h.Kind)}
	if h.Outcome != logoutapi.OutcomeRefused {
		fields = append(fields, zap.String("jti", h.JTI), zap.String("named", h.Named))
	}
	switch h.Outcome {
	case logoutapi.OutcomeRevoked:
		r.logger.Info("sessions revoked by their issuer", append(fields, zap.Int("sessions", h.Ended))...)
	case logoutapi.OutcomeNothing:
		r.logger.Warn("event of an issuer matched no session", append(fields, zap.String("rows", rows),
			zap.String("mend", "none is needed where that person had no session; if they had one, compare what the token named with what rows have: caddymodule/docs/logout.md"))...)
	case logoutapi.OutcomeRefused:
		if !again {
			fields = append(fields, zap.Error(h.Err), zap.String("client_ip", clientIP(ctx)))
			if h.Mend != "" {
				fields = append(fields, zap.String("mend", h.Mend))
			}
			r.logger.Warn("token of an issuer refused", fields...)
		}
	case logoutapi.OutcomeFailed: // Failed logs it
	case logoutapi.OutcomeLogged, logoutapi.OutcomeRepeated, logoutapi.OutcomeIgnored:
		r.logger.Info("issuer sent an event", append(fields, zap.String("outcome", string(h.Outcome)))...)
	}
}

// ShowIssuerEvents exports the counters of the events of issuers from the start, as 0, so that the
// first increase is seen.
func (r *Reporter) ShowIssuerEvents() {
	for _, kind := range append([]string{logoutapi.KindLogout}, logoutapi.Actionable...) {
		for _, outcome := range logoutapi.Outcomes {
			issuerEvents.WithLabelValues(r.issuer, kind, string(outcome))
		}
	}
}
