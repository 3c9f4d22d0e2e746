package httpapi

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestH6_ReadingsOfAPath(t *testing.T) {
	for _, c := range []struct{ name, path, reading string }{
		{"as it is", "/billing/pay", "/billing/pay"},
		{"doubled slashes", "//billing///pay", "/billing/pay"},
		{"dots", "/x/.././billing/pay", "/billing/pay"},
		{"a trailing slash stays", "/billing/", "/billing/"},
		{"a parameter", "/billing;v=1/pay", "/billing/pay"},
		{"a parameter that hides dots", "/x/..;/billing/pay", "/billing/pay"},
		{"backslashes", `\billing\pay`, "/billing/pay"},
		{"a slash that is encoded twice", "/billing%2fpay", "/billing/pay"},
		{"dots that are encoded thrice", "/x/%252e%252e/billing", "/billing"},
		{"encoded seven times", "/%25252525252562illing", "/billing"},
		{"a blank", "/billing /pay", "/billing/pay"},
		{"the end of a C string", "/billing\x00.css", "/billing"},
		{"a question mark that was encoded", "/billing?x", "/billing"},
		{"wide letters", "/ｂｉｌｌｉｎｇ", "/billing"},
		{"bytes that are no text", "/bill\xffing", "/billing"},
	} {
		if readings := slices.Collect(Readings(c.path)); !slices.Contains(readings, c.reading) {
			t.Errorf("%s: %q is read as %q, never as %q", c.name, c.path, readings, c.reading)
		}
	}
	if readings := slices.Collect(Readings("/billing/pay")); len(readings) != 1 {
		t.Errorf("a plain path has %d readings: %q", len(readings), readings)
	}
}

func TestH5_OverridesAndTheirTwinsAreDropped(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/app?a=b.c&.method=PUT&my_method=x&%5Fmethod=PUT;d", nil)
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
