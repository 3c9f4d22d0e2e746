package caddymodule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/sidecartest"
)

// accessToken creates a session of the user and returns its access token.
func (s *bench) accessToken(b testing.TB, user string) string {
	b.Helper()
	r := withVars(httptest.NewRequest("POST", "/auth/sessions", strings.NewReader(`{"user_id":"`+user+`"}`)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+s.idp.Token(user, nil))
	w := httptest.NewRecorder()
	if err := s.handler.ServeHTTP(w, r, nothing); err != nil || w.Code != 200 {
		b.Error(err, w.Body)
	}
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		b.Error(err)
	}
	return got.Token
}

// arrival is a request as Caddy hands it to a handler: what every one has of its own.
func arrival(target *url.URL, token string) *http.Request {
	vars := make(map[string]any, 16)
	vars[caddyhttp.ClientIPVarKey] = "192.0.2.1"
	ctx := context.WithValue(context.Background(), caddyhttp.VarsCtxKey, vars)
	ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
	header := make(http.Header, 16)
	for name, value := range map[string]string{
		"Authorization": token, "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)", "Accept": "*/*", "Accept-Encoding": "gzip, br",
		"Accept-Language": "en", "Referer": "https://app.example.com/", "Sec-Fetch-Site": "same-origin", "Cookie": "theme=dark; consent=yes",
	} {
		header[name] = []string{value}
	}
	return (&http.Request{Method: "GET", Host: "app.example.com", URL: target, Header: header, Body: http.NoBody}).WithContext(ctx)
}

// BenchmarkIdentity measures what a request of the app with a warm token costs more
// than the next handler alone: ns-more, cpu-ns-more of the processors' time, which others
// on the machine disturb less, and allocs-more. revoked is the same with
// 100,000 revoked sessions in memory, and many with one of 50,000 tokens, drawn at random.
func BenchmarkIdentity(b *testing.B) {
	s := newBench(b, b.TempDir(), `"identity":{"require":true}`)
	tokens := []string{"Bearer " + s.accessToken(b, "alice")}
	target := &url.URL{Path: "/api/v1/tasks"}
	measure := func(b *testing.B) {
		token := func() string { return tokens[rand.IntN(len(tokens))] }
		checks := caddymodule.Checks(s.handler)
		w := &statusWriter{header: make(http.Header, 8)}
		floor := func() { _ = nothing.ServeHTTP(w, arrival(target, token())) }
		serve := func(token string) {
			if err := s.handler.ServeHTTP(w, arrival(target, token), nothing); err != nil {
				b.Fatal(err)
			}
		}
		for _, token := range tokens {
			serve(token)
		}
		var wall, cpu time.Duration
		var allocs, floorAllocs uint64
		b.ResetTimer()
		for round := range measuredRounds {
			calls := b.N*(round+1)/measuredRounds - b.N*round/measuredRounds
			took, busy, mallocs := counted(calls, floor)
			wall, cpu, floorAllocs = wall-took, cpu-busy, floorAllocs+mallocs
			took, busy, mallocs = counted(calls, func() { serve(token()) })
			wall, cpu, allocs = wall+took, cpu+busy, allocs+mallocs
		}
		b.ReportMetric(float64(wall.Nanoseconds())/float64(b.N), "ns-more")
		b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N), "cpu-ns-more")
		b.ReportMetric((float64(allocs)-float64(floorAllocs))/float64(b.N), "allocs-more")
		if more := caddymodule.Checks(s.handler) - checks; more > uint64(len(tokens)) {
			b.Fatalf("%d signature checks of %d tokens", more, len(tokens))
		}
	}
	b.Run("warm", measure)
	caddymodule.DenyMany(s.handler, 100_000)
	b.Run("revoked", measure)
	var next atomic.Int64
	tokens = make([]string, 50_000)
	together(goroutinesAtOnce, len(tokens), func() {
		i := next.Add(1) - 1
		tokens[i] = "Bearer " + s.accessToken(b, "user"+strconv.FormatInt(i, 10))
	})
	b.Run("many", measure)
}

// counted runs f so often and returns how long that took, by the clock and of the
// processors, and how much it allocated.
func counted(calls int, f func()) (wall, cpu time.Duration, mallocs uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	wall, cpu = together(1, calls, f)
	runtime.ReadMemStats(&after)
	return wall, cpu, after.Mallocs - before.Mallocs
}

// quiet ends the lines that a request has in the log of tests: they cost more than we do.
func (s *sidecar) quiet() {
	s.t.Helper()
	req, err := http.NewRequest("PATCH", "http://"+s.Admin+"/config/logging/logs/default/level", strings.NewReader(`"ERROR"`))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	got, err := s.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	sidecartest.WantStatus(s.t, got, http.StatusOK)
}

// processorTime is what the process has used of all processors.
func (s *sidecar) processorTime() time.Duration {
	s.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.Process().Pid))
	if err != nil {
		s.t.Skip("no /proc here to read times in")
	}
	_, rest, _ := strings.Cut(string(data), ") ") // after the name: the state is the third field
	fields := strings.Fields(rest)
	var ticks, more int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &ticks, &more); err != nil {
		s.t.Fatal(err)
	}
	return time.Duration(ticks+more) * 10 * time.Millisecond // a hundred ticks a second
}
