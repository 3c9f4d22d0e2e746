package caddymodule_test

import (
	"path/filepath"
	"testing"
)

// BenchmarkMemory reports how much memory the real process has, in MB, with AUTHSIDECAR_BENCH_ROWS
// sessions in its store: MB-start when it has created one, MB-mix after 200,000 requests of a mix
// (create, refresh, list, introspect), MB-ends after three times 100,000 impersonations were created
// and ended by one request, MB-end after 200,000 more were created, and MB-most at its worst.
//
// With CGO_ENABLED=0 in the environment the process is as xcaddy builds it.
func BenchmarkMemory(b *testing.B) {
	dir := benchDir(b)
	absolute, err := filepath.Abs(dir)
	if err != nil {
		b.Fatal(err)
	}
	fill(b, dir)
	l := newLoad(b, "store pebble "+absolute)
	for b.Loop() {
		l.start()
		l.create(0)
		b.ReportMetric(l.memoryMB("VmRSS"), "MB-start")
		l.many(50_000, func(n int) {
			access, refresh := l.create(n)
			l.refresh(refresh)
			l.introspect(access)
			l.list(1, 20)
		})
		b.ReportMetric(l.memoryMB("VmRSS"), "MB-mix")
		for round := range 3 {
			l.many(impersonationsAtOnce, func(n int) { l.create(n) })
			l.revokeImpersonations((round + 1) * impersonationsAtOnce)
		}
		b.ReportMetric(l.memoryMB("VmRSS"), "MB-ends")
		l.many(200_000, func(n int) { l.create(n) })
		b.ReportMetric(l.memoryMB("VmRSS"), "MB-end")
		b.ReportMetric(l.memoryMB("VmHWM"), "MB-most")
		l.Stop()
	}
}
