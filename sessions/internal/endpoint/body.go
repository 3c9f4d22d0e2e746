package endpoint

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// How long reading a body may take, and how many are read concurrently. A body usually arrives with
// its header; one that does not occupies a connection and a goroutine, whoever sent it.
const (
	BodyTimeout     = 10 * time.Second
	BodyTimeoutMany = time.Second // while ManyBodies are being read
	ManyBodies      = 256
	MaxBodies       = 2048
)

// Errors of bodies.
var (
	// ErrTooLarge means that a body exceeds the limit.
	ErrTooLarge = errors.New("the body is too large")
	// ErrTimeout means that a body did not arrive in time.
	ErrTimeout = errors.New("the body did not arrive in time")
	// ErrBusy means that MaxBodies are already being read.
	ErrBusy = errors.New("too many bodies are being read")
	// ErrBroken means that the client disconnected or framed the body wrongly.
	ErrBroken = errors.New("the body is incomplete or malformed")
)

// Bodies are the request bodies that are being read. The zero value is ready.
type Bodies struct{ open atomic.Int64 }

// Open returns how many are being read.
func (b *Bodies) Open() int64 { return b.open.Load() }

// Read reads a body of up to most bytes.
func (b *Bodies) Read(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if r.ContentLength > most {
		return nil, ErrTooLarge
	}
	open := b.open.Add(1)
	defer b.open.Add(-1)
	timeout := BodyTimeout
	switch {
	case open > MaxBodies:
		return nil, ErrBusy
	case open > ManyBodies:
		timeout = BodyTimeoutMany
	}
	conn := http.NewResponseController(w)
	// The error means that there is no connection, as in tests: then reading does not block.
	_ = conn.SetReadDeadline(time.Now().Add(timeout)) //nolint:forbidigo // the connection goes by the machine's clock
	body, err := readAll(http.MaxBytesReader(w, r.Body, most), r.ContentLength)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, ErrTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, ErrTimeout
	case err != nil:
		return nil, ErrBroken
	}
	_ = conn.SetReadDeadline(time.Time{}) // the deadline is only for the body
	r.Body = http.NoBody                  // it has been read
	return body, nil
}

// maxExpected is how much memory is reserved for a body before it arrives, in bytes.
const maxExpected = 4096

// readAll is io.ReadAll with a buffer of the expected size, or -1: the initial buffer of io.ReadAll
// fits few bodies.
func readAll(from io.Reader, expected int64) ([]byte, error) {
	body := make([]byte, 0, min(max(expected, 0), maxExpected)+1) // one more byte to detect the end
	for {
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		case len(body) == cap(body):
			body = slices.Grow(body, bytes.MinRead)
		}
	}
}

// IsMedia reports whether a body is unencoded and has this media type, in UTF-8.
func IsMedia(h http.Header, want string) bool {
	contentTypes := h["Content-Type"]
	if len(contentTypes) != 1 || len(h["Content-Encoding"]) != 0 {
		return false
	}
	if contentTypes[0] == want { // the usual case
		return true
	}
	mediaType, params, err := mime.ParseMediaType(contentTypes[0])
	if err != nil || mediaType != want {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}

// LeaveBody must be called before a request is answered whose body was not read, so that the
// response does not wait for the body. Call the function that it returns afterwards.
func LeaveBody(w http.ResponseWriter, r *http.Request) (answered func()) {
	if r.ProtoMajor != 1 || r.ContentLength == 0 || r.Body == http.NoBody {
		return func() {}
	}
	w.Header().Set("Connection", "close")
	return func() { _ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) }
}
