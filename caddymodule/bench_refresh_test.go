package caddymodule_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// BenchmarkRefresh measures whole refreshes through the handler, with fsync, at
// 64 goroutines, each with a session of its own whose live refresh token it
// presents. x-floor is as in BenchmarkCreate; the floor here is an Ed25519
// verification, an Ed25519 and an ES256 signature. AUTHSIDECAR_BENCH_ROWS
// sessions are stored before.
//
// retry is the token before the live one, in the grace period: nothing is
// stored.
func BenchmarkRefresh(b *testing.B) {
	dir := benchDir(b)
	fill(b, dir)
	b.Run("live", func(b *testing.B) { benchRefresh(b, newBench(b, dir, `"lifecycle":true`), false) })
	b.Run("retry", func(b *testing.B) { benchRefresh(b, newBench(b, dir, `"lifecycle":true`), true) })
}

// benchRefresh follows chains of refresh tokens, or stays at their first.
func benchRefresh(b *testing.B, s *bench, stay bool) {
	tokens := make(chan []byte, goroutinesAtOnce)
	create, refresh := url.URL{Path: "/auth/sessions"}, url.URL{Path: "/auth/sessions/current/refresh"}
	desk := "Bearer " + s.idp.Token("desk", map[string]any{"scope": "sessions:impersonate"})
	for i := range goroutinesAtOnce {
		token := s.exchange(&create, desk, fmt.Appendf(nil, `{"user_id":"user%d"}`, i))
		if token == nil {
			b.Fatal("no session")
		}
		tokens <- token
	}
	against(b, rawRefresh(b), func() bool {
		token := <-tokens
		body := append(append([]byte(`{"refresh_token":"`), token...), `"}`...)
		next := s.exchange(&refresh, "", body)
		if stay {
			tokens <- token
		} else {
			tokens <- next
		}
		return next != nil
	})
}

// exchange hands a request to the handler and returns the refresh token of the
// answer, or nothing.
func (s *bench) exchange(target *url.URL, authorization string, body []byte) []byte {
	return s.exchangeAs(target, "application/json", authorization, body)
}

// exchangeAs is exchange with a body of another type.
func (s *bench) exchangeAs(target *url.URL, contentType, authorization string, body []byte) []byte {
	ctx := context.WithValue(context.Background(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1"})
	header := http.Header{"Content-Type": {contentType}}
	if authorization != "" {
		header["Authorization"] = []string{authorization}
	}
	r := (&http.Request{
		Method: "POST", URL: target, Header: header, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}).WithContext(ctx)
	w := bodyWriter{statusWriter: statusWriter{header: make(http.Header, 8)}}
	if err := s.handler.ServeHTTP(&w, r, nothing); err != nil || w.status != http.StatusOK {
		return nil
	}
	_, rest, _ := bytes.Cut(w.body, []byte(`"refresh_token":"`))
	token, _, found := bytes.Cut(rest, []byte(`"`))
	if !found {
		return nil
	}
	return token
}

type bodyWriter struct {
	statusWriter
	body []byte
}

func (w *bodyWriter) Write(p []byte) (int, error) {
	w.body = append(w.body, p...)
	return len(p), nil
}

// rawRefresh is the cryptography of a refresh as one writes it that verifies, signs and signs. Ours
// signs three times instead (jose.Token.VerifyOwn), which takes less.
func rawRefresh(b *testing.B) func() {
	b.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	signature := ed25519.Sign(private, rawMessage)
	return func() {
		if !ed25519.Verify(public, rawMessage, signature) {
			panic("cannot be")
		}
		ed25519.Sign(private, rawMessage)
		digest := sha256.Sum256(rawMessage)
		_, _ = ecdsa.SignASN1(rand.Reader, ec, digest[:])
	}
}
