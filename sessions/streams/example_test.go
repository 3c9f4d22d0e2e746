package streams_test

import (
	"context"
	"fmt"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/streams"
)

// A WebSocket that was opened with a session ends when the session is revoked.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store := new(storetest.Memory)
	registry := &streams.Registry{Store: store, Watch: &revocation.Watcher{Store: store}}
	if err := registry.Watch.Start(ctx); err != nil {
		panic(err)
	}
	go registry.Run(ctx)

	session := &sessions.Ref{Key: sessions.Key{Realm: "https://app.example.com", ID: "s1"}, UserID: "alice"}
	closed := make(chan struct{})
	release := registry.Hold(session, time.Now().Add(10*time.Minute), func() { close(closed) })
	defer release()
	fmt.Println("open:", registry.Len())

	registry.End(session.Key)
	<-closed
	fmt.Println("open:", registry.Len())
	// Output:
	// open: 1
	// open: 0
}
