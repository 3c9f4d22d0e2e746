package pgstore

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
)

// The clients of BenchmarkTurns, the sessions that each has, and how often refreshes and creations
// take turns.
const (
	turnClients  = 128
	turnSessions = 100
	turns        = 8
)

// BenchmarkTurns lets 128 clients refresh and create by turns: what each takes, and the p99 of
// creations as a multiple of that of refreshes.
func BenchmarkTurns(b *testing.B) {
	srv, s := bench(b)
	rows := make([]sessions.Session, turnClients*turnSessions)
	each(turnClients, len(rows), func(_, i int) (err error) {
		rows[i-1], _, _, err = s.Create(ctx(), sharedtest.Row(fmt.Sprintf("row-%d", i), time.Time{}))
		return err
	}, b)
	srv.Exec(b, "postgres", "VACUUM ANALYZE bench.sessions")
	var turn [turnClients]int
	refresh := func(client, _ int) error {
		turn[client]++
		row := &rows[client*turnSessions+turn[client]%turnSessions]
		next, _, rotated, err := s.Rotate(ctx(), sharedtest.Token(row), &sessions.Fresh{Secret: [16]byte{byte(client), byte(row.Generation)}, KeyID: "key", From: "192.0.2.1"})
		if err == nil && !rotated {
			err = fmt.Errorf("%s was not rotated", row.ID)
		}
		*row = next
		return err
	}
	n := 0
	create := func(client, i int) error {
		row := sharedtest.Row(fmt.Sprintf("%d-%d-%d", client, n, i), time.Time{}) // it begins now
		row.UserID = fmt.Sprint("user-", i%10_000)
		_, _, _, err := s.Create(ctx(), row)
		return err
	}
	var refreshes, creations []time.Duration
	var spent [2]time.Duration
	b.ResetTimer()
	for ; n < turns; n++ {
		begin := time.Now()
		refreshes = append(refreshes, each(turnClients, b.N/turns+1, refresh, b)...)
		middle := time.Now()
		creations = append(creations, each(turnClients, b.N/turns+1, create, b)...)
		spent[0] += middle.Sub(begin)
		spent[1] += time.Since(middle)
	}
	p99 := report(b, "refresh", refreshes, spent[0])
	b.ReportMetric(report(b, "create", creations, spent[1])/p99, "x-p99")
}

// each lets clients do something so many times in all, and returns what each took. It ends the
// benchmark where one of them failed.
func each(clients, n int, do func(client, i int) error, b *testing.B) []time.Duration {
	b.Helper()
	took := make([]time.Duration, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				begin := time.Now()
				if err := do(client, int(i)); err != nil {
					b.Error(err)
					return
				}
				took[i-1] = time.Since(begin)
			}
		})
	}
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return took
}

// report reports how many there were in a second, and what they took, and returns the p99.
func report(b *testing.B, name string, took []time.Duration, spent time.Duration) (p99 float64) {
	b.Helper()
	slices.Sort(took)
	ms := func(percent int) float64 { return float64(took[len(took)*percent/100].Microseconds()) / 1000 }
	b.ReportMetric(float64(len(took))/spent.Seconds(), name+"/s")
	b.ReportMetric(ms(50), name+"-ms-p50")
	b.ReportMetric(ms(99), name+"-ms-p99")
	return ms(99)
}
