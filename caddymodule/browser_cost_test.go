package caddymodule_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule"
)

// inBrowser is the configuration of a bench with sessions in cookies.
const inBrowser = `"identity":{"require":true},"lifecycle":true,"browser":{}`

// cookieLine creates a session of the user in cookies, and returns the Cookie header.
func (s *bench) cookieLine(b testing.TB, user string) string {
	b.Helper()
	r := withVars(httptest.NewRequest("POST", "/auth/sessions", strings.NewReader(`{"user_id":"`+user+`","deliver":"cookie"}`)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+s.idp.Token(user, nil))
	w := httptest.NewRecorder()
	if err := s.handler.ServeHTTP(w, r, nothing); err != nil || w.Code != 200 {
		b.Fatal(err, w.Body)
	}
	return lineOf(w.Result().Cookies())
}

func lineOf(cookies []*http.Cookie) string {
	line := "theme=dark; consent=yes"
	for _, c := range cookies {
		line += "; " + c.Name + "=" + c.Value
	}
	return line
}

// byCookie is an arrival of a browser with these cookies.
func byCookie(target *url.URL, line string) *http.Request {
	r := arrival(target, "")
	delete(r.Header, "Authorization")
	r.Header["Cookie"] = []string{line}
	return r
}

// A request with a good access token in its cookie asks the store nothing, but once for a
// generation, to note that it arrived, which nobody waits for.
func TestBrowser_AGoodAccessTokenAsksTheStoreNothing(t *testing.T) {
	s := newBench(t, t.TempDir(), inBrowser)
	target := &url.URL{Path: "/api/v1/tasks"}
	line := s.cookieLine(t, "alice")
	calls := caddymodule.CountStore(s.handler)
	serve := func(line string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		if err := s.handler.ServeHTTP(w, byCookie(target, line), nothing); err != nil {
			t.Fatal(err)
		}
		return w
	}
	for range 100 {
		serve(line)
	}
	if n := calls.Load(); n != 0 {
		t.Fatalf("%d store calls of the first generation", n)
	}
	_, refresh, _ := strings.Cut(line, cookieRefresh+"=")
	line = lineOf(serve(cookieRefresh + "=" + refresh).Result().Cookies())
	rotated := calls.Load()
	if rotated == 0 || !strings.Contains(line, cookieRefresh+"=ey") {
		t.Fatalf("not rotated: %d store calls, %.40s", rotated, line)
	}
	serve(line)
	waitUntil(t, "it is noted that the new cookies arrived", func() bool { return calls.Load() > rotated })
	for range 100 {
		serve(line)
	}
	if n := calls.Load() - rotated; n != 1 {
		t.Errorf("%d store calls of the second generation", n)
	}
}

// BenchmarkIdentityCookie measures what a request with a known access token in its cookie costs, and
// with one in Authorization at the same site, by turns. bearer-ns-more and cookie-ns-more are what it
// costs more than the next handler alone; cookie-over-bearer-ns, the difference of the two, is to be
// at most 1,000.
func BenchmarkIdentityCookie(b *testing.B) {
	s := newBench(b, b.TempDir(), inBrowser)
	target := &url.URL{Path: "/api/v1/tasks"}
	token, line := "Bearer "+s.accessToken(b, "alice"), s.cookieLine(b, "alice")
	calls := caddymodule.CountStore(s.handler)
	w := &statusWriter{header: make(http.Header, 8)}
	serve := func(r *http.Request) {
		clear(w.header)
		if err := s.handler.ServeHTTP(w, r, nothing); err != nil {
			b.Fatal(err)
		}
	}
	ways := [...]func(){
		func() { clear(w.header); _ = nothing.ServeHTTP(w, arrival(target, token)) },
		func() { serve(arrival(target, token)) },
		func() { serve(byCookie(target, line)) },
	}
	var took, cpu [len(ways)]time.Duration
	for _, way := range ways {
		way()
	}
	b.ResetTimer()
	for round := range measuredRounds {
		n := b.N*(round+1)/measuredRounds - b.N*round/measuredRounds
		for i, way := range ways {
			wall, busy := together(1, n, way)
			took[i], cpu[i] = took[i]+wall, cpu[i]+busy
		}
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N) }
	b.ReportMetric(each(took[1]-took[0]), "bearer-ns-more")
	b.ReportMetric(each(took[2]-took[0]), "cookie-ns-more")
	b.ReportMetric(each(cpu[2]-cpu[1]), "cookie-over-bearer-cpu-ns")
	b.ReportMetric(each(took[2]-took[1]), "cookie-over-bearer-ns")
	if n := calls.Load(); n != 0 {
		b.Fatalf("%d store calls", n)
	}
}
