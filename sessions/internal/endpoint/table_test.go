package endpoint

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/urlpath"
)

var (
	errNoPath, errNoMethod = errors.New("no such path"), errors.New("no such method")
	errServed, errDown     = errors.New("served"), errors.New("down")
)

func TestTable_EachRequestGetsToItsEndpointOrToAnError(t *testing.T) {
	var failed error
	table := Table{NoPath: errNoPath, NoMethod: errNoMethod}
	table.Fail = func(_ http.ResponseWriter, _ *http.Request, _ urlpath.Match, err error) { failed = err }
	documents := table.Add("/documents", Endpoint{Methods: []string{http.MethodGet, http.MethodHead}, Serve: func(http.ResponseWriter, *http.Request) error { panic("a bug") }})
	closes := table.Add("/close", Endpoint{
		Methods: []string{http.MethodPost}, NeedsStore: true,
		Serve:       func(http.ResponseWriter, *http.Request) error { return errServed },
		Unavailable: func(http.ResponseWriter, *http.Request, error) error { return errDown },
	})
	for _, c := range []struct {
		method, path string
		owner        urlpath.Owner
		at           int
		served, down error
		allow        string
	}{
		{"POST", "/close", urlpath.Ours, closes, errServed, errDown, ""},
		{"GET", "/close", urlpath.Ours, closes, errNoMethod, sessions.ErrUnavailable, "POST"},
		{"PUT", "/documents", urlpath.Ours, documents, errNoMethod, sessions.ErrUnavailable, "GET, HEAD"},
		{"POST", "/close/", urlpath.Alias, closes, errNoPath, sessions.ErrUnavailable, ""},
	} {
		r, w := httptest.NewRequest(c.method, c.path, nil), httptest.NewRecorder()
		m := table.Route(r)
		if m.Owner != c.owner || m.At != c.at || table.NeedsStore(m) != (c.at == closes) {
			t.Errorf("%s %s is %+v, needs the store: %t", c.method, c.path, m, table.NeedsStore(m))
		}
		if table.Serve(w, r, m); !errors.Is(failed, c.served) || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %v, Allow %q", c.method, c.path, failed, w.Header().Get("Allow"))
		}
		if table.Unavailable(w, r, m, errors.New("opening")); !errors.Is(failed, c.down) {
			t.Errorf("%s %s while it is not open: %v", c.method, c.path, failed)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/documents", nil)
	failed = nil
	if table.Serve(httptest.NewRecorder(), r, table.Route(r)); failed == nil || errors.Is(failed, errNoMethod) {
		t.Errorf("a panic is answered with %v", failed)
	}
	if m := table.Route(httptest.NewRequest(http.MethodGet, "/app", nil)); m.Owner != urlpath.Pass {
		t.Errorf("a page of the app is %+v", m)
	}
}
