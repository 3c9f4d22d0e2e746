package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions"
)

// reports are where an instance tells what happens.
type reports struct{}

func (inst *instance) newReports(ctx caddy.Context, h *Handler) error { return nil }
func (inst *instance) openReports() error                             { return nil }
func (inst *instance) closeReports() error                            { return nil }

func (inst *instance) before(ctx context.Context, kind sessions.EventKind, s *sessions.Session) error {
	return nil
}

func expired(s *sessions.Session) {}
