package caddymodule_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions"
	"authsidecar/sessions/storetest"
)

func init() {
	if sidecartest.AsCaddy() { // goldens name all the stores that there are
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
	if filepath.IsAbs(s.Off) {
		return &storetest.Memory{Clock: func() time.Time {
			text, _ := os.ReadFile(s.Off)
			off, _ := time.ParseDuration(string(text))
			return time.Now().Add(off)
		}}, nil
	}
	off, err := time.ParseDuration(s.Off)
	return &storetest.Memory{Clock: func() time.Time { return time.Now().Add(off) }}, err
}

// A node whose clock is not the store's takes its own fresh tokens, and those of callers by
// its own clock, as before.
func TestS6_TheClockOfANodeIsNotTheStores(t *testing.T) {
	for _, off := range []string{"-1h", "-2500ms", "2500ms", "1h"} {
		t.Run(off, func(t *testing.T) {
			t.Parallel()
			p := sidecartest.NewIDP(t, "https://idp.example.com")
			s := newSidecar(t)
			s.Start(p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tstore test_clock "+off+"\n\t\tidentity {\n\t\t\trequire\n\t\t}"))
			first := s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
			sidecartest.WantStatus(t, first, 200)
			sidecartest.WantStatus(t, s.visit(first.Text("access_token")), 200)
			next := s.Refresh(first.Text("refresh_token"))
			sidecartest.WantStatus(t, next, 200)
			sidecartest.WantStatus(t, s.visit(next.Text("access_token")), 200)
			sidecartest.WantStatus(t, s.Call("GET", "/current", next.Text("access_token"), ""), 200)
			sidecartest.WantStatus(t, s.Call("DELETE", "?user_id=alice", next.Text("access_token"), ""), 200)
			sidecartest.WantStatus(t, s.visit(next.Text("access_token")), 401)
			again := s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
			sidecartest.WantStatus(t, s.visit(again.Text("access_token")), 200)

			old := p.Token("alice", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})
			early := p.Token("alice", map[string]any{"iat": time.Now().Add(time.Minute).Unix()})
			for _, token := range []string{old, early} {
				sidecartest.WantStatus(t, s.Create(token, `{"user_id":"alice"}`), 401)
			}
		})
	}
}
