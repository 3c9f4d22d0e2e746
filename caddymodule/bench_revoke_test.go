package caddymodule_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/caddymodule"
	"authsidecar/sessions"
)

// impersonationsAtOnce is how many sessions BenchmarkRevokeMany ends.
const impersonationsAtOnce = 100_000

// BenchmarkRevokeMany ends 100,000 impersonations by one request: ms-answer is how long that takes,
// s-rows how long it takes then until all of their rows are revoked, and rows/s how many are in a
// second. Meanwhile eight others refresh their sessions: ms-p99 is what 99 of 100 of their requests
// take at the most, and x-p99 that over the same in the seconds before.
func BenchmarkRevokeMany(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dir := benchDir(b)
		fillWith(b, dir, impersonationsAtOnce, func(row *sessions.Session) {
			row.Impersonation, row.Actor.Subject = true, "desk"
		})
		s := newBench(b, dir, `"lifecycle":true`, `"manage":[{"scope":"admin"}]`)
		refreshing := s.refreshers(b, 8)
		before := refreshing(func() { time.Sleep(2 * time.Second) })
		var answer, rows time.Duration
		b.StartTimer()
		during := refreshing(func() {
			start := time.Now()
			s.revokeImpersonations(b)
			answer = time.Since(start)
			for caddymodule.Denied(s.handler) < impersonationsAtOnce {
				time.Sleep(10 * time.Millisecond)
			}
			rows = time.Since(start)
		})
		b.ReportMetric(float64(answer.Microseconds())/1000, "ms-answer")
		b.ReportMetric(rows.Seconds(), "s-rows")
		b.ReportMetric(impersonationsAtOnce/rows.Seconds(), "rows/s")
		b.ReportMetric(float64(during.Microseconds())/1000, "ms-p99")
		b.ReportMetric(float64(during)/float64(before), "x-p99")
	}
}

func (s *bench) revokeImpersonations(b *testing.B) {
	r := withVars(httptest.NewRequest(http.MethodDelete, "/auth/sessions?impersonations=true", http.NoBody))
	r.Header.Set("Authorization", "Bearer "+s.idp.Token("boss", map[string]any{"scope": "admin"}))
	w := httptest.NewRecorder()
	if err := s.handler.ServeHTTP(w, r, nothing); err != nil || w.Code != http.StatusOK {
		b.Fatal(err, w.Code, w.Body)
	}
}

// refreshers returns what refreshes so many sessions, one after the other each, as long as something
// is done, and returns what 99 of 100 refreshes took at the most.
func (s *bench) refreshers(b *testing.B, n int) func(while func()) time.Duration {
	refresh := url.URL{Path: "/auth/sessions/current/refresh"}
	tokens := make([][]byte, n)
	for i := range tokens {
		user := string(rune('a' + i))
		tokens[i] = s.exchange(&url.URL{Path: "/auth/sessions"}, "Bearer "+s.idp.Token(user, nil), []byte(`{"user_id":"`+user+`"}`))
	}
	return func(while func()) time.Duration {
		var over atomic.Bool
		var group sync.WaitGroup
		took := make([][]time.Duration, n)
		for i := range tokens {
			group.Go(func() {
				for !over.Load() {
					start := time.Now()
					if tokens[i] = s.exchange(&refresh, "", slices.Concat([]byte(`{"refresh_token":"`), tokens[i], []byte(`"}`))); tokens[i] == nil {
						b.Error("no successor")
						return
					}
					took[i] = append(took[i], time.Since(start))
					time.Sleep(time.Millisecond)
				}
			})
		}
		while()
		over.Store(true)
		group.Wait()
		all := slices.Concat(took...)
		slices.Sort(all)
		return all[len(all)*99/100]
	}
}
