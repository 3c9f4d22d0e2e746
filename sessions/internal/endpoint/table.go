package endpoint

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/urlpath"
)

// A Table routes requests to endpoints by path.
type Table struct {
	// Fail writes the error of a matched request.
	Fail func(w http.ResponseWriter, r *http.Request, m urlpath.Match, err error)
	// NoPath is the error for a variant of one of the paths, and NoMethod for a method that an
	// endpoint does not support.
	NoPath, NoMethod error

	paths     []urlpath.Own
	endpoints []Endpoint // in the order of paths
}

// An Endpoint is one of the endpoints.
type Endpoint struct {
	// Methods are the supported methods; for others the error is NoMethod, with Allow.
	Methods []string
	// NeedsStore means that it requires the store.
	NeedsStore bool
	// Serve answers a request. Its error is written by Fail.
	Serve func(w http.ResponseWriter, r *http.Request) error
	// Unavailable returns the error to write while the store is not open because of cause, and may
	// set headers. Nil means the cause.
	Unavailable func(w http.ResponseWriter, r *http.Request, cause error) error
}

// Add adds an endpoint at an absolute, clean path, and returns its index in matches.
func (t *Table) Add(path string, s Endpoint) (at int) {
	t.paths, t.endpoints = append(t.paths, urlpath.NewOwn(path, false)), append(t.endpoints, s)
	return len(t.endpoints) - 1
}

// Route matches requests for the paths of the endpoints, with any method. It does not allocate for
// canonical ASCII paths.
func (t *Table) Route(r *http.Request) urlpath.Match { return urlpath.First(t.paths, r.URL) }

// Serve answers a request that Route matched. A panic becomes a 500, and is reported as a failure
// with its stack.
func (t *Table) Serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) {
	if err := Recover(func() error { return t.serve(w, r, m) }); err != nil {
		t.Fail(w, r, m, err)
	}
}

// NeedsStore reports whether answering the match requires the store, rather than only the keys.
func (t *Table) NeedsStore(m urlpath.Match) bool { return t.endpoints[m.At].NeedsStore }

// Unavailable answers a request while a part that it needs is not open.
func (t *Table) Unavailable(w http.ResponseWriter, r *http.Request, m urlpath.Match, cause error) {
	cause = fmt.Errorf("%w: not ready: %w", sessions.ErrUnavailable, cause)
	if s := &t.endpoints[m.At]; s.Unavailable != nil && m.Owner == urlpath.Ours && slices.Contains(s.Methods, r.Method) {
		cause = s.Unavailable(w, r, cause)
	}
	t.Fail(w, r, m, cause)
}

func (t *Table) serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) error {
	if m.Owner != urlpath.Ours {
		return t.NoPath
	}
	s := &t.endpoints[m.At]
	if slices.Contains(s.Methods, r.Method) {
		return s.Serve(w, r)
	}
	w.Header().Set("Allow", strings.Join(s.Methods, ", "))
	return t.NoMethod
}
