package storetest

import (
	"testing"
	"time"

	"authsidecar/sessions"
)

// Run proves the contract of sessions.Store on a store. newStore opens an empty
// one whose clock is now; it is closed at the end of a test where it is an
// io.Closer. The suite needs the closing for what it says about closed stores.
func Run(t *testing.T, newStore func(t *testing.T, now func() time.Time) sessions.Store) {
}
