package sidecartest

import (
	"strconv"
	"strings"
	"testing"

	"authsidecar/sessions/storetest/servertest"
)

// Port reserves a loopback port for a server that the test starts.
func Port(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(servertest.Port(t))
}

// PortOf returns the port of a URL that ends in one.
func PortOf(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }
