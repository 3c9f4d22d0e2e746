package identity

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A settledWriter has an answer say what follows from who asked, at the last moment: when its
// header is about to be written, that of an upgrade too.
type settledWriter struct {
	*caddyhttp.ResponseWriterWrapper
	settle func(http.Header) // nil: done
}

func newSettledWriter(w http.ResponseWriter, settle func(http.Header)) *settledWriter {
	return &settledWriter{&caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, settle}
}

// finish does it, once.
func (s *settledWriter) finish() {
	if settle := s.settle; settle != nil {
		s.settle = nil
		settle(s.Header())
	}
}

// WriteHeader implements http.ResponseWriter. Informational answers come before the header.
func (s *settledWriter) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		s.finish()
	}
	s.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *settledWriter) Write(p []byte) (int, error) {
	s.finish()
	return s.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (s *settledWriter) ReadFrom(r io.Reader) (int64, error) {
	s.finish()
	return s.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what http.ResponseController flushes with.
func (s *settledWriter) FlushError() error {
	s.finish()
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Interface guards
var (
	_ http.ResponseWriter = (*settledWriter)(nil)
	_ io.ReaderFrom       = (*settledWriter)(nil)
)
