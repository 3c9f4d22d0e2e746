package banner_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"authsidecar/sessions/browser/banner"
)

// A page of the app, with the bar on it.
func Example() {
	b := &banner.Banner{Path: "/auth/sessions", Secure: true, Count: func(o banner.Outcome) { fmt.Println("counted:", o) }}
	r := httptest.NewRequest("GET", "https://app.example.com/orders", nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	w := httptest.NewRecorder()
	if banner.Wanted(r) {
		page := b.Begin(w, r, "CvuJOSZIKPkINqtfHDSuaA")
		page.Header().Set("Content-Type", "text/html; charset=utf-8")
		page.Header().Set("Content-Security-Policy", "script-src 'nonce-r4nd0m'")
		page.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(page, "<!doctype html><p>Orders")
		page.End(nil)
	}
	before, _, _ := strings.Cut(w.Body.String(), "?v=")
	fmt.Println(before)
	// Output:
	// counted: added
	// <!doctype html><p>Orders
	// <script src="/auth/sessions/banner.js
}
