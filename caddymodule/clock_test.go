package caddymodule_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest"
)

func init() {
	if os.Getenv(asCaddy) != "" { // goldens name all the stores that there are
		caddy.RegisterModule(clockStore{})
	}
}

// A clockStore keeps sessions in memory, by a clock that is off that of the node: one of the
// two is wrong.
type clockStore struct {
	Off string `json:"off,omitempty"`
}

func (clockStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "auth_sessions.stores.test_clock", New: func() caddy.Module { return new(clockStore) }}
}

func (s *clockStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	d.NextArg()
	s.Off = d.Val()
	return nil
}

func (s *clockStore) StoreKey() (string, error) { return "test_clock " + s.Off, nil }

func (s *clockStore) OpenStore(context.Context, *zap.Logger) (sessions.Store, error) {
	off, err := time.ParseDuration(s.Off)
	return &storetest.Memory{Clock: func() time.Time { return time.Now().Add(off) }}, err
}

// A node whose clock is not the store's takes its own fresh tokens, and those of callers by
// its own clock, as before.
func TestS6_TheClockOfANodeIsNotTheStores(t *testing.T) {
	for _, off := range []string{"-1h", "-2500ms", "2500ms", "1h"} {
		t.Run(off, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t, "https://idp.example.com")
			s := newSidecar(t, t.TempDir())
			s.start(p.site(s, echo(t).URL, life+"\n\t\tstore test_clock "+off+"\n\t\tidentity {\n\t\t\trequire\n\t\t}"))
			first := create(t, s.url, p.token("alice", nil), `{"user_id":"alice"}`)
			wantStatus(t, first, 200)
			wantStatus(t, s.visit(first.text("access_token")), 200)
			next := s.refresh(first.text("refresh_token"))
			wantStatus(t, next, 200)
			wantStatus(t, s.visit(next.text("access_token")), 200)
			wantStatus(t, s.call("GET", "/current", next.text("access_token"), ""), 200)
			wantStatus(t, s.call("DELETE", "?user_id=alice", next.text("access_token"), ""), 200)
			wantStatus(t, s.visit(next.text("access_token")), 401)
			again := create(t, s.url, p.token("alice", nil), `{"user_id":"alice"}`)
			wantStatus(t, s.visit(again.text("access_token")), 200)

			old := p.token("alice", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})
			early := p.token("alice", map[string]any{"iat": time.Now().Add(time.Minute).Unix()})
			for _, token := range []string{old, early} {
				wantStatus(t, create(t, s.url, token, `{"user_id":"alice"}`), 401)
			}
		})
	}
}
