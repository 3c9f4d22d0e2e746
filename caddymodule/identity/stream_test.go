package identity

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions"
	"authsidecar/sessions/forward"
)

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
			defer s.stop()
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

// A deadline is for who waits for a client, and for nobody else: what is over, and what
// waits for nothing, keeps its connection.
func TestStream_SetsADeadlineOnlyWhereSomebodyWaits(t *testing.T) {
	for _, c := range []struct {
		name        string
		wait        func(s *stream, r *http.Request)
		read, write bool
	}{
		{"nobody", func(*stream, *http.Request) {}, false, false},
		{"a handler that was served", func(s *stream, _ *http.Request) { s.stop() }, false, false},
		{"a writer", func(s *stream, _ *http.Request) { _, _ = s.Write([]byte("x")) }, false, true},
		{"a copy", func(s *stream, _ *http.Request) { _, _ = s.ReadFrom(strings.NewReader("x")) }, false, true},
		{"a flush", func(s *stream, _ *http.Request) { _ = s.FlushError() }, false, true},
		{"a reader", func(_ *stream, r *http.Request) { _, _ = r.Body.Read(make([]byte, 1)) }, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newStuck()
			s, r := newStream(w, httptest.NewRequest(http.MethodPost, "/", w), nil)
			s.begin(http.StatusOK)
			var waiting sync.WaitGroup
			waiting.Go(func() { c.wait(s, r) })
			if c.read || c.write {
				<-w.waits
			} else {
				waiting.Wait()
			}
			s.end()
			waiting.Wait()
			if w.read != c.read || w.write != c.write {
				t.Errorf("deadlines: read %t, write %t", w.read, w.write)
			}
			if s.served {
				return
			}
			if _, err := s.Write([]byte("y")); !errors.Is(err, errStreamOver) {
				t.Errorf("it is written on: %v", err)
			}
		})
	}
}

// A response that comes too late leaves nothing in the refusal: no cookie, no redirect. What
// the site sets on every response stays.
func TestStream_NothingOfALateResponseIsSent(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Strict-Transport-Security", "max-age=1")
	s, _ := newStream(w, httptest.NewRequest(http.MethodPost, "/", nil), nil)
	s.cutOff()
	s.Header().Set("Location", "/welcome")
	s.Header().Set("Set-Cookie", "sid=1")
	s.WriteHeader(http.StatusSeeOther)
	if s.finish(nil) || len(w.Header()) != 1 || w.Header().Get("Strict-Transport-Security") == "" {
		t.Errorf("headers %v", w.Header())
	}
}

// What a client sent before its session ended is for nobody afterwards, and nothing more of
// the response is sent.
func TestStream_NothingIsReadOrWrittenAfterItWasCutOff(t *testing.T) {
	w := httptest.NewRecorder()
	s, r := newStream(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("sent")), nil)
	s.cutOff()
	for name, call := range map[string]func() (int64, error){
		"read":  func() (int64, error) { n, err := r.Body.Read(make([]byte, 4)); return int64(n), err },
		"write": func() (int64, error) { n, err := s.Write([]byte("late")); return int64(n), err },
		"copy":  func() (int64, error) { return s.ReadFrom(strings.NewReader("late")) },
		"flush": func() (int64, error) { return 0, s.FlushError() },
	} {
		if n, err := call(); n != 0 || !errors.Is(err, errStreamOver) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	if w.Body.Len() != 0 || w.Flushed {
		t.Errorf("sent %q, flushed %t", w.Body, w.Flushed)
	}
}

// A deadline that Caddy sets after ours does not let anybody wait on.
func TestStream_WakesWhoeverWaitsAsLongAsHeDoes(t *testing.T) {
	w := newStuck()
	w.deaf = 3
	s, _ := newStream(w, httptest.NewRequest(http.MethodGet, "/", nil), nil)
	s.begin(http.StatusOK)
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = s.Write([]byte("x")) })
	<-w.waits
	s.end()
	waiting.Wait()
	if w.deaf != 0 {
		t.Errorf("%d more deadlines were needed", w.deaf)
	}
}

// The handler may return while it reads elsewhere: the request is served when that read is
// over, since net/http would clear the deadline that ends it.
func TestStream_IsNotServedBeforeTheReadInFlightIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStuck()
		w.deaf = 2
		s, r := newStream(w, httptest.NewRequest(http.MethodPost, "/", w), nil)
		s.begin(http.StatusOK)
		go func() { _, _ = r.Body.Read(make([]byte, 1)) }()
		<-w.waits
		s.end()
		stopped := make(chan struct{})
		go func() { defer close(stopped); s.stop() }()
		synctest.Wait()
		select {
		case <-stopped:
			t.Error("it was served while it was read")
			close(w.woken)
		default:
		}
		<-stopped // by a later deadline
	})
}

// A request whose session ends before it is answered is refused, and recorded as that.
func TestStream_ARequestThatIsCutOffUnansweredIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newEndingSite()
		who := &identity{Who: &forward.Who{Impersonation: true, SessionID: "s"}, by: site.app, own: true, expires: time.Now().Add(time.Hour).UnixMilli()}
		app := func(_ http.ResponseWriter, r *http.Request) error {
			site.open.End(sessions.Key{Realm: "r", ID: "s"})
			<-r.Context().Done()
			return r.Context().Err()
		}
		var told []int
		err := site.app.stream(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil), who, caddyhttp.HandlerFunc(app), func(status int) { told = append(told, status) })
		if refused, ok := errors.AsType[*refusal](err); !ok || refused.Problem != errOver {
			t.Errorf("got %v", err)
		}
		if !slices.Equal(told, []int{http.StatusUnauthorized}) {
			t.Errorf("recorded %v", told)
		}
	})
}

// A connection that cannot be hijacked is no response yet.
func TestStream_AHijackThatFailsBeginsNothing(t *testing.T) {
	s, _ := newStream(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), func(status int) { t.Errorf("told %d", status) })
	if _, _, err := s.Hijack(); !errors.Is(err, http.ErrNotSupported) || s.begun {
		t.Errorf("begun %t, %v", s.begun, err)
	}
}

// A stuck client neither reads nor writes, until a deadline is over.
type stuck struct {
	httptest.ResponseRecorder
	waits       chan struct{}
	woken       chan struct{}
	deaf        int // deadlines that come to nothing
	read, write bool
}

func newStuck() *stuck { return &stuck{waits: make(chan struct{}), woken: make(chan struct{})} }

func (w *stuck) wait() error {
	close(w.waits)
	<-w.woken
	return os.ErrDeadlineExceeded
}

func (w *stuck) wake(which *bool) error {
	*which = true
	if w.deaf--; w.deaf < 0 {
		w.deaf = 0
		close(w.woken)
	}
	return nil
}

func (w *stuck) Header() http.Header               { return make(http.Header) }
func (w *stuck) Write([]byte) (int, error)         { return 0, w.wait() }
func (w *stuck) ReadFrom(io.Reader) (int64, error) { return 0, w.wait() }
func (w *stuck) FlushError() error                 { return w.wait() }
func (w *stuck) Read([]byte) (int, error)          { return 0, w.wait() }
func (w *stuck) SetReadDeadline(time.Time) error   { return w.wake(&w.read) }
func (w *stuck) SetWriteDeadline(time.Time) error  { return w.wake(&w.write) }

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
