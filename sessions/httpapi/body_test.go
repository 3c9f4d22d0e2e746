package httpapi

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions/internal/endpoint"
	"authsidecar/sessions/jose"
)

// pipes is a listener whose connections are pipes: their deadlines go by the clock of a synctest bubble.
type pipes struct {
	accept chan net.Conn
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	conn, ok := <-p.accept
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.accept) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

// dial opens a connection and sends what it is given.
func (p *pipes) dial(t *testing.T, data string) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	p.accept <- server
	if _, err := io.WriteString(client, data); err != nil {
		t.Fatal(err)
	}
	return client
}

// servePipes serves the API over pipes, until the test is over.
func servePipes(t *testing.T, api *API) *pipes {
	t.Helper()
	listener := &pipes{accept: make(chan net.Conn)}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { api.Serve(w, r, api.Route(r)) }),
	}
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener
}

const slowRefresh = "POST /auth/sessions/current/refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n"

func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // testing/synctest passes it
}

// An answer is what a response says before its body.
type answer struct {
	status     int
	retryAfter string
	last       bool // the connection is closed after it
}

func readAnswer(t *testing.T, conn net.Conn) answer {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return answer{response.StatusCode, response.Header.Get("Retry-After"), response.Close}
}

func TestBody_OneThatDoesNotComeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := servePipes(t, newFixture(t).api)
		begin := time.Now()
		conn := listener.dial(t, slowRefresh+`{"refresh`)
		defer func() { _ = conn.Close() }()
		got := readAnswer(t, conn)
		if took := time.Since(begin); got.status != http.StatusRequestTimeout || !got.last || took != endpoint.BodyTimeout {
			t.Errorf("status %d after %v, closed %t; want 408 after %v, closed", got.status, took, got.last, endpoint.BodyTimeout)
		}
	})
}

// The deadline of a body is not that of its connection, which serves the next request much later.
func TestBody_ItsDeadlineGoesWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := servePipes(t, newFixture(t).api)
		conn := listener.dial(t, slowRefresh)
		defer func() { _ = conn.Close() }()
		for range 3 {
			pass(endpoint.BodyTimeout - time.Millisecond)
			if _, err := io.WriteString(conn, `{"refresh_token":"x"}`); err != nil {
				t.Fatal(err)
			}
			if got := readAnswer(t, conn); got.status != http.StatusBadRequest || got.last {
				t.Fatalf("status %d, closed %t; want 400 on a connection that goes on", got.status, got.last)
			}
			pass(2 * endpoint.BodyTimeout)
			if _, err := io.WriteString(conn, slowRefresh); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestBody_SlowOnesAreBoundedAndLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		listener := servePipes(t, f.api)
		var slow []net.Conn
		defer func() {
			for _, conn := range slow {
				_ = conn.Close()
			}
		}()
		for range endpoint.MaxBodies {
			slow = append(slow, listener.dial(t, slowRefresh))
		}
		synctest.Wait()
		if open := f.api.bodies.Open(); open != endpoint.MaxBodies {
			t.Fatalf("%d bodies are open, want %d", open, endpoint.MaxBodies)
		}
		tooMany := listener.dial(t, slowRefresh)
		got := readAnswer(t, tooMany)
		_ = tooMany.Close()
		if got.status != http.StatusServiceUnavailable || got.retryAfter != "1" {
			t.Errorf("one more gets %d, retry after %q; want 503 after 1", got.status, got.retryAfter)
		}
		for _, conn := range slow {
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
		pass(endpoint.BodyTimeoutMany)
		synctest.Wait()
		if open := f.api.bodies.Open(); open > endpoint.ManyBodies {
			t.Errorf("%d bodies are open after %v, want %d at most", open, endpoint.BodyTimeoutMany, endpoint.ManyBodies)
		}
		honest := listener.dial(t, slowRefresh+`{"refresh_token":"x"}`)
		defer func() { _ = honest.Close() }()
		if got := readAnswer(t, honest); got.status != http.StatusBadRequest {
			t.Errorf("a whole body gets %d, want 400: it was read", got.status)
		}
		pass(endpoint.BodyTimeout)
		synctest.Wait()
		if open := f.api.bodies.Open(); open != 0 {
			t.Errorf("%d bodies are open after %v, want none", open, endpoint.BodyTimeout)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if said := strings.Join(f.said, "\n"); strings.Contains(said, "panic") {
			t.Error(said)
		}
	})
}

// An answer that needs no body does not wait for one.
func TestBody_ThatNobodyReadsIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.api.Keys = func() []*jose.Key { return nil }
		listener := servePipes(t, f.api)
		for target, want := range map[string]int{
			"GET /auth/sessions/jwks.json": 200, "GET /auth/sessions?user_id=alice": 200, "GET /auth/sessions/current": 401, "DELETE /auth/sessions?user_id=alice": 200, "PUT /auth/sessions": 405,
		} {
			begin := time.Now()
			conn := listener.dial(t, target+" HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+f.token+"\r\nContent-Length: 100\r\n\r\n")
			if got := readAnswer(t, conn); got.status != want || !got.last || time.Since(begin) != 0 {
				t.Errorf("%s: status %d after %v, closed %t; want %d at once, closed", target, got.status, time.Since(begin), got.last, want)
			}
			_ = conn.Close()
		}
	})
}
