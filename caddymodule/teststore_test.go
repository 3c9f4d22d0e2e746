package caddymodule_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/caddymodule/internal/sidecartest/teststores"
	"authsidecar/sessions"
	"authsidecar/sessions/storetest"
)

func init() {
	if sidecartest.AsCaddy() { // goldens name all the stores that there are
		caddy.RegisterModule(switchStore{})
		teststores.Register()
	}
}

// A switchStore keeps sessions in memory, and is down while a file is there: it cannot be
// opened either. Where "panics" stands in the file, it panics.
type switchStore struct {
	File string `json:"file,omitempty"`
}

func (switchStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "auth_sessions.stores.test_switch", New: func() caddy.Module { return new(switchStore) }}
}

func (s *switchStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	d.NextArg()
	s.File = d.Val()
	return nil
}

func (s *switchStore) StoreKey() (string, error) { return "test_switch " + s.File, nil }

func (s *switchStore) OpenStore(_ context.Context, logger *zap.Logger) (sessions.Store, error) {
	opened := &switched{Memory: new(storetest.Memory), file: s.File, logger: logger}
	return opened, opened.up()
}

type switched struct {
	*storetest.Memory
	file   string
	logger *zap.Logger
}

func (s *switched) up() error {
	text, err := os.ReadFile(s.file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case string(text) == "panics":
		panic("nobody foresaw this")
	default:
		return fmt.Errorf("%w: switched off", sessions.ErrUnavailable)
	}
}

func (s *switched) Ping(context.Context) error {
	s.logger.Info("the test store was asked")
	return s.up()
}

func (s *switched) Create(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
	if err := s.up(); err != nil {
		return sessions.Session{}, false, 0, err
	}
	return s.Memory.Create(ctx, row)
}

func (s *switched) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	if err := s.up(); err != nil {
		return sessions.Session{}, err
	}
	return s.Memory.Get(ctx, key)
}

func (s *switched) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	if err := s.up(); err != nil {
		return sessions.Session{}, err
	}
	row, err := s.Memory.Update(ctx, key, fn)
	if err == nil && row.Confirmed > 0 {
		s.logger.Info("the test store has a generation that arrived", zap.Uint64("generation", row.Confirmed))
	}
	return row, err
}
