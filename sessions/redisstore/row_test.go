package redisstore

import (
	"errors"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/storetest"
)

// Keys have a short hash of the realm: where two realms have the same, a row is read in its own alone.
func TestARowIsReadInItsOwnRealmAlone(t *testing.T) {
	row := sharedtest.Row("one", storetest.Epoch)
	stored, err := encode(&row, newRef(&row, 1), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode(row.Key(), stored.value); err != nil {
		t.Errorf("in its own: %v", err)
	}
	if _, err := decode(sessions.Key{Realm: row.Realm + "/other", ID: row.ID}, stored.value); !errors.Is(err, calls.ErrCorrupt) {
		t.Errorf("in another: %v", err)
	}
}
