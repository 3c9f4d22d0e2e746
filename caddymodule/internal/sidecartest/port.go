package sidecartest

import (
	"strconv"
	"testing"

	"authsidecar/sessions/storetest/servertest"
)

// Port reserves a port of the loopback for a server that the test starts.
func Port(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(servertest.Port(t))
}
