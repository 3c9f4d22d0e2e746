package sharedtest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest"
)

// Clients is the number of clients in benchmarks.
const Clients = 64

const benchRows = 20_000

// BenchRows returns how many rows AUTHSIDECAR_BENCH_ROWS wants a benchmark to store, or else.
func BenchRows(b *testing.B, otherwise int) int {
	b.Helper()
	text := os.Getenv("AUTHSIDECAR_BENCH_ROWS")
	if text == "" {
		return otherwise
	}
	rows, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return rows
}

// clients calls op from that many goroutines, b.N times in all, and returns the rate per second.
func clients(b *testing.B, op func(client, i int) error) (rate float64) {
	b.Helper()
	var next atomic.Int64
	begin := time.Now()
	storetest.Together(Clients, func(client int) {
		for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
			if err := op(client, int(i)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	rate = float64(b.N) / time.Since(begin).Seconds()
	b.ReportMetric(rate, "ops/s")
	return rate
}

// BenchmarkRefresh rotates the tokens of rows, after filled has been called, and returns the rate
// per second.
func BenchmarkRefresh(b *testing.B, s Store, filled func()) (rate float64) {
	b.Helper()
	rows := make([]sessions.Session, benchRows)
	storetest.Together(Clients, func(client int) {
		for i := client; i < len(rows); i += Clients {
			rows[i] = Row(fmt.Sprintf("row-%d", i), s.Now())
			if err := CreateErr(s, rows[i]); err != nil {
				b.Error(err)
			}
		}
	})
	filled()
	var turn [Clients]int
	b.ResetTimer()
	return clients(b, func(client, _ int) error {
		turn[client] = (turn[client] + 1) % (benchRows / Clients)
		row := &rows[client+turn[client]*Clients]
		fresh := sessions.Fresh{Secret: [sessions.SecretSize]byte{byte(client), byte(row.Generation)}, KeyID: "key", From: "192.0.2.1"}
		next, _, rotated, err := s.Rotate(ctx(), Token(row), &fresh)
		if err == nil && !rotated {
			err = fmt.Errorf("%s was not rotated", row.ID)
		}
		*row = next
		return err
	})
}

// BenchmarkCreate creates sessions that begin, and returns the rate per second.
func BenchmarkCreate(b *testing.B, s Store) (rate float64) {
	b.Helper()
	b.ResetTimer()
	return clients(b, func(client, i int) error {
		row := Row(fmt.Sprintf("%d-%d", client, i), time.Time{}) // it begins now
		row.UserID = fmt.Sprint("user-", i%10_000)
		return CreateErr(s, row)
	})
}

// BenchmarkFeed measures the time from the acknowledgment of a revocation on one node until another
// node hears of it; 0 if that was earlier.
func BenchmarkFeed(b *testing.B, speaker, listener Store) {
	b.Helper()
	sink := NewSink()
	following, cancel := context.WithCancel(ctx())
	var over sync.WaitGroup
	over.Go(func() { _ = listener.Follow(following, sink) })
	defer over.Wait()
	defer cancel()
	sink.Wait(b, "ready", func(h *Heard) bool { return h.Ready == 1 })
	var lags []time.Duration
	for b.Loop() {
		row := Create(b, speaker, Row(NewName(), speaker.Now()))
		Revoke(b, speaker, row.Key())
		begin := time.Now()
		sink.WaitRevoked(b, row.Key())
		lags = append(lags, time.Since(begin))
	}
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds())/1000, "ms-p99")
}
