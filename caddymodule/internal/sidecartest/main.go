package sidecartest

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
)

// asCaddy in the environment makes the test binary of a package with Main be Caddy.
const asCaddy = "AUTHSIDECAR_TEST_AS_CADDY"

// own reports whether sidecars are processes of the test binary.
var own atomic.Bool

// Main is the TestMain of a package whose sidecars are processes of its own test binary, with the
// modules that its tests register: caddy runs Caddy. nil is for a package that has none of its
// own, and shares the binary of the others.
func Main(m *testing.M, caddy func()) {
	if AsCaddy() {
		caddy()
		return
	}
	own.Store(caddy != nil)
	moreAtOnce()
	os.Exit(m.Run())
}

// AsCaddy reports whether this process is a Caddy, in a package with Main.
func AsCaddy() bool { return os.Getenv(asCaddy) != "" }

// moreAtOnce has more tests run in parallel than there are processors, where no flag says how many:
// they wait for processes most of the time.
func moreAtOnce() {
	const name = "test.parallel"
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if given {
		return
	}
	if err := flag.Set(name, strconv.Itoa(4*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
}
