package caddymodule_test

import (
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "authsidecar/caddymodule"
	_ "authsidecar/caddymodule/caddy/lean"
	"authsidecar/caddymodule/internal/sidecartest"
)

func TestMain(m *testing.M) { sidecartest.Main(m, caddycmd.Main) }

// A sidecar is one that knows its test: the files of this package ask more of it.
type sidecar struct {
	*sidecartest.Sidecar
	t testing.TB
}

func newSidecar(t testing.TB) *sidecar {
	t.Helper()
	return &sidecar{sidecartest.New(t), t}
}

// newFullSidecar is one that has all of Caddy's modules.
func newFullSidecar(t testing.TB) *sidecar {
	t.Helper()
	return &sidecar{sidecartest.NewFull(t), t}
}
