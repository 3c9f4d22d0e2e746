package observe

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"authsidecar/sessions"
	"authsidecar/sessions/audit"
)

// eventPrefix is the prefix of our events in Caddy's events app, as in auth_session_created.
const eventPrefix = "auth_session_"

// eventTimeout limits how long the handlers of an event may take.
const eventTimeout = 10 * time.Second

// events emits events in Caddy's events app.
type events struct {
	app *caddyevents.App
	ctx caddy.Context
	// started is set when the events app has its handlers. It may start after the first request.
	started atomic.Bool
	// asked means that a handler wants to be asked before a session is created.
	asked bool
}

func newEvents(ctx caddy.Context) (*events, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, fmt.Errorf("loading the events app: %w", err)
	}
	e := &events{app: app.(*caddyevents.App), ctx: ctx}
	for _, s := range e.app.Subscriptions {
		e.asked = e.asked || len(s.Events) == 0 || slices.Contains(s.Events, "") || slices.Contains(s.Events, eventPrefix+audit.EventCreating)
	}
	if err := e.app.On("started", e); err != nil {
		return nil, fmt.Errorf("waiting for the events app: %w", err)
	}
	return e, nil
}

// Handle is called when all apps of the configuration have started.
func (e *events) Handle(context.Context, caddy.Event) error {
	e.started.Store(true)
	return nil
}

// emit emits a record.
func (e *events) emit(ctx context.Context, r *audit.Record) {
	name := eventPrefix + r.Event
	if !e.app.ShouldEmit(name) {
		return
	}
	bounded, cancel := e.context(ctx)
	defer cancel()
	e.app.Emit(bounded, name, dataOf(r))
}

// hasSubscribers reports whether a handler may want to be asked before a session is created.
func (e *events) hasSubscribers() bool {
	return e.asked || e.app.ShouldEmit(eventPrefix+audit.EventCreating)
}

// ask asks whether something may happen. ErrDenied means that a handler aborted the event,
// ErrUnavailable that not all handlers could be asked.
func (e *events) ask(ctx context.Context, r *audit.Record) error {
	if !e.hasSubscribers() {
		return nil
	}
	if e.asked && !e.started.Load() {
		return fmt.Errorf("%w: the events app has not started", sessions.ErrUnavailable)
	}
	name := eventPrefix + r.Event
	bounded, cancel := e.context(ctx)
	defer cancel()
	event := e.app.Emit(bounded, name, dataOf(r))
	switch {
	case event.Aborted != nil:
		return fmt.Errorf("%w: a handler of %s refused: %w", sessions.ErrDenied, name, event.Aborted)
	case bounded.Err() != nil:
		return fmt.Errorf("%w: the handlers of %s took too long", sessions.ErrUnavailable, name)
	}
	return nil
}

// context returns the context of the handlers, which neither a client that disconnects nor a reload
// cancels. It has the placeholders of the event but none of the request, whose headers contain
// tokens.
func (e *events) context(ctx context.Context) (caddy.Context, context.CancelFunc) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), eventTimeout)
	own := e.ctx
	own.Context = context.WithValue(bounded, caddy.ReplacerCtxKey, caddy.NewReplacer())
	return own, cancel
}

// dataOf returns a record as data for the handlers of an event.
func dataOf(r *audit.Record) map[string]any {
	data := make(map[string]any)
	for _, f := range r.Fields() {
		data[f.Name] = f.Value
	}
	return data
}

// Interface guard
var _ caddyevents.Handler = (*events)(nil)
