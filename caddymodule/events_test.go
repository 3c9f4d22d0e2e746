package caddymodule_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/sidecartest"
)

func init() { caddy.RegisterModule(eventTeller{}) }

// An eventTeller is a handler of events as an operator would write one: it logs what
// it is told, and aborts what is about a user whose name begins with "vetoed".
type eventTeller struct{ logger *zap.Logger }

func (eventTeller) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.test_teller", New: func() caddy.Module { return new(eventTeller) }}
}

func (e *eventTeller) Provision(ctx caddy.Context) error {
	e.logger = ctx.Logger()
	return nil
}

func (*eventTeller) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (e *eventTeller) Handle(ctx context.Context, event caddy.Event) error {
	data, err := json.Marshal(event.Data)
	if err != nil {
		return err
	}
	repl := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	e.logger.Info("told", zap.String("event", event.Name()), zap.String("facts", string(data)), zap.String("user", repl.ReplaceAll("{event.data.user_id}", "")),
		zap.String("header", repl.ReplaceAll("{http.request.header.Authorization}", "none")))
	user, _ := event.Data["user_id"].(string)
	switch {
	case event.Name() != "auth_session_creating":
		return nil
	case strings.HasPrefix(user, "vetoed"):
		return fmt.Errorf("not this one: %w", caddy.ErrEventAborted)
	case user == "broken":
		return errors.New("the handler is broken")
	}
	return nil
}

var _ caddyevents.Handler = (*eventTeller)(nil)

// told returns what the handler of events was told: the log's lines.
func (s *sidecar) told(event string) (lines []string) {
	for line := range strings.Lines(s.Log()) {
		if strings.Contains(line, `"msg":"told","event":"`+event+`"`) {
			lines = append(lines, line)
		}
	}
	return lines
}

// Handlers of Caddy's events are told everything that the audit has, and no token.
func TestL2_Events_TellHandlersWhatHappens(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Global = "\tevents {\n\t\ton \"\" test_teller\n\t}\n"
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), "lifecycle"))
	s.WaitLog("serving initial configuration") // with all apps
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	got := s.Create(desk, `{"user_id":"alice","reason":"ticket 4711"}`)
	next := s.Refresh(got.Text("refresh_token"))
	s.Call("DELETE", "/current", next.Text("access_token"), "")
	s.Create(provider.Token("alice", nil), `{"user_id":"bob"}`)

	s.WaitLog(`"event":"auth_session_denied"`)
	for _, event := range []string{"creating", "created", "refreshed", "revoked", "denied"} {
		lines := s.told("auth_session_" + event)
		if len(lines) == 0 {
			t.Errorf("nobody was told of %s", event)
			continue
		}
		if !strings.Contains(lines[0], `\"user_id\":`) || !strings.Contains(lines[0], `\"client_ip\":\"127.0.0.1\"`) {
			t.Errorf("%s: %s", event, lines[0])
		}
		if strings.Contains(lines[0], "eyJ") || !strings.Contains(lines[0], `"header":"none"`) {
			t.Errorf("%s: a handler could see a token: %s", event, lines[0])
		}
	}
	if line := s.told("auth_session_created")[0]; !strings.Contains(line, `\"actor\":\"carol\"`) || !strings.Contains(line, `\"reason\":\"ticket 4711\"`) || !strings.Contains(line, `"user":"alice"`) {
		t.Errorf("created: %s", line)
	}
}

// A handler that aborts auth_session_creating is a no: 403, and nothing is stored,
// also after a reload. One that only fails is logged by Caddy, as with all its events.
func TestEvents_AHandlerCanVeto(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Global = "\tevents {\n\t\ton auth_session_creating test_teller\n\t}\n"
	config := provider.Site(s.Sidecar, sidecartest.Echo(t), "lifecycle")
	s.Start(config)
	token := provider.Token("vetoed", nil)
	for range 2 {
		var got sidecartest.Answer
		for got = s.Create(token, `{"user_id":"vetoed"}`); got.Status == 503; { // not all apps are up
			got = s.Create(token, `{"user_id":"vetoed"}`)
		}
		sidecartest.WantProblem(t, got, 403, "insufficient_scope")
		sidecartest.WantStatus(t, s.Create(provider.Token("broken", nil), `{"user_id":"broken"}`), 200)
		listed := s.Call("GET", "?user_id=vetoed", token, "")
		sidecartest.WantStatus(t, listed, 200)
		if items, _ := listed.Fields["items"].([]any); len(items) != 0 {
			t.Errorf("it was stored: %s", listed.Body)
		}
		if err := s.Reload(config); err != nil {
			t.Fatal(err)
		}
	}
	s.WaitLog(`a handler of auth_session_creating refused`)
}

// A veto holds from the first request on: before all apps are up, and while a reload
// replaces them.
func TestEvents_AVetoHoldsWhileCaddyStartsAndReloads(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	token := provider.Token("vetoed", nil)
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		s := newSidecar(t)
		s.Global = "\tevents {\n\t\ton auth_session_creating test_teller\n\t}\n"
		config := provider.Site(s.Sidecar, sidecartest.Echo(t), "")
		s.Run(config)
		stop := make(chan struct{})
		bad := make(chan sidecartest.Answer, 1)
		go func() {
			defer close(bad)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := s.TryCreate(token, `{"user_id":"vetoed"}`); err == nil && got.Status != 403 && got.Status != 503 {
					bad <- got
					return
				}
			}
		}()
		if err := s.Wait(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := s.Reload(config); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		if got, ok := <-bad; ok {
			t.Fatalf("it was let through: %d %s", got.Status, got.Body)
		}
		s.Kill()
	}
}
