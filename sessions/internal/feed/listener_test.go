package feed

import (
	"errors"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/serverclock"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
	"authsidecar/sessions/storetest"
)

// listen returns a listener of the node "me", whose names are "realm/id" and then data.
func listen(now func() time.Time) (*Listener, *sharedtest.Sink) {
	sink := sharedtest.NewSink()
	return &Listener{
		Node: "me", Clock: serverclock.New(now, nil), Sink: sink,
		Name: func(text string) (key sessions.Key, data string, ok bool) {
			name, data, _ := strings.Cut(text, ",")
			key.Realm, key.ID, ok = strings.Cut(name, "/")
			return key, data, ok
		},
	}, sink
}

func TestALateHeartbeatIsNoSignOfLife(t *testing.T) {
	clock := storetest.NewClock()
	l, sink := listen(clock.Now)
	alive := func() (n int) {
		sink.Read(func(h *sharedtest.Heard) { n = h.Ready + h.Alive })
		return n
	}
	clock.Advance(10 * time.Second)
	for _, beat := range []string{"h me 9000000000", "h other 10000000000"} {
		if err := l.Hear(beat); err != nil || alive() > 0 {
			t.Errorf("%q is a sign of life (%v)", beat, err)
		}
	}
	if since, heard := l.SinceHeartbeat(); since != 10*time.Second || heard {
		t.Errorf("no heartbeat since %v, heard %t", since, heard)
	}
	if err := l.Hear("h me 9001000000"); err != nil || alive() != 2 {
		t.Errorf("a heartbeat in time is none: %v", err)
	}
	if since, heard := l.SinceHeartbeat(); since != 999*time.Millisecond || !heard {
		t.Errorf("no heartbeat since %v, heard %t", since, heard)
	}
	if got := l.Heartbeat(); got != "h me 10000000000" {
		t.Errorf("it says %q", got)
	}
}

func TestWhatIsHeardIsPassedOn(t *testing.T) {
	l, sink := listen(time.Now)
	data, err := rowcodec.EncodeCutoff(&revocation.Cutoff{Filter: sessions.Filter{User: "u"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{"r 5 a/b", "r 6 /", "c 7 a/c," + string(data)} {
		if err := l.Hear(payload); err != nil {
			t.Errorf("%q: %v", payload, err)
		}
	}
	sink.Read(func(h *sharedtest.Heard) {
		c := h.Cutoffs["c"]
		if len(h.Revoked) != 2 || !h.Revoked[sessions.Key{Realm: "a", ID: "b"}].Equal(time.UnixMilli(5)) ||
			c.Realm != "a" || c.Filter.User != "u" || !c.At.Equal(time.UnixMilli(7)) {
			t.Errorf("heard are %+v", h)
		}
	})
}

func TestNoticesAreReadStrictly(t *testing.T) {
	l, sink := listen(time.Now)
	for _, payload := range []string{
		"", " ", "r", "r 1", "r 1 ", "r 1 ab", "r x a/b", "r 1 a/b,c", "c 1 a/b", "c 1 a/b,{}", `c 1 a/b,{"v":1000}`, "h", "h x", "h x y", "x 1 a/b", "R 1 a/b",
		"look", "rr 1 a/b",
	} {
		if err := l.Hear(payload); !errors.Is(err, ErrUnparsed) {
			t.Errorf("%q is read: %v", payload, err)
		}
	}
	sink.Read(func(h *sharedtest.Heard) {
		if len(h.Revoked)+len(h.Cutoffs)+h.Alive > 0 {
			t.Errorf("heard are %+v", h)
		}
	})
}

func FuzzNotice(f *testing.F) {
	f.Add("r 5 a/b")
	f.Add(`c 5 a/b,{"v":1,"user":"u"}`)
	f.Add("h me 77")
	f.Fuzz(func(t *testing.T, payload string) {
		l, _ := listen(time.Now)
		if err := l.Hear(payload); err != nil && !errors.Is(err, ErrUnparsed) {
			t.Errorf("%q: %v", payload, err)
		}
	})
}
