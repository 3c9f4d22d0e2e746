package httpapi

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestH5_OverridesAndTheirTwinsAreDropped(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/app?a=b.c&.method=PUT&my_method=x&%5Fmethod=PUT;d&+_method=PUT&%20%20_method=PUT&_method%00x=PUT&_method[]=PUT&_method%5Ba%5D=PUT", nil)
	for _, name := range []string{"X-HTTP-Method-Override", "X_HTTP_METHOD_OVERRIDE", "X.Http.Method", "x-method_override"} {
		r.Header.Set(name, "PUT")
	}
	r.Header.Set("X-Http-Methods", "kept")
	DropOverrides(r)
	if len(r.Header) != 1 || r.Header.Get("X-Http-Methods") != "kept" {
		t.Errorf("left are %v", r.Header)
	}
	if r.URL.RawQuery != "a=b.c&my_method=x&d" {
		t.Errorf("left is %q", r.URL.RawQuery)
	}
}

func TestH5_AQueryWithoutAnOverrideStaysAsItIs(t *testing.T) {
	const query = "a=1;b_c=2&&d=%zz&method=x&_methods"
	r := httptest.NewRequest(http.MethodGet, "/app", nil)
	r.URL.RawQuery = query
	DropOverrides(r)
	if r.URL.RawQuery != query {
		t.Errorf("became %q", r.URL.RawQuery)
	}
}
