package caddymodule_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"authsidecar/caddymodule/internal/sidecartest"
)

// certificate writes the files of a certificate for 127.0.0.1 and returns the lines that
// serve it, and who trusts it.
func (s *sidecar) certificate() (words string, trust *tls.Config) {
	s.t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		s.t.Fatal(err)
	}
	cert := s.Write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	private := s.Write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	return "tls " + cert + " " + private, server.Client().Transport.(*http.Transport).TLSClientConfig
}

// The same as in process, through Caddy and its reverse_proxy: whatever was going on when
// the session ended, the connection answers who uses it next.
func TestStreams_ThroughCaddyAConnectionIsAsGoodAsBeforeWhenASessionEndedOnIt(t *testing.T) {
	t.Parallel()
	rounds := map[string]int{"events": 30, "answer": 30, "upload": 2, "hang": 2} // these have a second to answer
	s := &streaming{sidecar: newSidecar(t), t: t, app: newStreamApp(t), idp: sidecartest.NewIDP(t, "https://idp.example.com"), ctx: t.Context()}
	secure := "https://127.0.0.1:" + sidecartest.Port(t)
	words, trust := s.certificate()
	site := s.site("")
	s.Start(site + strings.Replace(site, "SITE {", secure+" {\n"+words, 1))
	h3 := &http3.Transport{TLSClientConfig: trust.Clone()}
	defer func() { _ = h3.Close() }()
	for name, client := range map[string]http.RoundTripper{
		"HTTP1": &http.Transport{TLSClientConfig: trust.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, MaxConnsPerHost: 1},
		"HTTP2": &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true},
		"HTTP3": h3,
	} {
		for kind, meanwhile := range map[string]func(*endedRound){"events": (*endedRound).events, "upload": (*endedRound).upload, "hang": (*endedRound).hang, "answer": (*endedRound).answer} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				for range rounds[kind] {
					session := s.session(true, "")
					r := &endedRound{streaming: s, t: t, client: client, base: secure, token: session.Text("access_token"), id: session.Text("session_id")}
					meanwhile(r)
					r.use(name)
				}
				s.waitOpen(0)
			})
		}
	}
}

// An endedRound is a session that ends in the middle of a request.
type endedRound struct {
	*streaming
	t               *testing.T
	client          http.RoundTripper
	base, token, id string
}

func (r *endedRound) request(method, path string, body io.Reader) *http.Request {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.ctx, method, r.base+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	return req
}

func (r *endedRound) revoke() {
	sidecartest.WantStatus(r.t, r.Call("DELETE", "/"+r.id, r.desk(), ""), 200)
}

// events are open.
func (r *endedRound) events() {
	o, err := openEvents(r.ctx, r.client, r.base, r.token)
	if err != nil {
		r.t.Fatal(err)
	}
	r.revoke()
	r.waitEnded("revoked", o)
}

// upload has sent a part, of which the app has answered already.
func (r *endedRound) upload() {
	body, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		resp, err := r.client.RoundTrip(r.request("POST", "/upload", body))
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		done <- err
	}()
	if _, err := io.WriteString(write, "first"); err != nil {
		r.t.Fatal(err)
	}
	r.waitOpen(1)
	r.revoke()
	r.waitOpen(0)
	_ = write.CloseWithError(io.ErrUnexpectedEOF) // net/http's client waits for what it sends
	<-done
}

// hang waits for an answer that never comes.
func (r *endedRound) hang() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := r.client.RoundTrip(r.request("GET", "/hang", nil))
		if err != nil {
			r.t.Error(err)
			return
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(resp.Header.Get("WWW-Authenticate"), "invalid_token") || !strings.Contains(string(data), "session_over") {
			r.t.Errorf("a request of a session that ended: %s, %v, %s, %v", resp.Status, resp.Header, data, err)
		}
		if resp.Close {
			r.t.Error("the connection is closed for nothing")
		}
	}()
	r.waitOpen(1)
	r.revoke()
	<-done
}

// answer is what the app says at the same time.
func (r *endedRound) answer() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := r.client.RoundTrip(r.request("GET", "/echo", nil))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}()
	r.revoke()
	<-done
}

// use uses the connection as somebody else.
func (r *endedRound) use(name string) {
	r.t.Helper()
	req := r.request("PUT", "/echo", strings.NewReader("hello"))
	req.Header.Del("Authorization")
	resp, err := r.client.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if got := fmt.Sprint(resp.Status, " ", string(data), " ", err); got != "200 OK hello <nil>" || name != fmt.Sprint("HTTP", resp.ProtoMajor) {
		r.t.Errorf("after it: %s, by %s", got, resp.Proto)
	}
}
