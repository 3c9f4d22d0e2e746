package sidecartest

import (
	"os"
	"sync/atomic"
	"testing"

	"authsidecar/sessions/storetest/servertest"
)

// asCaddy in the environment makes the test binary of a package with Main run as Caddy.
const asCaddy = "AUTHSIDECAR_TEST_AS_CADDY"

// own reports whether sidecars are processes of the test binary.
var own atomic.Bool

// Main is the TestMain of a package whose sidecars are processes of its own test binary, with the
// modules that its tests import: caddy runs Caddy. A process with the modules of a lean build starts
// in two thirds of the time. nil is for a package with few sidecars, which uses the shared binary.
func Main(m *testing.M, caddy func()) {
	if AsCaddy() {
		caddy()
		return
	}
	own.Store(caddy != nil)
	servertest.Main(m)
}

// AsCaddy reports whether this process runs as Caddy, in a package with Main.
func AsCaddy() bool { return os.Getenv(asCaddy) != "" }
