package redisstore

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/redisstore/redistest"
	"authsidecar/sessions/storetest"
)

// mostBytes is how much memory of the server a session may take.
const mostBytes = 1300

// memoryRow is a session of a browser's, each of another user; of ten, one impersonates.
func memoryRow(n int, now time.Time) sessions.Session {
	row := sharedtest.Row(fmt.Sprintf("%022d", n*7919%1_000_003), now) // in no order, as ids are
	row.UserID = fmt.Sprintf("00u1a2b3c4d5e6f7%08d", n)
	row.Actor.Subject, row.Rule = row.UserID, "self"
	row.KeyID, row.IP, row.RotatedFrom = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "203.0.113.196", "203.0.113.196"
	row.UserAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
	row.RequestHash, row.ActorWhole = make([]byte, 32), true
	if n%10 == 0 {
		row.Impersonation, row.Reason, row.Rule = true, "ticket 4711", "support"
		row.Actor.Subject = fmt.Sprintf("agent-%d", n%1000)
		row.ActorClaims = sessions.Claims{"groups": "support"}
	}
	return row
}

// bytesPerSession stores so many sessions on a server with its default settings, rotates each once,
// and returns how much more memory it has in use, and how long a row's text is.
func bytesPerSession(t testing.TB, n int) (bytes, payload float64) {
	t.Helper()
	srv := redistest.Start(t)
	s := openStore(t, Options{URL: srv.URL(0)}) // with the prefix that tests have
	before := usedMemory(t, srv)
	var all sync.WaitGroup
	for client := range sharedtest.Clients {
		all.Go(func() {
			for i := client; i < n; i += sharedtest.Clients {
				row := memoryRow(i, time.Time{})
				row.ExpiresAt = row.ExpiresAt.Add(24 * time.Hour)
				stored, created, _, err := s.Create(ctx(), row)
				if err != nil || !created {
					t.Errorf("creating: %t, %v", created, err)
					return
				}
				fresh := sessions.Fresh{Secret: [sessions.SecretSize]byte{1}, KeyID: row.KeyID, From: row.RotatedFrom}
				if _, _, rotated, err := s.Rotate(ctx(), sharedtest.Token(&stored), &fresh); err != nil || !rotated {
					t.Errorf("rotating: %t, %v", rotated, err)
					return
				}
			}
		})
	}
	all.Wait()
	one := memoryRow(1, s.Now())
	w, err := encode(&one, newRef(&one, 1), "")
	if err != nil {
		t.Fatal(err)
	}
	return float64(usedMemory(t, srv)-before) / float64(n), float64(len(w.value))
}

func usedMemory(t testing.TB, srv *redistest.Server) int64 {
	t.Helper()
	for line := range strings.Lines(srv.Do(t, "INFO", "memory")) {
		if text, found := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); found {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the server does not say how much memory it has in use")
	return 0
}

// TestTheFixedPartOfARowHasItsSize: a listing of keys reads no more than that of each row.
func TestTheFixedPartOfARowHasItsSize(t *testing.T) {
	t.Parallel()
	row := memoryRow(10, storetest.Epoch)
	w, err := encode(&row, newRef(&row, 1), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, texts, ok := readHeader(row.Key(), w.value[:fixedSize]); !ok || texts != "" {
		t.Errorf("the fixed part has %d bytes too many, of %d, %t", len(texts), fixedSize, ok)
	}
}

// TestASessionTakesLittleMemory of a server with default settings.
func TestASessionTakesLittleMemory(t *testing.T) {
	t.Parallel()
	if bytes, payload := bytesPerSession(t, 20_000); bytes > mostBytes {
		t.Errorf("a session takes %.0f bytes, not at most %d, with a row of %.0f", bytes, mostBytes, payload)
	}
}

// BenchmarkMemory stores AUTHSIDECAR_BENCH_ROWS sessions (default 100,000).
func BenchmarkMemory(b *testing.B) {
	rows := sharedtest.BenchRows(b, 100_000)
	for b.Loop() {
		bytes, payload := bytesPerSession(b, rows)
		b.ReportMetric(bytes, "bytes/session")
		b.ReportMetric(payload, "bytes-of-row")
	}
}
