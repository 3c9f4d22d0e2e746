package caddymodule

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest"
)

// A session whose last access token was over long before it was ended is not in the
// deny set. What is open for it ends all the same.
func TestStreams_EndLongAfterTheLastAccessToken(t *testing.T) {
	store := &openStore{}
	store.watch.Store, store.streams.Store, store.streams.Watch = new(storetest.Memory), new(storetest.Memory), &store.watch
	inst := &instance{store: store}
	key := sessions.Key{Realm: "r", ID: "one"}
	ended := 0
	store.streams.Hold(&sessions.Facts{Key: key}, time.Now().Add(time.Hour), func() { ended++ })
	row := sessions.Session{Realm: "r", ID: "one"}
	if inst.endStreams(&sessions.Event{Kind: sessions.EventRefreshed, Session: &row}); ended != 0 {
		t.Error("ended with a session that goes on")
	}
	row.RevokedAt = time.Now()
	if inst.endStreams(&sessions.Event{Kind: sessions.EventRevoked, Session: &row}); ended != 1 {
		t.Errorf("ended %d times", ended)
	}
}

// A response that did not begin when its session ended has a moment; one that did has
// none.
func TestStream_AMomentToAnswer(t *testing.T) {
	for _, c := range []struct {
		name  string
		begin func(w http.ResponseWriter)
		grace time.Duration
	}{
		{"nothing yet", func(http.ResponseWriter) {}, streamGrace},
		{"a hint, which is no answer", func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, streamGrace},
		{"a status", func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }, 0},
		{"a switch", func(w http.ResponseWriter) { w.WriteHeader(http.StatusSwitchingProtocols) }, 0},
		{"a body", func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) }, 0},
		{"a flush", func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, r := newStream(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), nil)
			defer s.finish()
			c.begin(s)
			begun := time.Now()
			s.end()
			s.end()
			<-r.Context().Done()
			if got := time.Since(begun); got != c.grace {
				t.Errorf("%s: ended after %s, want %s", c.name, got, c.grace)
			}
		})
	}
}

func TestStream_TellsItsStatusOnce(t *testing.T) {
	var told []int
	s, _ := newStream(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), func(status int) { told = append(told, status) })
	s.WriteHeader(http.StatusEarlyHints)
	s.WriteHeader(http.StatusAccepted)
	_, _ = s.Write([]byte("x"))
	s.begin(http.StatusInternalServerError)
	if len(told) != 1 || told[0] != http.StatusAccepted {
		t.Errorf("told %v", told)
	}
}

// What is over is not touched: its writer is somebody else's by then.
func TestStream_IsLeftAloneWhenItIsOver(t *testing.T) {
	w := new(deadlines)
	s, _ := newStream(w, httptest.NewRequest(http.MethodGet, "/", nil), nil)
	s.WriteHeader(http.StatusOK)
	s.finish()
	s.end()
	if w.set != 0 {
		t.Errorf("%d deadlines were set", w.set)
	}
	s, _ = newStream(w, httptest.NewRequest(http.MethodGet, "/", nil), nil)
	s.WriteHeader(http.StatusOK)
	s.end()
	if w.set != 2 {
		t.Errorf("%d deadlines were set while it was open", w.set)
	}
}

// deadlines counts those that are set.
type deadlines struct {
	httptest.ResponseRecorder
	set int
}

func (d *deadlines) Header() http.Header              { return make(http.Header) }
func (d *deadlines) SetReadDeadline(time.Time) error  { d.set++; return nil }
func (d *deadlines) SetWriteDeadline(time.Time) error { d.set++; return nil }

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 200},
		{caddyhttp.Error(http.StatusBadGateway, errors.New("down")), 502},
		{caddyhttp.HandlerError{Err: errors.New("x")}, 500},
		{errors.New("x"), 500},
	} {
		if got := statusOf(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}
