package caddymodule

import (
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/storetest"
)

// A session whose last access token was over long before it was ended is not in the
// deny list. What is open for it ends all the same.
func TestStreams_EndLongAfterTheLastAccessToken(t *testing.T) {
	store := &openStore{}
	store.watch.Store, store.streams.Store, store.streams.Watch = new(storetest.Memory), new(storetest.Memory), &store.watch
	inst := observer{new(instance)}
	inst.store.Store(store)
	key := sessions.Key{Realm: "r", ID: "one"}
	ended := 0
	store.streams.Hold(&sessions.Ref{Key: key}, time.Now().Add(time.Hour), func() { ended++ })
	row := sessions.Session{Realm: "r", ID: "one"}
	if inst.endStreams(&sessions.Event{Kind: event.Refreshed, Session: &row}); ended != 0 {
		t.Error("ended with a session that goes on")
	}
	row.RevokedAt = time.Now()
	if inst.endStreams(&sessions.Event{Kind: event.Revoked, Session: &row}); ended != 1 {
		t.Errorf("ended %d times", ended)
	}
}
