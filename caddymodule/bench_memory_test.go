package caddymodule_test

import (
	"path/filepath"
	"testing"
)

// mostMemory is how many MB BenchmarkMemory may take beside those of the program's file: with the 54 of
// Caddy's own, it is 300.
const mostMemory = 246

// BenchmarkMemory reports how much memory the real process has, in MB, with AUTHSIDECAR_BENCH_ROWS
// sessions in its store: MB-start when it has created one, MB-mix after 200,000 requests of a mix
// (create, refresh, list, introspect), MB-ends after three times 100,000 impersonations were created
// and ended by one request, MB-end after 200,000 more were created, and MB-most at its worst.
// MB-program is what of it is the file of the program, which is larger than Caddy's by the tests in it.
// It fails if the rest is more than mostMemory.
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
		most, program := l.memoryMB("VmHWM"), l.memoryMB("RssFile")
		b.ReportMetric(most, "MB-most")
		b.ReportMetric(program, "MB-program")
		if most-program > mostMemory {
			b.Fatalf("%.0f MB beside the program, not at most %d", most-program, mostMemory)
		}
		l.Stop()
	}
}
