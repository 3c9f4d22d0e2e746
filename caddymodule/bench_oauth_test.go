package caddymodule_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// oauthMember configures a client by the SHA-256 of gatewaySecret.
const oauthMember = `"oauth":{"clients":[{"id":"my-app","public":true},{"id":"gateway","secret_sha256":["0cdb1e22dcea799b7a15a500f4f5fb34d9526012899c897ef018964f6263761b"]}]}`

// BenchmarkOAuth measures the OAuth endpoints against what they stand beside. refresh is whole
// refreshes as in BenchmarkRefresh, and x-floor what one takes over one on /auth/sessions.
// introspect is that of a warm access token by a client with a secret, and x-identity what it takes
// over the identity check of a forwarded request, both without what making the request costs.
func BenchmarkOAuth(b *testing.B) {
	b.Run("refresh", func(b *testing.B) {
		s := newBench(b, benchDir(b), `"lifecycle":true`, oauthMember)
		target := url.URL{Path: "/oauth/token"}
		byForm := s.refreshing(b, func(token []byte) []byte {
			return s.exchangeAs(&target, "application/x-www-form-urlencoded", "", append([]byte("grant_type=refresh_token&client_id=my-app&refresh_token="), token...))
		})
		sessions := url.URL{Path: "/auth/sessions/current/refresh"}
		byJSON := s.refreshing(b, func(token []byte) []byte {
			return s.exchangeAs(&sessions, "application/json", "", append(append([]byte(`{"refresh_token":"`), token...), `"}`...))
		})
		against(b, func() {
			if !byJSON() {
				panic("no successor")
			}
		}, byForm)
	})
	b.Run("introspect", benchIntrospect)
}

// refreshing returns what refreshes one of the sessions of the client my-app, each by its newest
// token.
func (s *bench) refreshing(b *testing.B, refresh func(token []byte) []byte) func() bool {
	b.Helper()
	tokens := make(chan []byte, goroutinesAtOnce)
	create := url.URL{Path: "/auth/sessions"}
	desk := "Bearer " + s.idp.Token("desk", map[string]any{"scope": "sessions:impersonate"})
	for range goroutinesAtOnce {
		token := s.exchangeAs(&create, "application/json", desk, []byte(`{"user_id":"user","client_id":"my-app"}`))
		if token == nil {
			b.Fatal("no session")
		}
		tokens <- token
	}
	return func() bool {
		next := refresh(<-tokens)
		tokens <- next
		return next != nil
	}
}

func benchIntrospect(b *testing.B) {
	s := newBench(b, b.TempDir(), `"identity":{"require":true}`, oauthMember)
	token := s.accessToken(b, "alice")
	app, introspect := &url.URL{Path: "/api/v1/tasks"}, &url.URL{Path: "/oauth/introspect"}
	credentials := "Basic " + base64.StdEncoding.EncodeToString([]byte("gateway:"+gatewaySecret))
	w := &statusWriter{header: make(http.Header, 8)}
	serve := func(r *http.Request) {
		w.status = 0
		if err := s.handler.ServeHTTP(w, r, nothing); err != nil || w.status != 0 && w.status != http.StatusOK {
			b.Fatalf("%d %v", w.status, err)
		}
	}
	forwarded := func() *http.Request { return arrival(app, "Bearer "+token) }
	asked := func() *http.Request {
		body := "token=" + token
		vars := map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1"}
		ctx := context.WithValue(context.Background(), caddyhttp.VarsCtxKey, vars)
		ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
		header := http.Header{"Authorization": {credentials}, "Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}, "User-Agent": {"rs"}}
		return (&http.Request{Method: "POST", Host: "app.example.com", URL: introspect, Header: header, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}).WithContext(ctx)
	}
	serve(forwarded())
	serve(asked())
	steps := [...]func(){func() { forwarded() }, func() { serve(forwarded()) }, func() { asked() }, func() { serve(asked()) }}
	var spent [len(steps)]time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for round := range measuredRounds {
		calls := b.N*(round+1)/measuredRounds - b.N*round/measuredRounds
		for i, step := range steps {
			_, cpu := together(1, calls, step)
			spent[i] += cpu
		}
	}
	b.ReportMetric(float64(spent[3]-spent[2])/float64(spent[1]-spent[0]), "x-identity")
	b.ReportMetric(float64((spent[1]-spent[0]).Nanoseconds())/float64(b.N), "ns-identity/op")
}
