package caddymodule

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions"
)

// streamGrace is for how long a request may go on that had no response yet when its
// session ended: it may be the one that ended it, by way of the app.
const streamGrace = time.Second

// endStreams ends what is open for a session that was ended. The deny set tells of
// most of them too, but not of one whose last access token was over long before.
func (inst *instance) endStreams(e *sessions.Event) {
	if inst.store != nil && !e.Session.RevokedAt.IsZero() {
		inst.store.streams.End(e.Session.Key())
	}
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// A stream is a request and its response, which can be ended from outside: a
// WebSocket, server-sent events, whatever else stays open.
type stream struct {
	*caddyhttp.ResponseWriterWrapper
	cancel context.CancelFunc
	// began is told the status of the response, once, as soon as it is known.
	began func(status int)

	mu    sync.Mutex
	begun bool
	ended bool
	over  bool
	conn  net.Conn // hijacked
	late  *time.Timer
}

// newStream returns the stream of a request and the request to go on with.
func newStream(w http.ResponseWriter, r *http.Request, began func(status int)) (*stream, *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	s := &stream{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		cancel:                cancel, began: began,
	}
	return s, r.WithContext(ctx)
}

// end ends the stream; a response that did not begin has a moment to.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended || s.over:
	case s.begun:
		s.cut()
	default:
		s.late = time.AfterFunc(streamGrace, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.cut()
		})
	}
	s.ended = true
}

// cut cancels the request, on which reverse_proxy closes both sides, and wakes
// whoever waits for a client that neither reads nor writes.
func (s *stream) cut() {
	if s.over {
		return // the writer is not ours any more
	}
	s.cancel()
	if s.conn != nil {
		_ = s.conn.Close()
		return
	}
	control := http.NewResponseController(s.ResponseWriter)
	_ = control.SetReadDeadline(past) // those that know no deadlines have nobody who waits
	_ = control.SetWriteDeadline(past)
}

// finish is called when the request was served.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.late != nil {
		s.late.Stop()
	}
	s.cancel()
}

// begin notes that the response begins.
func (s *stream) begin(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	s.mu.Lock()
	first := !s.begun
	s.begun = true
	s.mu.Unlock()
	if first && s.began != nil {
		s.began(status)
	}
}

// WriteHeader implements http.ResponseWriter.
func (s *stream) WriteHeader(status int) {
	s.begin(status)
	s.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *stream) Write(p []byte) (int, error) {
	s.begin(http.StatusOK)
	return s.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (s *stream) ReadFrom(r io.Reader) (int64, error) {
	s.begin(http.StatusOK)
	return s.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what http.ResponseController flushes with.
func (s *stream) FlushError() error {
	s.begin(http.StatusOK)
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Hijack is what http.ResponseController hijacks with.
func (s *stream) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(s.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	s.begin(http.StatusSwitchingProtocols)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn = conn; s.ended {
		s.cut()
	}
	return conn, buffered, nil
}

// Interface guards
var (
	_ http.ResponseWriter = (*stream)(nil)
	_ http.Hijacker       = (*stream)(nil)
	_ io.ReaderFrom       = (*stream)(nil)
)
