package caddymodule

import (
	"errors"
	"testing"

	"authsidecar/sessions"
)

// Requests of a configuration that was replaced are still on their way when it is cleaned up.
func TestOpening_WhatIsOpenStaysOpenForRequestsOnTheirWay(t *testing.T) {
	open, down, never := newOpening(), newOpening(), newOpening()
	open.set(nil)
	down.set(sessions.ErrUnavailable)
	for _, o := range []*opening{open, down, never} {
		o.end()
	}
	if err := open.wait(t.Context()); err != nil {
		t.Errorf("it was open: %v", err)
	}
	for name, o := range map[string]*opening{"down": down, "never tried": never} {
		if err := o.wait(t.Context()); !errors.Is(err, sessions.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}
