package identity

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	// streamGrace is how long a request without a response may continue after its session has
	// ended: it may be the one that ended it, through the app.
	streamGrace = time.Second
	// wakePause is the pause after which a call that still waits for the client is woken again.
	wakePause = 50 * time.Millisecond
)

// pastDeadline is a deadline in the past.
var pastDeadline = time.Unix(1, 0)

// A stream is a request and its response, which can be closed from outside: a WebSocket,
// server-sent events, or anything else that stays open. Once it is cut off, reads and writes fail.
// A deadline is set on the connection only if a read or a write is in flight: if a deadline passes
// without a read, net/http assumes that the client has left, and cancels all later requests on the
// connection.
type stream struct {
	*caddyhttp.ResponseWriterWrapper
	cancel context.CancelFunc
	// began is called once with the status of the response, as soon as it is known.
	began func(status int)
	http1 bool
	body  streamBody
	names []string // of headers that were set before

	mu      sync.Mutex
	begun   bool
	ended   bool
	served  bool // the handler has returned: no longer cut off
	over    bool // the writer must no longer be used
	cut     bool // reads and writes fail
	broken  bool // a write failed or was refused
	closing bool // a read deadline was set: the connection must not be used again
	writing int  // calls in flight
	reading int
	reads   sync.WaitGroup // reads in flight
	conn    net.Conn       // hijacked
	timer   *time.Timer
}

// newStream returns the stream of a request, and the request to forward.
func newStream(w http.ResponseWriter, r *http.Request, began func(status int)) (*stream, *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	s := &stream{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		cancel:                cancel, began: began, http1: r.ProtoMajor == 1,
		names: slices.Collect(maps.Keys(w.Header())),
	}
	r = r.WithContext(ctx)
	if r.Body != nil && r.ContentLength != 0 {
		s.body.ReadCloser, s.body.stream = r.Body, s
		r.Body = &s.body
	}
	return s, r
}

// end closes the stream; a response that has not begun gets streamGrace to do so.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended || s.served:
	case s.begun:
		s.cutOff()
	default:
		s.timer = time.AfterFunc(streamGrace, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.cutOff()
		})
	}
	s.ended = true
}

// cutOff cancels the request, which makes reverse_proxy close both sides, and wakes calls that wait
// for a client that neither reads nor writes.
func (s *stream) cutOff() {
	if s.served || s.cut {
		return
	}
	s.cut = true
	s.cancel()
	if s.conn != nil {
		_ = s.conn.Close()
		return
	}
	s.wake()
}

// wake makes reads and writes in flight fail, repeatedly until none are left: Caddy sets its own
// deadlines, which may override ours.
func (s *stream) wake() {
	if s.over || s.writing+s.reading == 0 {
		return
	}
	if s.writing > 0 {
		// Bypass Caddy's wrapper, which only the writing goroutine may use.
		_ = http.NewResponseController(innermost(s.ResponseWriter)).SetWriteDeadline(pastDeadline)
	}
	if s.reading > 0 {
		err := http.NewResponseController(s.ResponseWriter).SetReadDeadline(pastDeadline)
		s.closing = s.closing || s.http1 && err == nil
	}
	s.timer = time.AfterFunc(wakePause, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wake()
	})
}

func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// finish is called when the handler has returned, and reports whether the response stands. If the
// client has received a part of it, the connection or the stream in it is aborted, so that the part
// is not taken for the whole. If nothing was sent, the request must be refused.
func (s *stream) finish(err error) bool {
	s.stop()
	if !s.broken && !s.closing && (!s.cut || err == nil) {
		return true
	}
	if s.http1 && s.body.mayHaveMore() { // net/http would wait for the rest before it closes the connection
		s.closing = true
		_ = http.NewResponseController(s.ResponseWriter).SetReadDeadline(pastDeadline)
	}
	if s.begun {
		panic(http.ErrAbortHandler)
	}
	header := s.Header()
	maps.DeleteFunc(header, func(name string, _ []string) bool { return !slices.Contains(s.names, name) }) // headers of the response
	if s.closing {
		header.Set("Connection", "close")
	}
	return false
}

// stop ends the use of the request and of its writer.
func (s *stream) stop() {
	s.mu.Lock()
	s.served = true
	closing := s.closing
	s.mu.Unlock()
	if closing {
		s.reads.Wait() // net/http would clear the deadline of a read in flight
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.cancel()
}
