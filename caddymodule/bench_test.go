package caddymodule_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions"
	"authsidecar/sessions/pebblestore"
)

// goroutinesAtOnce is the parallelism of the benchmarks of whole requests.
const goroutinesAtOnce = 64

// A bench is a handler of ours, provisioned as Caddy does it, with its store in a
// directory on disk.
type bench struct {
	handler caddyhttp.MiddlewareHandler
	idp     *sidecartest.IDP
	dir     string
}

// newBench takes more members of the handler's configuration, as JSON.
func newBench(b testing.TB, dir string, members ...string) *bench {
	b.Helper()
	provider := sidecartest.NewIDP(b, "https://idp.example.com")
	file := filepath.Join(b.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(provider.JWKS()), 0o600); err != nil {
		b.Fatal(err)
	}
	quiet := json.RawMessage(`{"output":"discard"}`)
	config := &caddy.Config{
		StorageRaw: fmt.Appendf(nil, `{"module":"file_system","root":%q}`, b.TempDir()),
		Logging:    &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{WriterRaw: quiet}}}},
	}
	ctx, err := caddy.ProvisionContext(config)
	if err != nil {
		b.Fatal(err)
	}
	raw := fmt.Sprintf(`{"issuer":"https://app.example.com","trust":[{"issuer":%q,"jwks":%q,"audience":[%q]}],"allow":[{"self":true},{"scope":"sessions:impersonate"}],"store":{"engine":"pebble","dir":%q}%s}`,
		provider.Issuer, file, sidecartest.Audience, dir, strings.Join(append([]string{""}, members...), ","))
	handler, err := ctx.LoadModuleByID("http.handlers.auth_sessions", json.RawMessage(raw))
	if err != nil {
		b.Fatal(err)
	}
	app, err := ctx.App("auth_sessions")
	if err != nil {
		b.Fatal(err)
	}
	if err := app.(caddy.App).Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = app.(caddy.App).Stop()
		_ = app.(caddy.CleanerUpper).Cleanup()
	})
	settle()
	return &bench{handler: handler.(caddyhttp.MiddlewareHandler), idp: provider, dir: dir}
}

var nothing = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

func withVars(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1"}))
}

// post hands a request to the handler without a server or a client, which have
// costs of their own, and returns the status.
func (s *bench) post(target *url.URL, authorization, contentType, body string) int {
	ctx := context.WithValue(context.Background(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1"})
	r := (&http.Request{
		Method: "POST", URL: target, Header: http.Header{"Content-Type": {contentType}, "Authorization": {authorization}},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}).WithContext(ctx)
	w := statusWriter{header: make(http.Header, 8)}
	if err := s.handler.ServeHTTP(&w, r, nothing); err != nil {
		return 0
	}
	return w.status
}

type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header         { return w.header }
func (w *statusWriter) WriteHeader(status int)      { w.status = status }
func (w *statusWriter) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkForward measures what a request that is not ours costs: the handler
// and the next one, less the next one alone.
func BenchmarkForward(b *testing.B) {
	s := newBench(b, b.TempDir())
	for _, target := range []struct{ name, method, path string }{
		{"GET", "GET", "/api/v1/projects/4711/tasks?page=2"},
		{"POST", "POST", "/api/v1/projects/4711/tasks"},
		{"encoded", "GET", "/files/%E4%BD%A0%20.txt"},
	} {
		b.Run(target.name, func(b *testing.B) {
			r := withVars(httptest.NewRequest(target.method, target.path, nil))
			w := httptest.NewRecorder()
			floor, _ := together(1, 1_000_000, func() { _ = nothing.ServeHTTP(w, r) })
			each := float64(floor.Nanoseconds()) / 1_000_000
			b.ReportAllocs()
			for b.Loop() {
				_ = s.handler.ServeHTTP(w, r, nothing)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)-each, "ns-more")
		})
	}
}

// BenchmarkCreate measures whole creations through the handler, with fsync, at
// 64 goroutines. x-floor is the time of one over that of the raw cryptography of
// one, measured in the same run at the same parallelism, by turns. x-cpu is the same
// of the processors' time, which others on the machine disturb less.
// AUTHSIDECAR_BENCH_ROWS sessions are stored before.
//
// cold is a new caller's token each time, of a user for himself; warm always the
// same one, of a service that acts for another user each time; crowded is
// warm for one user, who has all the sessions that he may, so that each new one
// ends an old one.
func BenchmarkCreate(b *testing.B) {
	dir := benchDir(b)
	fill(b, dir)
	each, one := func(i int) int { return i }, func(int) int { return 0 }
	b.Run("cold", func(b *testing.B) { benchCreate(b, newBench(b, dir), b.N, each) })
	b.Run("warm", func(b *testing.B) { benchCreate(b, newBench(b, dir), 1, each) })
	b.Run("crowded", func(b *testing.B) { benchCreate(b, newBench(b, dir), 1, one) })
}

// benchCreate creates sessions with so many different tokens, for the users of
// those numbers.
func benchCreate(b *testing.B, s *bench, different int, users func(int) int) {
	tokens := make([]string, different)
	for i := range tokens {
		subject := "user" + strconv.Itoa(i)
		if different == 1 {
			subject = "desk"
		}
		tokens[i] = "Bearer " + s.idp.Token(subject, map[string]any{"scope": "sessions:impersonate", "jti": fmt.Sprint(i)})
	}
	target := url.URL{Path: "/auth/sessions"}
	var next atomic.Int64
	against(b, rawCryptography(b, different > 1), func() bool {
		i := int(next.Add(1) - 1)
		return s.post(&target, tokens[i%len(tokens)], "application/json", `{"user_id":"user`+strconv.Itoa(users(i))+`"}`) == http.StatusOK
	})
}

// against calls do b.N times, 64 at once, and reports what one call takes over what
// one of floor takes.
func against(b *testing.B, floor func(), do func() bool) {
	b.Helper()
	var wall, cpu, floorWall, floorCPU time.Duration
	var failed atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.StopTimer()
	for round := range measuredRounds {
		calls := b.N*(round+1)/measuredRounds - b.N*round/measuredRounds
		w, c := together(goroutinesAtOnce, calls, floor)
		floorWall, floorCPU = floorWall+w, floorCPU+c
		b.StartTimer()
		w, c = together(goroutinesAtOnce, calls, func() {
			if !do() {
				failed.Add(1)
			}
		})
		b.StopTimer()
		wall, cpu = wall+w, cpu+c
	}
	if failed.Load() > 0 {
		b.Fatalf("%d of %d failed", failed.Load(), b.N)
	}
	b.ReportMetric(float64(wall)/float64(floorWall), "x-floor")
	b.ReportMetric(float64(cpu)/float64(floorCPU), "x-cpu")
	b.ReportMetric(float64(floorWall.Nanoseconds())/float64(b.N), "ns-floor/op")
}

// measuredRounds is how often the floor and what is measured take turns, since a
// machine that others use is not always as fast.
const measuredRounds = 10

// rawMessage is as long as what is signed of a token: a header and claims, in base64url.
var rawMessage = bytes.Repeat([]byte("authsidecar "), 47)

// rawCryptography is a creation's cryptography as one writes it, each of rawMessage: an ES256
// verification where the caller's token is new, an Ed25519 and an ES256 signature. Our ES256
// signature is deterministic (jose.PrivateKey.Sign), which takes less.
func rawCryptography(b *testing.B, verify bool) func() {
	b.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	digest := sha256.Sum256(rawMessage)
	signature, err := ecdsa.SignASN1(rand.Reader, ec, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		if verify {
			digest := sha256.Sum256(rawMessage)
			if !ecdsa.VerifyASN1(&ec.PublicKey, digest[:], signature) {
				panic("cannot be")
			}
		}
		ed25519.Sign(ed, rawMessage)
		digest := sha256.Sum256(rawMessage)
		_, _ = ecdsa.SignASN1(rand.Reader, ec, digest[:])
	}
}

// settle waits until nothing goes on in the background of this process that what is
// measured then would pay for: what the store does of itself after it was filled,
// and after it was opened, and the count of the sessions that it has, which takes a
// twentieth of a processor. It gives up after half a minute.
func settle() {
	const look = 200 * time.Millisecond
	for range int(30 * time.Second / look) {
		before := processorTime()
		time.Sleep(look)
		if processorTime()-before < look/50 {
			return
		}
	}
}

// together returns what so many calls of f take, when so many goroutines make them
// together: by the clock, and of the processors.
func together(goroutines, calls int, f func()) (wall, cpu time.Duration) {
	var group sync.WaitGroup
	var next atomic.Int64
	began, start := processorTime(), time.Now()
	for range goroutines {
		group.Go(func() {
			for next.Add(1) <= int64(calls) {
				f()
			}
		})
	}
	group.Wait()
	return time.Since(start), processorTime() - began
}

// processorTime is what this process has used of all processors.
func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkStart starts the real process on a store of AUTHSIDECAR_BENCH_ROWS
// sessions and reports how long it takes until it has created one, and how much
// memory the process has then, and after 20,000 more.
func BenchmarkStart(b *testing.B) {
	dir := benchDir(b)
	absolute, err := filepath.Abs(dir)
	if err != nil {
		b.Fatal(err)
	}
	fill(b, dir)
	provider := sidecartest.NewIDP(b, "https://idp.example.com")
	s := newSidecar(b)
	config := provider.Site(s.Sidecar, "127.0.0.1:1", "store pebble "+absolute)
	token := provider.Token("alice", nil)
	var after, resident float64
	for b.Loop() {
		s.Start(config)
		sidecartest.WantStatus(b, s.Create(token, `{"user_id":"alice"}`), http.StatusOK)
		b.StopTimer()
		after = s.memoryMB("VmRSS")
		together(8, 20_000, func() { _, _ = s.TryCreate(token, `{"user_id":"alice"}`) })
		resident = s.memoryMB("VmRSS")
		s.Stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms-start")
	b.ReportMetric(after, "MB-start")
	b.ReportMetric(resident, "MB-load")
}

// memoryMB returns a field of the process's /proc/PID/status: VmRSS, its resident memory, or VmHWM,
// the most that it ever had.
func (s *sidecar) memoryMB(field string) float64 {
	s.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process().Pid))
	if err != nil {
		s.t.Skip("no /proc here to read memory in")
	}
	_, rest, _ := strings.Cut(string(data), field+":")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		s.t.Fatal(err)
	}
	return kb / 1024
}

// benchDir is a directory on a disk, where the temporary directory may be memory.
func benchDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp(".", ".bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// fill stores AUTHSIDECAR_BENCH_ROWS sessions (default 10,000).
func fill(b *testing.B, dir string) {
	b.Helper()
	rows := 10_000
	if text := os.Getenv("AUTHSIDECAR_BENCH_ROWS"); text != "" {
		if _, err := fmt.Sscan(text, &rows); err != nil {
			b.Fatal(err)
		}
	}
	fillWith(b, dir, rows, nil)
}

// fillWith stores so many sessions, each of another user, with something changed; nil: nothing.
func fillWith(b *testing.B, dir string, rows int, change func(*sessions.Session)) {
	b.Helper()
	store, err := pebblestore.Open(pebblestore.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	now := store.Now()
	var next, failed atomic.Int64
	var group sync.WaitGroup
	for range goroutinesAtOnce {
		group.Go(func() {
			for n := next.Add(1); n <= int64(rows); n = next.Add(1) {
				row := sessions.Session{
					Realm: "https://app.example.com", ID: fmt.Sprintf("%022d", n), UserID: fmt.Sprint("filler", n), ClientID: "desk",
					Actor: sessions.Principal{Issuer: "https://idp.example.com", Subject: fmt.Sprint("filler", n)}, Rule: "self",
					CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: 24 * time.Hour, KeyID: "k",
				}
				if change != nil {
					change(&row)
				}
				if _, _, _, err := store.Create(context.Background(), row); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	group.Wait()
	if failed.Load() > 0 {
		b.Fatalf("%d rows could not be stored", failed.Load())
	}
}
