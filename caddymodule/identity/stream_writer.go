package identity

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// errStreamOver is the error of reads and writes after a stream was cut off.
var errStreamOver = errors.New("the session of this request has ended")

// enter begins a write, which begins the response with that status. If ok, call leave at the end.
func (s *stream) enter(status int) (ok bool) {
	s.mu.Lock()
	if s.cut {
		s.broken = true
		s.mu.Unlock()
		return false
	}
	s.writing++
	s.mu.Unlock()
	s.begin(status)
	return true
}

func (s *stream) leave(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing--
	s.broken = s.broken || s.cut && err != nil
}

// begin records that the response begins.
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
	if !s.enter(status) {
		return
	}
	defer s.leave(nil)
	s.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *stream) Write(p []byte) (n int, err error) {
	if !s.enter(http.StatusOK) {
		return 0, errStreamOver
	}
	defer func() { s.leave(err) }()
	return s.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (s *stream) ReadFrom(r io.Reader) (n int64, err error) {
	if !s.enter(http.StatusOK) {
		return 0, errStreamOver
	}
	defer func() { s.leave(err) }()
	return s.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError implements flushing for http.ResponseController.
func (s *stream) FlushError() (err error) {
	if !s.enter(http.StatusOK) {
		return errStreamOver
	}
	defer func() { s.leave(err) }()
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Hijack implements hijacking for http.ResponseController.
func (s *stream) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(s.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	s.begin(http.StatusSwitchingProtocols)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = conn
	switch {
	case s.cut:
		_ = conn.Close()
	case s.ended:
		s.cutOff()
	}
	return conn, buffered, nil
}

// A streamBody is the request body of a stream.
type streamBody struct {
	io.ReadCloser
	stream *stream
	read   atomic.Bool // to its end, or until an error
}

// Read implements io.Reader.
func (b *streamBody) Read(p []byte) (n int, err error) {
	s := b.stream
	s.mu.Lock()
	if s.cut {
		s.mu.Unlock()
		return 0, errStreamOver
	}
	s.reading++
	s.reads.Add(1)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reading--
		s.reads.Done()
	}()
	n, err = b.ReadCloser.Read(p)
	if err != nil {
		b.read.Store(true)
	}
	return n, err
}

// mayHaveMore reports whether there may be more to read.
func (b *streamBody) mayHaveMore() bool { return b.ReadCloser != nil && !b.read.Load() }

// Interface guards
var (
	_ http.ResponseWriter = (*stream)(nil)
	_ http.Hijacker       = (*stream)(nil)
	_ io.ReaderFrom       = (*stream)(nil)
)
