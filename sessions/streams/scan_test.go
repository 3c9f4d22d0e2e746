package streams

import (
	"fmt"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
)

// BenchmarkScan is one look at 100,000 open streams of as many sessions, with as many
// others ended.
func BenchmarkScan(b *testing.B) {
	r := &Registry{Store: new(storetest.Memory), Watch: new(revocation.Watcher)}
	for i := range 100_000 {
		r.Hold(&sessions.Ref{Key: sessions.Key{Realm: "r", ID: fmt.Sprint("open", i)}, UserID: "alice"}, time.Now(), func() {})
		r.Watch.Deny.Add(sessions.Key{Realm: "r", ID: fmt.Sprint("ended", i)}, time.Now())
	}
	for b.Loop() {
		if found := r.denied(); len(found) != 0 {
			b.Fatal("ended")
		}
	}
}

// BenchmarkHold is what a request costs that may stay open.
func BenchmarkHold(b *testing.B) {
	r := &Registry{Store: new(storetest.Memory), Watch: new(revocation.Watcher)}
	f := &sessions.Ref{Key: sessions.Key{Realm: "r", ID: "one"}, UserID: "alice"}
	b.ReportAllocs()
	for b.Loop() {
		r.Hold(f, time.Now(), func() {})()
	}
}
