package sharedtest

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"authsidecar/sessions/storetest"
	"authsidecar/sessions/storetest/servertest"
)

// Proxy starts a proxy for a local port, and returns its port.
func Proxy(t testing.TB, to int) (*toxiproxy.Proxy, int) {
	t.Helper()
	port := servertest.Port(t)
	proxies := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard))
	p := toxiproxy.NewProxy(proxies, "server", fmt.Sprint("127.0.0.1:", port), fmt.Sprint("127.0.0.1:", to))
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p, port
}

// Toxic adds a toxic to a proxy, in the JSON of toxiproxy.
func Toxic(t testing.TB, p *toxiproxy.Proxy, json string) {
	t.Helper()
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(json)); err != nil {
		t.Fatal(err)
	}
}

// lost is the toxic that drops all responses.
const lost = `{"name": "lost", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`

// FarAway starts a proxy with a latency of storetest.FarAway.
func FarAway(t testing.TB, to int) (port int) {
	t.Helper()
	p, port := Proxy(t, to)
	for _, stream := range []string{"upstream", "downstream"} {
		Toxic(t, p, fmt.Sprintf(`{"type":"latency","stream":%q,"attributes":{"latency":%d}}`, stream, storetest.FarAway.Milliseconds()))
	}
	return port
}

// Forward forwards all that it reads.
func Forward(r io.Reader, w io.Writer) { _, _ = io.Copy(w, r) }

// Tap starts a proxy in which up forwards what each client sends, and down what the server answers.
func Tap(t testing.TB, to int, up, down func(io.Reader, io.Writer)) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", to))
			if err != nil {
				_ = client.Close()
				return
			}
			go func() {
				down(server, client)
				_ = client.Close()
			}()
			go func() {
				up(client, server)
				_ = server.Close()
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}
