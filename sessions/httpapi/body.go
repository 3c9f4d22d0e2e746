package httpapi

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

// How much of a body is read, for how long, and how many at once. A body comes with its header, as a
// rule; one that does not costs a connection and a goroutine, whoever sent it.
const (
	maxBody = 4096 // bytes

	bodyTimeout     = 10 * time.Second
	bodyTimeoutMany = time.Second // of those that come when manyBodies are open already
	manyBodies      = 256
	maxBodies       = 2048
)

// bodies are the request bodies that are being read.
type bodies struct{ open atomic.Int64 }

// read reads a JSON body, no more than maxBody of it. One that does not come in time is
// problemTimeout, one too many problemBusy.
func (b *bodies) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	switch {
	case !isJSON(r.Header.Values("Content-Type")), len(r.Header.Values("Content-Encoding")) != 0:
		return nil, problemMedia
	case r.ContentLength > maxBody:
		return nil, problemTooLarge
	}
	open := b.open.Add(1)
	defer b.open.Add(-1)
	timeout := bodyTimeout
	switch {
	case open > maxBodies:
		return nil, problemBusy
	case open > manyBodies:
		timeout = bodyTimeoutMany
	}
	conn := http.NewResponseController(w)
	// The error is that there is no connection, as in tests: then all there is can be read.
	_ = conn.SetReadDeadline(time.Now().Add(timeout)) //nolint:forbidigo // the connection goes by the machine's clock
	body, err := readAll(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, problemTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, problemTimeout
	case err != nil:
		return nil, problemRequest // the client went away, or framed it wrongly
	}
	_ = conn.SetReadDeadline(time.Time{}) // the deadline is the body's and not the connection's
	r.Body = http.NoBody                  // it is read
	return body, nil
}

// readAll is io.ReadAll for what has an expected size, or -1: few bodies are as large
// as what that begins with, or as small.
func readAll(from io.Reader, expected int64) ([]byte, error) {
	body := make([]byte, 0, max(expected, 0)+1) // room to find the end
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

// isJSON tells whether there is one content type, and that of JSON in UTF-8.
func isJSON(contentTypes []string) bool {
	if len(contentTypes) != 1 {
		return false
	}
	if contentTypes[0] == "application/json" { // as nearly always
		return true
	}
	mediaType, params, err := mime.ParseMediaType(contentTypes[0])
	if err != nil || mediaType != "application/json" {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}
