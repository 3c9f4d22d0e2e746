package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// distinctTokens is how many live tokens the many users of BenchmarkProxy have.
const distinctTokens = 100_000

// BenchmarkProxy measures requests over HTTP through two sites of one server, by turns: plain
// reverse_proxy, and the same behind identity, 64 at once. x-plain is the second's requests per
// second over the first's, x-cpu its requests per second of the server's processors' time, which
// others on the machine disturb less.
//
// one is always the same token of somebody's own session, impersonated one of an impersonation; many is
// one of 100,000 live ones of as many people, drawn at random, and MB-more what the process has grown by
// since it saw the first of them; forged is honest requests with the same token while as many clients send
// tokens that somebody forged, and x-alone their requests per second over those without.
func BenchmarkProxy(b *testing.B) {
	p := newProxyBench(b)
	one, impersonated := p.token("alice", "alice"), p.token("desk", "alice")
	p.warm(one, impersonated)
	b.Run("one", func(b *testing.B) { p.againstPlain(b, func() string { return one }) })
	b.Run("impersonated", func(b *testing.B) { p.againstPlain(b, func() string { return impersonated }) })
	b.Run("forged", func(b *testing.B) { p.flooded(b, one) })
	var tokens []string
	var before float64
	b.Run("many", func(b *testing.B) {
		if tokens == nil {
			tokens = p.tokens(distinctTokens)
			before = p.memoryMB("VmRSS")
			p.warm(tokens...)
		}
		p.againstPlain(b, func() string { return tokens[rand.IntN(len(tokens))] })
		b.ReportMetric(p.memoryMB("VmRSS")-before, "MB-more")
	})
}

// A proxyBench is a server with two sites in front of one app.
type proxyBench struct {
	*sidecar
	client *http.Client
	plain  string // the URL of the site that is only a proxy
	idp    *sidecartest.IDP
}

func newProxyBench(b *testing.B) *proxyBench {
	b.Helper()
	app := sidecartest.Serve(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the app") })
	idp := sidecartest.NewIDP(b, "https://idp.example.com")
	s := newSidecar(b)
	port := sidecartest.Port(b)
	s.Start(fmt.Sprintf("%s\nhttp://:%s {\n\treverse_proxy %s\n}\n", idp.Site(s.Sidecar, app, "identity {\n\t\t\trequire\n\t\t}"), port, strings.TrimPrefix(app, "http://")))
	s.quiet()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4 * goroutinesAtOnce}}
	b.Cleanup(client.CloseIdleConnections)
	return &proxyBench{s, client, "http://127.0.0.1:" + port, idp}
}

// token creates a session of the user for the caller and returns its access token; "" where that failed.
func (p *proxyBench) token(caller, user string) string {
	req, _ := http.NewRequest("POST", p.URL+"/auth/sessions", strings.NewReader(`{"user_id":"`+user+`"}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+p.idp.Token(caller, map[string]any{"scope": "sessions:impersonate"}))
	var got struct {
		Token string `json:"access_token"`
	}
	if resp, err := p.client.Do(req); err == nil {
		_ = json.NewDecoder(resp.Body).Decode(&got)
		_ = resp.Body.Close()
	}
	return got.Token
}

// tokens creates sessions of so many users, and returns their access tokens.
func (p *proxyBench) tokens(n int) []string {
	p.t.Helper()
	tokens := make([]string, n)
	var next atomic.Int64
	together(goroutinesAtOnce, n, func() {
		i := next.Add(1) - 1
		user := "user" + strconv.FormatInt(i, 10)
		tokens[i] = p.token(user, user)
	})
	return tokens
}

// warm sends each token to both sites once.
func (p *proxyBench) warm(tokens ...string) {
	p.t.Helper()
	for _, site := range []string{p.plain, p.URL} {
		var next atomic.Int64
		together(goroutinesAtOnce, len(tokens), func() { p.forward(site, tokens[next.Add(1)-1]) })
	}
}

// forward sends a request with the token through a site to the app.
func (p *proxyBench) forward(site, token string) {
	if status, body := p.ask(site, token); status != http.StatusOK || !bytes.Equal(body, []byte("the app")) {
		p.t.Errorf("status %d: %s", status, body)
	}
}

func (p *proxyBench) ask(site, token string) (status int, body []byte) {
	req, _ := http.NewRequest("GET", site+"/app", http.NoBody)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	body, _ = io.ReadAll(resp.Body)
	return resp.StatusCode, body
}

// againstPlain sends b.N requests to both sites, by turns.
func (p *proxyBench) againstPlain(b *testing.B, token func() string) {
	var wall, floorWall, cpu, floorCPU time.Duration
	b.ResetTimer()
	for round := range measuredRounds {
		calls := b.N*(round+1)/measuredRounds - b.N*round/measuredRounds
		start := p.processorTime()
		took, _ := together(goroutinesAtOnce, calls, func() { p.forward(p.plain, token()) })
		between := p.processorTime()
		floorWall, floorCPU = floorWall+took, floorCPU+between-start
		took, _ = together(goroutinesAtOnce, calls, func() { p.forward(p.URL, token()) })
		wall, cpu = wall+took, cpu+p.processorTime()-between
	}
	b.ReportMetric(float64(floorWall)/float64(wall), "x-plain")
	b.ReportMetric(float64(floorCPU)/float64(cpu), "x-cpu")
	b.ReportMetric(float64(b.N)/wall.Seconds(), "requests/s")
}

// flooded sends b.N honest requests without and with a flood of forged tokens, by turns.
func (p *proxyBench) flooded(b *testing.B, honest string) {
	var alone, flooded time.Duration
	var forged atomic.Int64
	b.ResetTimer()
	for round := range measuredRounds {
		calls := b.N*(round+1)/measuredRounds - b.N*round/measuredRounds
		took, _ := together(goroutinesAtOnce, calls, func() { p.forward(p.URL, honest) })
		alone += took
		stop := p.flood(honest, &forged)
		took, _ = together(goroutinesAtOnce, calls, func() { p.forward(p.URL, honest) })
		flooded += took
		stop()
	}
	b.ReportMetric(float64(alone)/float64(flooded), "x-alone")
	b.ReportMetric(float64(forged.Load())/flooded.Seconds(), "forged/s")
}

// flood sends forged tokens, each another, from as many clients as there are honest ones, until stop
// returns.
func (p *proxyBench) flood(token string, sent *atomic.Int64) (stop func()) {
	var group sync.WaitGroup
	var over atomic.Bool
	signed := token[:strings.LastIndexByte(token, '.')+1]
	for range goroutinesAtOnce {
		group.Go(func() {
			for !over.Load() {
				forgery := signed + fmt.Sprintf("%043dA%041dA", sent.Add(1), 1)
				if status, body := p.ask(p.URL, forgery); status != http.StatusUnauthorized {
					p.t.Errorf("a forged token: status %d: %s", status, body)
				}
			}
		})
	}
	return func() { over.Store(true); group.Wait() }
}
