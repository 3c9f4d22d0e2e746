package observe

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"authsidecar/sessions"
	"authsidecar/sessions/audit"
	"authsidecar/sessions/forward"
)

// A note is what a request is remembered by: for its trace, and for the access log.
// It holds no token.
type note struct {
	mu       sync.Mutex
	decision string // what was done, or why not
	issuer   string // whose token it came with
	verified bool   // a token was good
	cached   bool   // and it was remembered
	session  string
	user     string
	actor    string
	store    time.Duration
}

const noteVar = "auth_sessions.note"

// takeNotes begins to remember a request.
func takeNotes(r *http.Request) *note {
	n := new(note)
	caddyhttp.SetVar(r.Context(), noteVar, n)
	return n
}

// noteOf returns the note of the request that ctx is of, or nil: then what is noted
// is forgotten.
func noteOf(ctx context.Context) *note {
	n, _ := caddyhttp.GetVar(ctx, noteVar).(*note)
	return n
}

func (n *note) write(do func()) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	do()
}

// stored notes that the store was asked.
func (n *note) stored(took time.Duration) { n.write(func() { n.store += took }) }

// told notes whose token it was; nil is nobody's.
func (n *note) told(c *sessions.Caller, cached bool) {
	n.write(func() {
		if c != nil {
			n.verified, n.cached, n.issuer = true, cached, c.Issuer
		}
	})
}

// happened notes an event.
func (n *note) happened(e *sessions.Event) {
	n.write(func() {
		if e.Kind == sessions.EventTried || e.Kind == sessions.EventExpired {
			return // of a rule that decides nothing, and of others' sessions
		}
		if n.decision == "" {
			n.decision = string(e.Kind)
			n.of(e.Session)
		}
	})
}

func (n *note) of(s *sessions.Session) {
	n.session, n.user = s.ID, s.UserID
	if s.Impersonation {
		n.actor = s.Actor.Subject
	}
}

// refused notes why there was no answer.
func (n *note) refused(reason string) {
	n.write(func() {
		if n.decision == "" {
			n.decision = reason
		}
	})
}

// answered is the decision where nothing happened to a session.
const answered = "answered"

// tell adds the note to the access log and to the trace of its request.
func (n *note) tell(r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.decision == "" {
		n.decision = answered
	}
	n.log(r)
	n.span(r.Context())
}

func (n *note) log(r *http.Request) {
	fields, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	for _, f := range [...]struct{ name, value string }{
		{"session_id", n.session}, {"session_user", n.user}, {"session_actor", n.actor}, {"session_decision", n.decision},
	} {
		if f.value != "" {
			fields.Set(zap.String(f.name, audit.MaskIdentity(f.value)))
		}
	}
}

func (n *note) span(ctx context.Context) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.String("auth_sessions.decision", n.decision),
		attribute.Float64("auth_sessions.store_seconds", n.store.Seconds()),
	)
	if n.session != "" {
		span.SetAttributes(attribute.String("auth_sessions.session_id", n.session))
	}
	if n.verified {
		span.SetAttributes(
			attribute.String("auth_sessions.issuer", n.issuer),
			attribute.Bool("auth_sessions.cache_hit", n.cached),
		)
	}
}

// Traced begins to remember a request of the app, where somebody will read it: one that is
// traced.
func Traced(r *http.Request) {
	if trace.SpanFromContext(r.Context()).IsRecording() && noteOf(r.Context()) == nil {
		takeNotes(r)
	}
}

// Forwarded tells the access log and the trace whose session a request of the app was made with;
// nil is nobody's.
func Forwarded(r *http.Request, who *forward.Who) {
	n := noteOf(r.Context())
	switch {
	case n == nil && who == nil:
		return
	case n == nil:
		n = new(note)
	}
	n.decision = "anonymous"
	if who != nil {
		n.decision = "forwarded"
		n.made(who)
	}
	n.tell(r)
}

// Refused tells them why a request of the app does not get there, and whose it was; nil: that is
// not known.
func Refused(r *http.Request, status int, reason string, who *forward.Who) {
	n := noteOf(r.Context())
	if n == nil {
		n = new(note)
	}
	if n.decision = reason; status < http.StatusInternalServerError {
		n.decision = "denied:" + n.decision
	}
	if who != nil {
		n.made(who)
	}
	n.tell(r)
}

// made notes with which session a request was made.
func (n *note) made(who *forward.Who) {
	n.session, n.user = who.SessionID, who.UserID
	if who.Impersonation {
		n.actor = who.Actor.Subject
	}
}

// Answered begins to remember a request that we answer. Call tell when that is done.
func Answered(r *http.Request) (tell func()) {
	n := takeNotes(r)
	return func() { n.tell(r) }
}
