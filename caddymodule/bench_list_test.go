package caddymodule_test

import (
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkList lists impersonations over HTTP from the real process, by 32 clients at once, of which
// there are 200: the first page of 100, and all, behind which 100,000 were revoked before. ms-p50 and
// ms-p99 are what one listing takes, x-p50 the second over the first.
func BenchmarkList(b *testing.B) {
	dir, err := filepath.Abs(benchDir(b))
	if err != nil {
		b.Fatal(err)
	}
	l := newLoad(b, "store pebble "+dir)
	l.start()
	l.many(impersonationsAtOnce, func(n int) { l.create(n) })
	l.revokeImpersonations(impersonationsAtOnce)
	l.many(200, func(n int) { l.create(n) })
	for _, listing := range []struct {
		name  string
		pages int
	}{{"first", 1}, {"all", 3}} {
		b.Run(listing.name, func(b *testing.B) {
			took := make([]time.Duration, b.N)
			var next atomic.Int64
			l.many(b.N, func(int) {
				start := time.Now()
				l.list(listing.pages, 100)
				took[next.Add(1)-1] = time.Since(start)
			})
			slices.Sort(took)
			p50, p99 := took[b.N/2], took[b.N*99/100]
			b.ReportMetric(float64(p50.Microseconds())/1000, "ms-p50")
			b.ReportMetric(float64(p99.Microseconds())/1000, "ms-p99")
			b.ReportMetric(float64(p99)/float64(p50), "x-p50")
		})
	}
}
