package caddymodule

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

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

// Caddy waits for the first try of all instances together, not for one after the other.
func TestStart_InstancesOpenSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &App{instances: make(map[string]*instance)}
		for _, issuer := range []string{"https://a.example.com", "https://b.example.com", "https://c.example.com"} {
			slow := &instance{issuer: issuer, opening: newOpening()}
			slow.opening.once.Do(func() {}) // it is being opened, and does not get to an end
			app.instances[issuer] = slow
		}
		began := time.Now()
		if err := app.open(t.Context(), nil); err != nil {
			t.Errorf("what may pass by itself refuses the configuration: %v", err)
		}
		if took := time.Since(began); took != openWait {
			t.Errorf("it took %s, want %s", took, openWait)
		}
	})
}

// While a reload is on its way a realm has two observers.
func TestObservers_TheLastOneCountsUntilItIsGone(t *testing.T) {
	var all observers
	before, after := observer{new(instance)}, observer{new(instance)}
	all.add("r", before)
	all.add("r", after)
	if all.of("r") != after {
		t.Error("the new one does not count")
	}
	all.remove("r", after) // the reload failed
	if all.of("r") != before {
		t.Error("the one that serves is forgotten")
	}
	all.remove("r", before)
	if all.of("r") != nil || all.of("other") != nil {
		t.Error("one is left")
	}
}
