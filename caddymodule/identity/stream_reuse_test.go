package identity

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"authsidecar/sessions"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
	"authsidecar/sessions/storetest/servertest"
	"authsidecar/sessions/streams"
)

// ending is how many sessions are ended in the middle of a request, for each protocol and
// each kind of request.
var ending = servertest.Rounds(2_000, 10_000)

// An endingSite serves requests of sessions that are ended while they are served, and
// others.
type endingSite struct {
	app    *Middleware
	open   streams.Registry
	cut    atomic.Int64 // requests that did not get to their end
	whole  atomic.Int64
	served sync.Map // by session: a channel that is closed when its request was served
}

func newEndingSite() *endingSite {
	e := new(endingSite)
	store := new(storetest.Memory)
	e.open.Store, e.open.Watch = store, &revocation.Watcher{Store: store}
	e.app = &Middleware{Config: Config{
		Manager: &sessions.Manager{Realm: "r"},
		Streams: func() *streams.Registry { return &e.open },
	}}
	return e
}

// later ends the session a moment later.
func (e *endingSite) later(id string) {
	go func() {
		for range rand.IntN(10) {
			runtime.Gosched()
		}
		e.open.End(sessions.Key{Realm: "r", ID: id})
	}()
}

func (e *endingSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("Session")
	if id == "" { // somebody else's, on the same connection
		if r.Context().Err() != nil {
			w.WriteHeader(499)
			return
		}
		_, _ = io.Copy(w, r.Body)
		return
	}
	who := &identity{Who: &forward.Who{Impersonation: true, SessionID: id}, by: e.app, own: true, expires: time.Now().Add(time.Hour).UnixMilli()}
	serve := map[string]func(http.ResponseWriter, *http.Request) error{"/plain": e.plain, "/upload": e.upload, "/stream": e.stream}[r.URL.Path]
	ended := true
	defer func() {
		if ended {
			e.cut.Add(1)
		} else {
			e.whole.Add(1)
		}
		if served, ok := e.served.LoadAndDelete(id); ok {
			close(served.(chan struct{}))
		}
	}()
	err := e.app.stream(w, r, who, caddyhttp.HandlerFunc(serve), nil)
	if ended = err != nil; ended {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// plain answers at once. Its session ends in the middle of that, or when the answer is
// complete and the handler has not returned yet.
func (e *endingSite) plain(w http.ResponseWriter, r *http.Request) error {
	id := r.Header.Get("Session")
	w.Header().Set("Content-Length", "8")
	w.WriteHeader(http.StatusOK)
	if !allSaid(id) {
		e.later(id)
	}
	if _, err := io.WriteString(w, "answered"); err != nil {
		return err
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		return err
	}
	if allSaid(id) {
		e.later(id)
		for range rand.IntN(20) {
			runtime.Gosched()
		}
	}
	return nil
}

// allSaid reports whether the session is to end when the answer is complete: every other one does.
func allSaid(id string) bool { return len(id) > 0 && id[len(id)-1]%2 == 0 }

// upload begins to answer, and reads on.
func (e *endingSite) upload(w http.ResponseWriter, r *http.Request) error {
	if r.ProtoMajor == 1 {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusOK)
	e.later(r.Header.Get("Session"))
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(w, n)
	return err
}

// stream writes until it may not.
func (e *endingSite) stream(w http.ResponseWriter, r *http.Request) error {
	for i := 0; ; i++ {
		if _, err := io.WriteString(w, "tick\n"); err != nil {
			return err
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		if i == 0 {
			e.later(r.Header.Get("Session"))
		}
		if i%3 == 2 {
			<-r.Context().Done()
			return r.Context().Err()
		}
	}
}

// An upload that stalls is let go, and its connection with it.
func TestStreams_AnUploadThatStallsEndsWithItsSession(t *testing.T) {
	for _, body := range []string{"Content-Length: 100\r\n\r\nfirst", "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"} {
		site := newEndingSite()
		server := httptest.NewServer(site)
		t.Cleanup(server.Close)
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: a\r\nSession: 1\r\n%s", body)
		if _, err := io.ReadAll(conn); err != nil {
			t.Errorf("the connection was not closed: %v", err)
		}
	}
}

// A slowBody comes in two halves, of which the second may never come.
type slowBody struct {
	halves [2]string
	stalls bool
	stop   <-chan struct{}
	n      int
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.n == len(b.halves) {
		return 0, io.EOF
	}
	if b.n == 1 && b.stalls {
		<-b.stop
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, b.halves[b.n])
	b.n++
	return n, nil
}

// protocols are the ways to reach a site. What connect returns uses one connection, and no other
// when that breaks; only HTTP/1 may open another, where it gave one up.
var protocols = []struct {
	name  string
	start func(t *testing.T, site http.Handler) (connect func() http.RoundTripper, base string)
}{
	{"HTTP1", func(t *testing.T, site http.Handler) (func() http.RoundTripper, string) {
		server := httptest.NewServer(site)
		t.Cleanup(server.Close)
		return func() http.RoundTripper { return &http.Transport{MaxConnsPerHost: 1} }, server.URL
	}},
	{"HTTP2", func(t *testing.T, site http.Handler) (func() http.RoundTripper, string) {
		server := httptest.NewUnstartedServer(site)
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		transport := server.Client().Transport.(*http.Transport)
		return func() http.RoundTripper {
			conn, err := transport.NewClientConn(t.Context(), "https", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			return conn
		}, server.URL
	}},
	{"HTTP3", func(t *testing.T, site http.Handler) (func() http.RoundTripper, string) {
		tlsServer := httptest.NewTLSServer(site) // for its certificate
		t.Cleanup(tlsServer.Close)
		listener, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		patient := &quic.Config{HandshakeIdleTimeout: time.Hour, MaxIdleTimeout: time.Hour} // of a machine that has other things to do
		server := &http3.Server{
			Handler: site, QUICConfig: patient,
			TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: tlsServer.TLS.Certificates}),
		}
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(func() { _ = errors.Join(server.Close(), listener.Close()) })
		trust := tlsServer.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		trust.NextProtos = []string{http3.NextProtoH3}
		return func() http.RoundTripper {
			conn, err := quic.DialAddr(t.Context(), listener.LocalAddr().String(), trust, patient)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
			// An http3.Transport takes another connection after any request that failed.
			return new(http3.Transport).NewClientConn(conn)
		}, "https://" + listener.LocalAddr().String()
	}},
}

// Whoever uses a connection after a session was ended in the middle of a request on it is
// answered, whatever the protocol and whatever the request was.
func TestStreams_AConnectionIsAsGoodAsBeforeWhenASessionEndedOnIt(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		for _, kind := range []string{"plain", "upload", "stream"} {
			t.Run(protocol.name+"/"+kind, func(t *testing.T) {
				site := newEndingSite()
				connect, base := protocol.start(t, site)
				var next atomic.Int64
				var all sync.WaitGroup
				for range 16 { // connections: a server of HTTP/3 lets 32 wait, and refuses more
					c := &endingClient{t: t, site: site, transport: connect(), base: base}
					for range 8 { // users of each at once
						all.Go(func() {
							for n := next.Add(1); n <= int64(ending) && !t.Failed(); n = next.Add(1) {
								c.round(kind, fmt.Sprint(n), n)
							}
						})
					}
				}
				all.Wait()
				t.Logf("%d were cut, %d were answered", site.cut.Load(), site.whole.Load())
				if n := site.open.Len(); n != 0 {
					t.Errorf("%d streams are held", n)
				}
			})
		}
	}
}

type endingClient struct {
	t         *testing.T
	site      *endingSite
	transport http.RoundTripper
	base      string
}

// round makes a request of a session that is ended meanwhile, and another one on the same
// connection.
func (c *endingClient) round(kind, id string, n int64) {
	var body io.Reader
	if kind == "upload" {
		served := make(chan struct{}) // net/http's client waits for what it sends
		c.site.served.Store(id, served)
		body = &slowBody{halves: [2]string{"first", "second"}, stalls: n%4 == 0, stop: served}
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.base+"/"+kind, body)
	if err != nil {
		c.t.Error(err)
		return
	}
	req.Header.Set("Session", id)
	if kind == "stream" {
		req.Method = http.MethodGet
	}
	text, err := c.read(req)
	if kind == "plain" && (err == nil || allSaid(id)) && text != "answered" {
		c.t.Errorf("session %s: got %q, %v", id, text, err)
	}
	if kind == "stream" && err == nil {
		c.t.Errorf("session %s: a part was taken for the whole: %q", id, text)
	}
	if kind == "upload" && err == nil && text != "11" {
		c.t.Errorf("session %s: a part was taken for the whole: %q", id, text)
	}
	c.use(id)
}

// use uses the connection, as somebody else would.
func (c *endingClient) use(after string) {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPut, c.base+"/", strings.NewReader("hello"))
	if err != nil {
		c.t.Error(err)
		return
	}
	if text, err := c.read(req); err != nil || text != "hello" {
		c.t.Errorf("after session %s: %q, %v", after, text, err)
	}
}

func (c *endingClient) read(req *http.Request) (string, error) {
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(data), err
}
