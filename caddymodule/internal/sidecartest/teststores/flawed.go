package teststores

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/storetest"
)

// flawed is a store module that keeps sessions in memory, and goes by the files of a folder: while
// there is one named "waits" it does not open, with "down" it cannot be reached, and with "fails"
// it fails in a way that nobody foresaw.
type flawed struct {
	Dir string `json:"dir"`
}

func (flawed) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "auth_sessions.stores.flawed", New: func() caddy.Module { return new(flawed) }}
}

func (f *flawed) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&f.Dir) {
		return d.ArgErr()
	}
	return nil
}

func (f *flawed) StoreKey() (string, error) { return "flawed " + f.Dir, nil }

func (f *flawed) OpenStore(ctx context.Context, _ *zap.Logger) (sessions.Store, error) {
	for f.is("waits") {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	if err := f.flaw(); err != nil {
		return nil, err
	}
	memory := new(storetest.Memory)
	return &flawedStore{Store: memory, names: memory, flaw: f.flaw}, nil
}

func (f *flawed) is(name string) bool {
	_, err := os.Stat(filepath.Join(f.Dir, name))
	return err == nil
}

func (f *flawed) flaw() error {
	switch {
	case f.is("down"):
		return fmt.Errorf("%w: it is down", sessions.ErrUnavailable)
	case f.is("fails"):
		return errors.New("nobody foresaw this")
	default:
		return nil
	}
}

type flawedStore struct {
	sessions.Store
	names logout.Store // the same
	flaw  func() error
}

func (s *flawedStore) Create(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
	if err := s.flaw(); err != nil {
		return sessions.Session{}, false, 0, err
	}
	return s.Store.Create(ctx, row)
}

func (s *flawedStore) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	if err := s.flaw(); err != nil {
		return sessions.Session{}, err
	}
	return s.Store.Get(ctx, key)
}

func (s *flawedStore) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	if err := s.flaw(); err != nil {
		return sessions.Session{}, err
	}
	return s.Store.Update(ctx, key, fn)
}

func (s *flawedStore) List(ctx context.Context, query sessions.Query) (sessions.Page, error) {
	if err := s.flaw(); err != nil {
		return sessions.Page{}, err
	}
	return s.Store.List(ctx, query)
}

func (s *flawedStore) Named(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
	if err := s.flaw(); err != nil {
		return err
	}
	return s.names.Named(ctx, realm, name, page)
}

func (s *flawedStore) Mark(ctx context.Context, realm string, marks []logout.Mark) error {
	if err := s.flaw(); err != nil {
		return err
	}
	return s.names.Mark(ctx, realm, marks)
}

func (s *flawedStore) EachMark(ctx context.Context, realm string, page func([]logout.Mark) error) error {
	if err := s.flaw(); err != nil {
		return err
	}
	return s.names.EachMark(ctx, realm, page)
}

func (s *flawedStore) Marks(ctx context.Context, realm string, names []string) ([]logout.Mark, error) {
	if err := s.flaw(); err != nil {
		return nil, err
	}
	return s.names.Marks(ctx, realm, names)
}

// Checkpoint writes more than a connection takes that nobody reads from.
func (s *flawedStore) Checkpoint(_ context.Context, dir string) error {
	if err := s.flaw(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "rows"), make([]byte, 64<<20), 0o600)
}
