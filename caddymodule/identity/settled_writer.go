package identity

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/sessions/browser/banner"
)

// A settleFunc sets headers of a response that follow from the identity. status is that of the
// response, or 0 if others write it, and end is whether the app ends the session.
type settleFunc func(status int, h http.Header, end bool)

// A settledWriter calls its settleFunc as late as possible: when the header is about to be written,
// including that of an upgrade.
type settledWriter struct {
	*caddyhttp.ResponseWriterWrapper
	settle settleFunc // may be nil
	done   bool
}

func newSettledWriter(w http.ResponseWriter, s settleFunc) *settledWriter {
	return &settledWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, settle: s}
}

// before returns a handler that calls next with this writer on top of the writer of the request.
// That may be a stream, which still lets the response pass that ends its session.
func (s *settledWriter) before(next caddyhttp.Handler) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		s.ResponseWriter = w
		return next.ServeHTTP(s, r)
	})
}

// takeEnd removes the header with which the app ends the session from a response, and reports
// whether it does.
func takeEnd(h http.Header) bool {
	said, ok := h[banner.EndHeader]
	if !ok {
		return false
	}
	delete(h, banner.EndHeader)
	return slices.ContainsFunc(said, func(line string) bool { return strings.EqualFold(strings.TrimSpace(line), "end") })
}

// finish calls the settleFunc, once.
func (s *settledWriter) finish(status int) {
	if s.done {
		return
	}
	s.done = true
	if end := takeEnd(s.Header()); s.settle != nil {
		s.settle(status, s.Header(), end)
	}
}

// WriteHeader implements http.ResponseWriter. Informational responses precede the header.
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

// FlushError implements flushing for http.ResponseController.
func (s *settledWriter) FlushError() error {
	s.finish(http.StatusOK)
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Interface guards
var (
	_ http.ResponseWriter = (*settledWriter)(nil)
	_ io.ReaderFrom       = (*settledWriter)(nil)
)
