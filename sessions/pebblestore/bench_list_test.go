package pebblestore

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
)

// benchListers is how many list at once.
const benchListers = 32

// BenchmarkList lists impersonations, 32 at once, of which there are 200: the first page of them, and the
// last, behind which 100,000 were revoked before. ms-p50 and ms-p99 are what one takes, x-p50 the second
// over the first.
func BenchmarkList(b *testing.B) {
	s := openStore(b, Options{Dir: benchDir(b)})
	revokeImpersonations(b, s, 100_000)
	impersonate(b, s, 200, func(sessions.Key) {})
	for name, pages := range map[string]int{"first": 1, "all": 3} {
		b.Run(name, func(b *testing.B) { benchList(b, s, pages) })
	}
}

func benchList(b *testing.B, s *Store, pages int) {
	var next atomic.Int64
	var all sync.WaitGroup
	took := make([]time.Duration, b.N)
	for range benchListers {
		all.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				start := time.Now()
				listImpersonations(b, s, pages)
				took[n-1] = time.Since(start)
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	p50, p99 := took[b.N/2], took[b.N*99/100]
	b.ReportMetric(float64(p50.Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(p99.Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(p99)/float64(p50), "x-p50")
}

// listImpersonations reads so many pages, and returns how many rows that were.
func listImpersonations(b testing.TB, s *Store, pages int) (rows int) {
	yes := true
	query := sessions.Query{Realm: "https://app.example.com", Impersonations: &yes, Limit: 100}
	for range pages {
		page, err := s.List(ctx(), query)
		if err != nil {
			b.Error(err)
			return rows
		}
		rows += len(page.Sessions)
		if query.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	return rows
}

// impersonate creates n impersonations, and does something with each.
func impersonate(b testing.TB, s *Store, n int, do func(sessions.Key)) {
	b.Helper()
	var all sync.WaitGroup
	var next atomic.Int64
	for range 256 {
		all.Go(func() {
			for next.Add(1) <= int64(n) {
				row := benchRow(benchID.Add(1), time.Time{})
				row.Impersonation, row.Actor.Subject = true, "desk"
				if _, _, _, err := s.Create(ctx(), row); err != nil {
					b.Error(err)
					return
				}
				do(row.Key())
			}
		})
	}
	all.Wait()
}

// revokeImpersonations creates n impersonations and revokes them.
func revokeImpersonations(b testing.TB, s *Store, n int) {
	impersonate(b, s, n, func(key sessions.Key) {
		_, err := s.Update(ctx(), key, func(r sessions.Session, now time.Time) (sessions.Session, bool) {
			r.RevokedAt, r.EndReason = now, sessions.EndRevoked
			return r, true
		})
		if err != nil {
			b.Error(err)
		}
	})
}
