package caddymodule_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A streamApp serves WebSockets that echo, server-sent events, and what takes its
// time.
type streamApp struct {
	*httptest.Server
	open   atomic.Int64 // connections and responses
	sent   atomic.Int64 // by floods
	mu     sync.Mutex
	ticked chan struct{}
	logout func(r *http.Request)
}

func newStreamApp(t *testing.T) *streamApp {
	t.Helper()
	a := &streamApp{ticked: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", a.echo)
	mux.HandleFunc("/events", a.events)
	mux.HandleFunc("/flood", a.flood)
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/upload", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		a.logout(r)
		fmt.Fprint(w, "good bye")
	})
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.open.Add(1)
		defer a.open.Add(-1)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

func (*streamApp) echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		kind, data, err := conn.Read(context.Background())
		if err != nil || conn.Write(context.Background(), kind, data) != nil {
			return
		}
	}
}

// tick sends an event to all.
func (a *streamApp) tick() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.ticked)
	a.ticked = make(chan struct{})
}

func (a *streamApp) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ticked
}

func (a *streamApp) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		next := a.next() // before it is said that the last one came
		fmt.Fprint(w, "data: tick\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-next:
		case <-r.Context().Done():
			return
		}
	}
}

// flood sends more than anybody takes.
func (a *streamApp) flood(w http.ResponseWriter, r *http.Request) {
	write := func(p []byte) error {
		_, err := w.Write(p)
		return err
	}
	if r.Header.Get("Upgrade") != "" {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		write = func(p []byte) error { return conn.Write(context.Background(), websocket.MessageBinary, p) }
	}
	for write(make([]byte, 1<<16)) == nil {
		a.sent.Add(1)
	}
}

// waitStuck waits until nobody takes what floods send.
func (a *streamApp) waitStuck() {
	for before, calm := int64(-1), 0; calm < 20; before = a.sent.Load() {
		if calm++; a.sent.Load() != before || before == 0 {
			calm = 0
		}
		time.Sleep(10 * time.Millisecond) // polling the app
	}
}

// An open stream of a client.
type open struct {
	name  string
	got   chan string
	ended chan struct{}
	send  func() error
}

func (o *open) over() bool {
	select {
	case <-o.ended:
		return true
	default:
		return false
	}
}

// openWebSocket opens one, which echoes.
func openWebSocket(ctx context.Context, base, token string) (*open, error) {
	header := http.Header{"Authorization": {"Bearer " + token}}
	conn, _, err := websocket.Dial(ctx, base+"/ws", &websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // it is the connection
	if err != nil {
		return nil, err
	}
	o := &open{name: "WebSocket", got: make(chan string, 1), ended: make(chan struct{})}
	o.send = func() error { return conn.Write(ctx, websocket.MessageText, []byte("tick")) }
	go func() {
		defer close(o.ended)
		defer func() { _ = conn.CloseNow() }()
		for {
			_, data, err := conn.Read(ctx)
			if err != nil {
				return
			}
			o.got <- string(data)
		}
	}()
	return o, nil
}

// openEvents opens a stream of events.
func openEvents(ctx context.Context, client http.RoundTripper, base, token string) (*open, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.RoundTrip(req) //nolint:bodyclose // by the one who reads it
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("events: %s", resp.Status)
	}
	o := &open{name: "events", got: make(chan string, 1), ended: make(chan struct{})}
	go func() {
		defer close(o.ended)
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				o.got <- data
			}
		}
	}()
	return o, o.heard(ctx)
}

// heard waits for what was sent.
func (o *open) heard(ctx context.Context) error {
	select {
	case text := <-o.got:
		if text != "tick" {
			return fmt.Errorf("%s: got %q", o.name, text)
		}
		return nil
	case <-o.ended:
		return fmt.Errorf("%s: over", o.name)
	case <-ctx.Done():
		return fmt.Errorf("%s: nothing came: %w", o.name, ctx.Err())
	}
}

// A streaming site has identity, a sidecar and a streamApp.
type streaming struct {
	*sidecar
	t    *testing.T
	app  *streamApp
	idp  *sidecartest.IDP
	ctx  context.Context
	rest string
}

// startStreaming starts one. words are for its auth_sessions block, proxy for its
// reverse_proxy's.
func startStreaming(t *testing.T, words, proxy string) *streaming {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	s := &streaming{sidecar: newSidecar(t), t: t, app: newStreamApp(t), idp: sidecartest.NewIDP(t, "https://idp.example.com"), ctx: ctx}
	s.sidecar.Global = "\tservers {\n\t\tprotocols h1 h2c\n\t}\n"
	s.rest = proxy
	s.Start(s.site(words))
	return s
}

func (s *streaming) site(words string) string {
	if !strings.Contains(words, "identity") {
		words += "\nidentity"
	}
	site := s.idp.Site(s.Sidecar, s.app.URL, "lifecycle\n\t\tmanage scope sessions:manage\n\t\t"+words)
	site = strings.Replace(site, "audience "+sidecartest.Audience, "audience "+sidecartest.Audience+"\n\t\t\tlogout desk", 1)
	return strings.TrimSuffix(site, "\n}\n") + " {\n" + s.rest + "\n}\n}\n"
}

func (s *streaming) desk() string {
	return s.idp.Token("desk", map[string]any{"scope": "sessions:impersonate sessions:manage"})
}

// session creates one: of alice by the desk, or her own.
func (s *streaming) session(impersonation bool, more string) sidecartest.Answer {
	s.t.Helper()
	token := s.idp.Token("alice", nil)
	if impersonation {
		token = s.desk()
	}
	got := s.Create(token, `{"user_id":"alice"`+more+`}`)
	sidecartest.WantStatus(s.t, got, 200)
	return got
}

func (s *streaming) webSocket(token string) *open {
	s.t.Helper()
	o, err := openWebSocket(s.ctx, s.URL, token)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

func (s *streaming) events(token string) *open {
	s.t.Helper()
	o, err := openEvents(s.ctx, &http.Transport{DisableKeepAlives: true}, s.URL, token)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// untouched expects that the streams go on.
func (s *streaming) untouched(when string, streams ...*open) {
	s.t.Helper()
	s.app.tick()
	for _, o := range streams {
		if o.send != nil {
			if err := o.send(); err != nil {
				s.t.Fatalf("%s: %v", when, err)
			}
		}
		if err := o.heard(s.ctx); err != nil {
			s.t.Fatalf("%s: %v", when, err)
		}
	}
}

// waitEnded expects that the streams end, and tells how long that took.
func (s *streaming) waitEnded(when string, streams ...*open) time.Duration {
	s.t.Helper()
	begun := time.Now()
	late := time.After(30 * time.Second)
	for _, o := range streams {
		select {
		case <-o.ended:
		case <-late:
			s.t.Fatalf("%s: %s goes on", when, o.name)
		}
	}
	return time.Since(begun)
}

// waitOpen waits until so many are open at the app.
func (s *streaming) waitOpen(want int64) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); s.app.open.Load() != want; {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d are open at the app, want %d", s.app.open.Load(), want)
		}
		time.Sleep(time.Millisecond) // polling the app
	}
}

// waitIdle waits until the sidecar proxies nothing.
func (s *streaming) waitIdle() {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		req, _ := http.NewRequestWithContext(s.ctx, http.MethodGet, "http://"+s.Admin+"/debug/pprof/goroutine?debug=2", nil)
		got, err := s.Do(req)
		if err != nil {
			s.t.Fatal(err)
		}
		if !strings.Contains(got.Body, "reverseproxy.(*Handler).ServeHTTP") {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the sidecar still proxies")
		}
		time.Sleep(10 * time.Millisecond) // polling the sidecar
	}
}

// A thousand WebSockets and a thousand streams of events run through; of them, those of
// impersonated sessions end, and nothing else.
func TestStreams_AThousandOfEachRunUntouchedAndEndWithTheirSession(t *testing.T) {
	t.Parallel()
	const each, perSession = 1000, 50
	s := startStreaming(t, "", "")
	streams := make([][2]*open, each)
	tokens := make([]string, each/perSession)
	for i := range tokens {
		tokens[i] = s.session(i%2 == 0, "").Text("access_token")
	}
	transport := &http.Transport{}
	var group errgroup.Group
	group.SetLimit(64)
	for i := range streams {
		group.Go(func() (err error) {
			token := tokens[i/perSession]
			if streams[i][0], err = openWebSocket(s.ctx, s.URL, token); err != nil {
				return err
			}
			streams[i][1], err = openEvents(s.ctx, transport, s.URL, token)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var all, impersonated, own []*open
	for i, pair := range streams {
		all = append(all, pair[:]...)
		if i/perSession%2 == 0 {
			impersonated = append(impersonated, pair[:]...)
		} else {
			own = append(own, pair[:]...)
		}
	}
	s.untouched("before anything ended", all...)
	sidecartest.WantStatus(t, s.Call("DELETE", "?impersonations=true", s.desk(), ""), 200)
	took := s.waitEnded("revoked", impersonated...)
	t.Logf("%d streams ended within %s", len(impersonated), took)
	sidecartest.WantStatus(t, s.Call("DELETE", "?user_id=alice", s.desk(), ""), 200)
	s.untouched("of sessions that nobody impersonated", own...)
	s.waitOpen(int64(len(own)))
}

func TestStreams_OfAllSessionsEndWithEndStreams(t *testing.T) {
	t.Parallel()
	s := startStreaming(t, "identity {\n\t\t\tend_streams\n\t\t}", "")
	alice, other := s.session(false, ""), s.session(false, "")
	token := alice.Text("access_token")
	ending := []*open{s.webSocket(token), s.events(token)}
	going := []*open{s.webSocket(other.Text("access_token")), s.events(other.Text("access_token"))}
	nobody := s.events("")
	s.untouched("before", append(append(ending, going...), nobody)...)
	sidecartest.WantStatus(t, s.Call("DELETE", "/current", token, ""), 200)
	s.waitEnded("revoked", ending...)
	s.untouched("of another session, and of nobody", append(going, nobody)...)
	s.waitOpen(3)
}

// Every way to end a session ends what is open for it.
func TestStreams_EndByEveryWayToEndASession(t *testing.T) {
	t.Parallel()
	s := startStreaming(t, "refresh_token {\n\t\t\tgrace 0s\n\t\t}\n\t\tsession {\n\t\t\tmax_per_user 3\n\t\t}", "")
	other := s.session(false, "")
	for _, way := range []struct {
		name, more string
		end        func(session sidecartest.Answer)
	}{
		{"by its id", "", func(a sidecartest.Answer) { s.Call("DELETE", "/"+a.Text("session_id"), s.desk(), "") }},
		{"by its access token", "", func(a sidecartest.Answer) { s.Call("DELETE", "/current", a.Text("access_token"), "") }},
		{"by its refresh token", "", func(a sidecartest.Answer) {
			s.Call("DELETE", "/current", "", `{"refresh_token":"`+a.Text("refresh_token")+`"}`)
		}},
		{"by its user", "", func(sidecartest.Answer) { s.Call("DELETE", "?user_id=alice", s.desk(), "") }},
		{"by its actor", "", func(sidecartest.Answer) { s.Call("DELETE", "?actor=desk", s.desk(), "") }},
		{"with all impersonations", "", func(sidecartest.Answer) { s.Call("DELETE", "?impersonations=true", s.desk(), "") }},
		{"by a stolen refresh token", "", func(a sidecartest.Answer) {
			sidecartest.WantStatus(t, s.Refresh(a.Text("refresh_token")), 200)
			sidecartest.WantStatus(t, s.Refresh(a.Text("refresh_token")), 400)
		}},
		{"by newer sessions", "", func(sidecartest.Answer) {
			for range 3 {
				s.session(true, "")
			}
		}},
		{"by its absolute end", `,"expires_in_millis":1500`, func(sidecartest.Answer) {}},
		{"by its actor's identity provider", "", func(sidecartest.Answer) { // last: the desk's tokens of this second are good for nothing more
			sidecartest.WantStatus(t, s.logout(logoutToken(s.idp, map[string]any{"sub": "desk"})), 200)
		}},
	} {
		session := s.session(true, way.more)
		token := session.Text("access_token")
		streams := []*open{s.webSocket(token), s.events(token)}
		s.untouched(way.name+": before", streams...)
		way.end(session)
		s.waitEnded(way.name, streams...)
	}
	_ = other
	s.waitOpen(0)
}

func TestStreams_EndWhenTheSessionIsIdleOrNoMoreAllowed(t *testing.T) {
	t.Parallel()
	const words = "access_token {\n\t\t\tttl 1s\n\t\t}\n\t\timpersonation {\n\t\t\tidle 2s\n\t\t}"
	s := startStreaming(t, words, "stream_close_delay 1h")
	idle, used := s.session(true, ""), s.session(true, "")
	left := []*open{s.webSocket(idle.Text("access_token")), s.events(idle.Text("access_token"))}
	kept := []*open{s.webSocket(used.Text("access_token")), s.events(used.Text("access_token"))}
	for done := false; !done; {
		used = s.Refresh(used.Text("refresh_token"))
		sidecartest.WantStatus(t, used, 200)
		s.untouched("as long as it is used", kept...)
		done = left[0].over() && left[1].over()
		s.drain(left)
		time.Sleep(100 * time.Millisecond) // a client that refreshes now and then
	}
	if err := s.Reload(s.site(words + "\n\t\tprotect user alice")); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, s.Refresh(used.Text("refresh_token")), 400)
	s.waitEnded("no more allowed", kept...)
}

// drain forgets what came.
func (*streaming) drain(streams []*open) {
	for _, o := range streams {
		select {
		case <-o.got:
		default:
		}
	}
}

// A configuration that takes over does not lose sight of what is open.
func TestStreams_OutliveAReloadAndEndAfterIt(t *testing.T) {
	t.Parallel()
	s := startStreaming(t, "", "stream_close_delay 1h")
	session := s.session(true, "")
	token := session.Text("access_token")
	streams := []*open{s.webSocket(token), s.events(token)}
	for i := range 3 {
		if err := s.Reload(s.site(fmt.Sprintf("protect user root%d", i))); err != nil {
			t.Fatal(err)
		}
		s.untouched("after a reload", streams...)
	}
	sidecartest.WantStatus(t, s.Call("DELETE", "/"+session.Text("session_id"), s.desk(), ""), 200)
	s.waitEnded("revoked after a reload", streams...)
}

// What Caddy does with upgraded connections at a reload is left to Caddy.
func TestStreams_WebSocketsAtAReloadAreCaddysMatter(t *testing.T) {
	t.Parallel()
	s := startStreaming(t, "", "")
	token := s.session(true, "").Text("access_token")
	socket, events := s.webSocket(token), s.events(token)
	if err := s.Reload(s.site("protect user root")); err != nil {
		t.Fatal(err)
	}
	s.waitEnded("without stream_close_delay", socket)
	s.untouched("events", events)
}

// Without a store that could tell, nothing stays open.
func TestStreams_EndWithTheLastConfigurationThatKnowsTheirStore(t *testing.T) {
	t.Parallel()
	s := startStreaming(t, "", "stream_close_delay 1h")
	token := s.session(true, "").Text("access_token")
	streams := []*open{s.webSocket(token), s.events(token)}
	if err := s.Reload("SITE {\n\trespond 200\n}\n"); err != nil {
		t.Fatal(err)
	}
	s.waitEnded("nobody knows their session", streams...)
}

func TestStreams_OverHTTP2(t *testing.T) {
	t.Setenv("GODEBUG", "http2xconnect=1") // of the server too
	s := startStreaming(t, "", "")
	session := s.session(true, "")
	token := session.Text("access_token")
	client := h2c()
	events, err := openEvents(s.ctx, client, s.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	body, write := io.Pipe()
	resp, err := client.RoundTrip(extendedConnect(t, s.URL+"/ws", token, body))
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	defer resp.Body.Close()
	frame := []byte{0x81, 0x84, 0, 0, 0, 0, 't', 'i', 'c', 'k'} // RFC 6455 section 5.2: a text, masked by zeros
	if _, err := write.Write(frame); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 6)
	if _, err := io.ReadFull(resp.Body, got); err != nil || string(got[2:]) != "tick" {
		t.Fatalf("%q, %v", got, err)
	}
	s.untouched("before", events)
	sidecartest.WantStatus(t, s.Call("DELETE", "/"+session.Text("session_id"), s.desk(), ""), 200)
	s.waitEnded("revoked", events)
	if _, err := io.ReadFull(resp.Body, got); err == nil {
		t.Errorf("the WebSocket went on: %q", got)
	}
	s.waitOpen(0)
}

// A client that does not read holds nothing open.
func TestStreams_OfAClientThatReadsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		client http.RoundTripper
		header http.Header
	}{
		{"HTTP/1.1", new(http.Transport), nil},
		{"HTTP/2", h2c(), nil},
		{"a WebSocket", new(http.Transport), http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startStreaming(t, "", "")
			session := s.session(true, "")
			req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.URL+"/flood", nil)
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(req.Header, c.header)
			req.Header.Set("Authorization", "Bearer "+session.Text("access_token"))
			resp, err := c.client.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			s.app.waitStuck()
			sidecartest.WantStatus(t, s.Call("DELETE", "/"+session.Text("session_id"), s.desk(), ""), 200)
			s.waitOpen(0)
			s.waitIdle()
		})
	}
}

// The request that ended its own session, by way of the app, is answered; one that
// waits for ever is not.
func TestStreams_ALogoutIsAnswered(t *testing.T) {
	t.Parallel()
	s := startStreaming(t, "", "")
	session := s.session(true, "")
	token := session.Text("access_token")
	s.app.logout = func(r *http.Request) {
		own := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if got := s.Call("DELETE", "/current", own, ""); got.Status != http.StatusOK {
			t.Errorf("logging out: %d", got.Status)
		}
	}
	hanging := make(chan error, 1)
	go func() {
		req, _ := http.NewRequestWithContext(s.ctx, http.MethodGet, s.URL+"/hang", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		_, err := s.Do(req)
		hanging <- err
	}()
	s.waitOpen(1)
	req, _ := http.NewRequestWithContext(s.ctx, http.MethodPost, s.URL+"/logout", nil)
	req.Header.Set("Authorization", "Bearer "+token)
	got, err := s.Do(req)
	if err != nil || got.Status != http.StatusOK || got.Body != "good bye" {
		t.Errorf("logging out: %v, %d %s", err, got.Status, got.Body)
	}
	select {
	case <-hanging:
	case <-time.After(30 * time.Second):
		t.Error("a request that waits for ever goes on")
	}
	s.waitOpen(0)
}

// A WebSocket is written down when it opens, not when it ends.
func TestL2_AWebSocketHasItsLineAtOnce(t *testing.T) {
	t.Parallel()
	s := startStreaming(t, "", "")
	token := s.session(true, "").Text("access_token")
	socket := s.webSocket(token)
	s.WaitLog(`"path":"/ws","status":101}` + "\n")
	s.untouched("after it", socket)
	if lines := s.actLines(); len(lines) != 1 || lines[0]["method"] != "GET" {
		t.Errorf("lines %v", lines)
	}
}

// A connection whose other side is gone is not held.
func TestStreams_AreForgottenWhenTheyEndByThemselves(t *testing.T) {
	t.Parallel()
	s := startStreaming(t, "", "")
	session := s.session(true, "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", session.Text("access_token"))
	s.waitOpen(1)
	_ = conn.Close()
	s.waitOpen(0)
	sidecartest.WantStatus(t, s.Call("DELETE", "/"+session.Text("session_id"), s.desk(), ""), 200)
}
