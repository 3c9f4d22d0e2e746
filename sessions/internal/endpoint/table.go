package endpoint

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/urlpath"
)

// A Table is endpoints of ours at paths.
type Table struct {
	// Fail answers an error of a request that was matched.
	Fail func(w http.ResponseWriter, r *http.Request, m urlpath.Match, err error)
	// NoPath is the error for a variant of one of the paths, and NoMethod for a method that an
	// endpoint does not have.
	NoPath, NoMethod error

	paths  []urlpath.Own
	served []Served // at paths
}

// A Served is one of the endpoints.
type Served struct {
	// Methods are those that it has; all others get NoMethod, and Allow.
	Methods []string
	// NeedsStore is whether it can do nothing without the store.
	NeedsStore bool
	// Serve answers. What it returns is answered by Fail.
	Serve func(w http.ResponseWriter, r *http.Request) error
	// Down returns the error to answer while the store is not open, for that cause, and sets
	// what headers there are to be. Nil: the cause.
	Down func(w http.ResponseWriter, r *http.Request, cause error) error
}

// Add adds an endpoint at a path, absolute and clean, and returns its place in matches.
func (t *Table) Add(path string, s Served) (at int) {
	t.paths, t.served = append(t.paths, urlpath.NewOwn(path, false)), append(t.served, s)
	return len(t.served) - 1
}

// Route reports whose request it is: ours on the paths of the endpoints, by any method. It does
// not allocate for canonical paths of ASCII.
func (t *Table) Route(r *http.Request) urlpath.Match { return urlpath.First(t.paths, r.URL) }

// Serve answers a request of which Route said that it is not the app's. A panic is answered
// 500, and reported as a failure with its stack.
func (t *Table) Serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) {
	if err := Safely(func() error { return t.serve(w, r, m) }); err != nil {
		t.Fail(w, r, m, err)
	}
}

// NeedsStore reports whether the answer to a request needs the store, and not the keys alone.
func (t *Table) NeedsStore(m urlpath.Match) bool { return t.served[m.At].NeedsStore }

// Unavailable answers a request that is ours while what it needs is not open.
func (t *Table) Unavailable(w http.ResponseWriter, r *http.Request, m urlpath.Match, cause error) {
	cause = fmt.Errorf("%w: not ready: %w", sessions.ErrUnavailable, cause)
	if s := &t.served[m.At]; s.Down != nil && m.Owner == urlpath.Ours && slices.Contains(s.Methods, r.Method) {
		cause = s.Down(w, r, cause)
	}
	t.Fail(w, r, m, cause)
}

func (t *Table) serve(w http.ResponseWriter, r *http.Request, m urlpath.Match) error {
	if m.Owner != urlpath.Ours {
		return t.NoPath
	}
	s := &t.served[m.At]
	if slices.Contains(s.Methods, r.Method) {
		return s.Serve(w, r)
	}
	w.Header().Set("Allow", strings.Join(s.Methods, ", "))
	return t.NoMethod
}
