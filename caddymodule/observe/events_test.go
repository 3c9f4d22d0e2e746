package observe

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"

	"authsidecar/sessions"
	"authsidecar/sessions/audit"
)

func init() { caddy.RegisterModule(eventAborter{}) }

// An eventAborter is a handler of events that says no to all.
type eventAborter struct{}

func (eventAborter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.test_aborter", New: func() caddy.Module { return new(eventAborter) }}
}

func (*eventAborter) Handle(context.Context, caddy.Event) error { return caddy.ErrEventAborted }

// Who wants to be asked before a session is created is asked, from the first request on,
// or nobody gets one: also before the events app has started, which knows no handlers
// until then, and where the client went away.
func TestEvents_NobodyPassesAHandlerThatIsNotThereYet(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name, subscription string
		before, after      error
	}{
		{"by its name", `"events": ["auth_session_creating"],`, sessions.ErrUnavailable, sessions.ErrDenied},
		{"among others", `"events": ["auth_session_created", "auth_session_creating"],`, sessions.ErrUnavailable, sessions.ErrDenied},
		{"of all events", ``, sessions.ErrUnavailable, sessions.ErrDenied},
		{"of our module's", `"modules": ["http.handlers"],`, sessions.ErrUnavailable, nil}, // the origin is no module here
		{"of another event", `"events": ["cert_obtained"],`, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, err := caddy.ProvisionContext(&caddy.Config{
				StorageRaw: json.RawMessage(`{"module": "file_system", "root": "` + t.TempDir() + `"}`),
				AppsRaw: caddy.ModuleMap{"events": json.RawMessage(
					`{"subscriptions": [{` + tt.subscription + `"handlers": [{"handler": "test_aborter"}]}]}`)},
			})
			if err != nil {
				t.Fatal(err)
			}
			e, err := newEvents(ctx)
			if err != nil {
				t.Fatal(err)
			}
			r := &audit.Record{Event: audit.EventCreating, UserID: "alice"}
			if err := e.ask(gone, r); !errors.Is(err, tt.before) {
				t.Errorf("before the events app started: %v, want %v", err, tt.before)
			}
			if err := e.app.Start(); err != nil {
				t.Fatal(err)
			}
			e.app.Emit(ctx, "started", nil) // as Caddy does
			if err := e.ask(gone, r); !errors.Is(err, tt.after) {
				t.Errorf("afterwards: %v, want %v", err, tt.after)
			}
		})
	}
}
