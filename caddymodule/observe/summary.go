package observe

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"authsidecar/sessions"
	"authsidecar/sessions/audit"
	"authsidecar/sessions/event"
	"authsidecar/sessions/forward"
)

// A summary is what the trace and the access log entry contain about a request, without tokens. The
// methods of a nil summary do nothing.
type summary struct {
	mu       sync.Mutex
	decision string // what was done, or why not
	issuer   string // of the valid token of the request
	cached   bool   // the token was in the cache
	session  string
	user     string
	actor    string
	store    time.Duration // time spent waiting for the store
}

const summaryVar = "auth_sessions.summary"

// newSummary begins the summary of a request.
func newSummary(r *http.Request) *summary {
	s := new(summary)
	if vars, ok := r.Context().Value(varsKey).(map[string]any); ok {
		vars[summaryVar] = s
	}
	return s
}

// summaryOf returns the summary of the request with that context; nil if there is none.
func summaryOf(ctx context.Context) *summary {
	s, _ := variable(ctx, summaryVar).(*summary)
	return s
}

func (s *summary) change(do func()) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

func (s *summary) addStoreTime(took time.Duration) { s.change(func() { s.store += took }) }

// setIssuer sets the issuer of the token; "" for a refused one.
func (s *summary) setIssuer(issuer string, cached bool) {
	s.change(func() {
		if issuer != "" {
			s.cached, s.issuer = cached, issuer
		}
	})
}

// setEvent sets the decision to what happened to a session. Only the first one counts.
func (s *summary) setEvent(e *sessions.Event) {
	s.change(func() {
		if e.Kind == event.Shadowed || e.Kind == event.Expired {
			return // of a shadow rule, or to other users' sessions
		}
		if s.decision == "" {
			s.decision = string(e.Kind)
			s.setSession(e.Session.ID, e.Session.UserID, e.Session.Impersonation, e.Session.Actor)
		}
	})
}

// setReason sets the decision to why the request was refused or failed.
func (s *summary) setReason(reason string) {
	s.change(func() {
		if s.decision == "" {
			s.decision = reason
		}
	})
}

func (s *summary) setSession(id, user string, impersonation bool, actor sessions.Principal) {
	s.session, s.user = id, user
	if impersonation {
		s.actor = actor.Subject
	}
}

// answered is the decision for a request with no event.
const answered = "answered"

// write adds the summary to the access log entry and to the trace of its request.
func (s *summary) write(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.decision == "" {
		s.decision = answered
	}
	s.log(r)
	s.trace(r.Context())
}

// logField is the name under which a later summary of a request replaces an earlier one in the
// access log entry; it does not appear there.
const logField = "auth_sessions"

func (s *summary) log(r *http.Request) {
	if fields, ok := r.Context().Value(logFieldsKey).(logFields); ok {
		fields.Set(zap.Field{Key: logField, Type: zapcore.InlineMarshalerType, Interface: s})
	}
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (s *summary) MarshalLogObject(log zapcore.ObjectEncoder) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range [...]struct{ name, value string }{
		{"session_id", s.session}, {"session_user", s.user}, {"session_actor", s.actor}, {"session_decision", s.decision},
	} {
		if f.value != "" {
			log.AddString(f.name, audit.MaskIdentity(f.value))
		}
	}
	return nil
}

func (s *summary) trace(ctx context.Context) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.String("auth_sessions.decision", s.decision),
		attribute.Float64("auth_sessions.store_seconds", s.store.Seconds()),
	)
	if s.session != "" {
		span.SetAttributes(attribute.String("auth_sessions.session_id", s.session))
	}
	if s.issuer != "" {
		span.SetAttributes(
			attribute.String("auth_sessions.issuer", s.issuer),
			attribute.Bool("auth_sessions.cache_hit", s.cached),
		)
	}
}

// Answered begins the summary of a request that we answer. The caller calls done with the response
// written.
func Answered(r *http.Request) (done func()) {
	s := newSummary(r)
	return func() { s.write(r) }
}

// Arrived begins the summary of a request for the app, if it is traced. Forwarded or Refused ends
// it.
func Arrived(r *http.Request) {
	if trace.SpanFromContext(r.Context()).IsRecording() && summaryOf(r.Context()) == nil {
		newSummary(r)
	}
}

// Forwarded reports that a request is forwarded to the app, with the session's identity; nil if it
// is anonymous. logged reports whether its server has an access log.
func Forwarded(r *http.Request, who *forward.Who, logged func(*http.Request) bool) {
	s := summaryOf(r.Context())
	if s == nil && (who == nil || !logged(r)) {
		return
	}
	if who == nil {
		s.end(r, "anonymous", nil)
	} else {
		s.end(r, "forwarded", who)
	}
}

// Refused reports why a request is not forwarded to the app, with the session's identity; nil if it
// is unknown.
func Refused(r *http.Request, status int, reason string, who *forward.Who) {
	if status < http.StatusInternalServerError {
		reason = "denied:" + reason
	}
	summaryOf(r.Context()).end(r, reason, who)
}

// end writes the summary of a request for the app. It may be nil if it was not begun.
func (s *summary) end(r *http.Request, decision string, who *forward.Who) {
	if s == nil {
		s = new(summary)
	}
	s.decision = decision
	if who != nil {
		s.setSession(who.SessionID, who.UserID, who.Impersonation, who.Actor)
	}
	s.write(r)
}
