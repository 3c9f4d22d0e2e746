package caddymodule_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions"
	"authsidecar/sessions/pebblestore"
)

// A Caddy of the tests ends itself, as kill -9 does, at these points of a request.
const (
	beforeCommit = "before-commit"
	afterCommit  = "after-commit" // nothing is minted yet
	beforeAnswer = "before-answer"
)

// faultPoints in the environment makes a Caddy of the tests have them.
const faultPoints = "AUTHSIDECAR_TEST_FAULT_POINTS"

func init() {
	if !sidecartest.AsCaddy() || os.Getenv(faultPoints) == "" {
		return
	}
	caddy.RegisterModule(mortalStore{})
	caddy.RegisterModule(mortalHandler{})
	httpcaddyfile.RegisterHandlerDirective("mortal", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		return mortalHandler{}, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("mortal", httpcaddyfile.Before, "tracing") // the first of Caddy's own
}

// dieAt ends the process, if there is a file of that name in its working directory.
func dieAt(point string) {
	if os.Remove(point) != nil {
		return
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
	select {}
}

// mortalStore is store pebble, whose process dies around the write of an update.
type mortalStore struct{ caddymodule.PebbleStore }

func (mortalStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "auth_sessions.stores.mortal", New: func() caddy.Module { return new(mortalStore) }}
}

func (m *mortalStore) OpenStore(ctx context.Context, logger *zap.Logger) (sessions.Store, error) {
	store, err := m.PebbleStore.OpenStore(ctx, logger)
	if err != nil {
		return nil, err
	}
	return mortalSessions{store.(*pebblestore.Store)}, nil
}

type mortalSessions struct{ *pebblestore.Store }

func (m mortalSessions) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	dieAt(beforeCommit)
	row, err := m.Store.Update(ctx, key, fn)
	dieAt(afterCommit)
	return row, err
}

// mortalHandler writes the answer to a file and dies before the client gets any of it.
type mortalHandler struct{}

func (mortalHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mortal", New: func() caddy.Module { return new(mortalHandler) }}
}

func (mortalHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if _, err := os.Stat(beforeAnswer); err != nil {
		return next.ServeHTTP(w, r)
	}
	answer := httptest.NewRecorder()
	if err := next.ServeHTTP(answer, r); err != nil {
		return err
	}
	if err := os.WriteFile("answer.json", answer.Body.Bytes(), 0o600); err != nil {
		return err
	}
	dieAt(beforeAnswer)
	return nil
}

// mortal is a sidecar with the fault points.
func mortal(t *testing.T, words string) (s *sidecar, config, caller string) {
	t.Helper()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s = newSidecar(t)
	s.Env = append(s.Env, faultPoints+"=1")
	config = provider.Site(s.Sidecar, sidecartest.Echo(t), words+"\n\t\tstore mortal DIR/store")
	config = strings.Replace(config, "SITE {\n", "SITE {\n\tmortal\n", 1)
	s.Start(config)
	return s, config, provider.Token("alice", nil)
}

// refreshAndDie refreshes a token in a process that dies of it at the point, starts
// the next one, and returns what the client would have got, where it was made.
func (s *sidecar) refreshAndDie(token, point, config string) (lost sidecartest.Answer) {
	s.t.Helper()
	s.Write(point, "")
	body, err := json.Marshal(map[string]string{"refresh_token": token})
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.Post(s.URL+"/auth/sessions/current/refresh", "application/json", bytes.NewReader(body))
	if err == nil {
		_ = resp.Body.Close()
		s.t.Fatalf("it answered %s instead of dying", resp.Status)
	}
	<-s.Ended()
	if status := s.State().Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		s.t.Fatalf("it ended otherwise: %v", s.State())
	}
	if data, err := os.ReadFile(filepath.Join(s.Dir, "answer.json")); err == nil {
		if err := json.Unmarshal(data, &lost.Fields); err != nil {
			s.t.Fatal(err)
		}
	}
	s.Start(config)
	return lost
}

// The server dies between commit and answer. The client, which has the old token
// alone, asks again after the restart, and gets the successor that it was about to
// get, byte for byte, as often as it asks; then it goes on from there.
// Covers S2.
func TestLost_TheSameSuccessorAfterARestart(t *testing.T) {
	t.Parallel()
	for _, point := range []string{beforeCommit, afterCommit, beforeAnswer} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s, config, caller := mortal(t, "lifecycle")
			first := s.Create(caller, `{"user_id":"alice","expires_in_millis":3600000}`)
			sidecartest.WantStatus(t, first, http.StatusOK)
			token := first.Text("refresh_token")
			for range 3 { // each rotation is lost
				lost := s.refreshAndDie(token, point, config)
				again := s.Refresh(token)
				sidecartest.WantStatus(t, again, http.StatusOK)
				if made := lost.Text("refresh_token"); (made != "") != (point == beforeAnswer) {
					t.Fatalf("an answer was made: %t", made != "")
				} else if made != "" && again.Text("refresh_token") != made {
					t.Errorf("the retry got another successor than the one that was lost:\n%s\n%s", made, again.Text("refresh_token"))
				}
				for range 3 {
					if more := s.Refresh(token); more.Text("refresh_token") != again.Text("refresh_token") {
						t.Errorf("a retry got another successor: %d %s", more.Status, more.Body)
					}
				}
				s.WaitLog("session retried")
				if did := strings.Contains(s.Log(), "session refreshed"); did != (point == beforeCommit) {
					t.Errorf("the retry made a successor: %t", did)
				}
				for _, field := range []string{"session_id", "refresh_expires_at"} {
					if again.Text(field) != first.Text(field) {
						t.Errorf("%s is %q, was %q", field, again.Text(field), first.Text(field))
					}
				}
				token = again.Text("refresh_token")
			}
			sidecartest.WantStatus(t, s.Refresh(token), http.StatusOK)
		})
	}
}

// The same retry after the grace is reuse, whoever sends it, and ends the session:
// nobody can tell the client from a thief any more.
func TestLost_TooLateIsReuse(t *testing.T) {
	t.Parallel()
	const grace = time.Millisecond // in which no process is started
	for _, point := range []string{afterCommit, beforeAnswer} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s, config, caller := mortal(t, "lifecycle\n\t\trefresh_token {\n\t\t\tgrace "+grace.String()+"\n\t\t}")
			token := s.Create(caller, `{"user_id":"alice"}`).Text("refresh_token")
			lost := s.refreshAndDie(token, point, config)
			late := s.Refresh(token)
			sidecartest.WantStatus(t, late, http.StatusBadRequest)
			if late.Fields["code"] != "invalid_grant" {
				t.Errorf("refused as %v", late.Fields["code"])
			}
			s.WaitLog(`"reuse"`)
			if made := lost.Text("refresh_token"); made != "" {
				sidecartest.WantStatus(t, s.Refresh(made), http.StatusBadRequest)
			}
			listed := s.Call("GET", "?user_id=alice", caller, "")
			if items, _ := listed.Fields["items"].([]any); listed.Status != http.StatusOK || len(items) != 0 {
				t.Errorf("the session goes on: %d %s", listed.Status, listed.Body)
			}
		})
	}
}

// Interface guards
var (
	_ caddymodule.StoreOpener     = (*mortalStore)(nil)
	_ caddyhttp.MiddlewareHandler = mortalHandler{}
)
