package identity

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions/browser/banner"
)

// A settleFunc has an answer say in its header what follows from who asked: status is its own, 0 where
// others write it, and end whether the app says that the session is over.
type settleFunc func(status int, h http.Header, end bool)

// A settledWriter has an answer say it at the last moment: when its header is about to be written,
// that of an upgrade too.
type settledWriter struct {
	*caddyhttp.ResponseWriterWrapper
	settle settleFunc // nil: nothing follows
	done   bool
}

func newSettledWriter(w http.ResponseWriter, s settleFunc) *settledWriter {
	return &settledWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, settle: s}
}

// before returns a handler that has next write by the writer, and the writer by that of the
// request: by that of a stream, which has a moment left where its own answer ends the session.
func (s *settledWriter) before(next caddyhttp.Handler) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		s.ResponseWriter = w
		return next.ServeHTTP(s, r)
	})
}

// takeEnd takes out of an answer by which header the app says that the session is over, and reports
// whether it says so.
func takeEnd(h http.Header) bool {
	said, ok := h[banner.EndHeader]
	if !ok {
		return false
	}
	delete(h, banner.EndHeader)
	return slices.ContainsFunc(said, func(line string) bool { return strings.EqualFold(strings.TrimSpace(line), "end") })
}

// finish does it, once.
func (s *settledWriter) finish(status int) {
	if s.done {
		return
	}
	s.done = true
	if end := takeEnd(s.Header()); s.settle != nil {
		s.settle(status, s.Header(), end)
	}
}

// WriteHeader implements http.ResponseWriter. Informational answers come before the header.
func (s *settledWriter) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		s.finish(status)
	} else {
		takeEnd(s.Header())
	}
	s.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *settledWriter) Write(p []byte) (int, error) {
	s.finish(http.StatusOK)
	return s.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (s *settledWriter) ReadFrom(r io.Reader) (int64, error) {
	s.finish(http.StatusOK)
	return s.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what http.ResponseController flushes with.
func (s *settledWriter) FlushError() error {
	s.finish(http.StatusOK)
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Interface guards
var (
	_ http.ResponseWriter = (*settledWriter)(nil)
	_ io.ReaderFrom       = (*settledWriter)(nil)
)
