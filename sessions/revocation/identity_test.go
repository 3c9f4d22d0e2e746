package revocation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
)

// A namedStore says who it is, or why it cannot.
type namedStore struct {
	*storetest.Memory
	name string
	err  error
}

func (s *namedStore) Identity(context.Context) (string, error) { return s.name, s.err }

func TestWatcher_TokensOfAnotherStoreAreOver(t *testing.T) {
	store := &namedStore{Memory: new(storetest.Memory), name: "one"}
	w := &revocation.Watcher{Store: store}
	ended := func(storeID string) bool {
		t.Helper()
		got, err := w.Revoked(t.Context(), sessions.Ref{Key: sessions.Key{Realm: "r", ID: "s"}, StoreID: storeID, CreatedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	identify := func(want bool) {
		t.Helper()
		if changed, err := w.Identify(t.Context()); changed != want || err != nil {
			t.Errorf("changed %t, %v", changed, err)
		}
	}
	if identify(false); ended("one") || !ended("two") || ended("") {
		t.Error("at first: only those of the store, and those that say nothing, go on")
	}
	identify(false)
	store.name = "two"
	if identify(true); !ended("one") || ended("two") {
		t.Error("the store was emptied: only those of the new one go on")
	}
	store.name, store.err = "", sessions.ErrUnavailable
	if changed, err := w.Identify(t.Context()); changed || !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("down: changed %t, %v", changed, err)
	}
	if !ended("one") || ended("two") {
		t.Error("what is known is forgotten while the store is down")
	}
}
