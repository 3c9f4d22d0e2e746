package caddymodule_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// loadClients is how many clients a load has.
const loadClients = 32

// A load is what clients of the real process do over HTTP. Its log is not kept.
type load struct {
	*sidecar
	config              string
	desk, boss, gateway string // Authorization of a service, a manager and an OAuth client
}

func newLoad(b *testing.B, store string) *load {
	s := newSidecar(b)
	provider := sidecartest.NewIDP(b, "https://idp.example.com")
	s.Env = append(s.Env, "GATEWAY_SECRET="+gatewaySecret)
	s.Client.Transport = &http.Transport{MaxIdleConnsPerHost: loadClients}
	config := s.Render(provider.Site(s.Sidecar, "127.0.0.1:1", oauthWords+"\n\t\tmanage scope admin\n\t\t"+store))
	return &load{
		sidecar: s, config: s.Write("Caddyfile", strings.Replace(config, "level DEBUG", "exclude http.handlers.auth_sessions", 1)),
		desk:    "Bearer " + provider.Token("desk", map[string]any{"scope": "sessions:impersonate"}),
		boss:    "Bearer " + provider.Token("boss", map[string]any{"scope": "admin"}),
		gateway: "Basic " + base64.StdEncoding.EncodeToString([]byte("gateway:"+gatewaySecret)),
	}
}

// start runs the process.
func (l *load) start() {
	l.StartCommand(l.Command("run", "--config", l.config, "--adapter", "caddyfile"))
}

// many does something so many times, by as many clients as a load has. n is the how manieth it is.
func (l *load) many(times int, do func(n int)) {
	var next atomic.Int64
	together(loadClients, times, func() { do(int(next.Add(1))) })
}

// create creates a session of the service for a user, and returns its tokens.
func (l *load) create(n int) (access, refresh string) {
	body := l.must("POST", "/auth/sessions", l.desk, "application/json", fmt.Sprintf(`{"user_id":"user%d","reason":"ticket"}`, n))
	return member(body, "access_token"), member(body, "refresh_token")
}

// refresh presents a refresh token, and returns the tokens of the answer.
func (l *load) refresh(token string) (access, refresh string) {
	body := l.must("POST", "/auth/sessions/current/refresh", "", "application/json", `{"refresh_token":"`+token+`"}`)
	return member(body, "access_token"), member(body, "refresh_token")
}

// list lists so many pages of all impersonations.
func (l *load) list(pages, limit int) {
	for cursor := ""; pages > 0; pages-- {
		page := l.must("GET", fmt.Sprintf("/auth/sessions?impersonations=true&limit=%d%s", limit, cursor), l.boss, "", "")
		next := member(page, "next_cursor")
		if next == "" {
			return
		}
		cursor = "&cursor=" + next
	}
}

// revokeImpersonations ends all impersonations, and returns when so many rows are revoked, which may
// take five minutes.
func (l *load) revokeImpersonations(rows int) {
	l.t.Helper()
	l.must("DELETE", "/auth/sessions?impersonations=true", l.boss, "", "")
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		revoked := number(l.scrape()[`auth_sessions_deny_list_size{realm="https://app.example.com"}`])
		if revoked >= float64(rows) {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("%.0f of %d rows are revoked", revoked, rows)
		}
	}
}

// introspect asks about an access token.
func (l *load) introspect(token string) {
	l.must("POST", "/oauth/introspect", l.gateway, "application/x-www-form-urlencoded", "token="+token)
}

// must sends a request, and returns the body of the answer, which is 200.
func (l *load) must(method, path, authorization, contentType, body string) string {
	req, err := http.NewRequest(method, l.URL+path, strings.NewReader(body))
	if err != nil {
		l.t.Error(err)
		return ""
	}
	for name, value := range map[string]string{"Authorization": authorization, "Content-Type": contentType} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := l.Client.Do(req)
	if err != nil {
		l.t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		panic(fmt.Sprintf("%s %s: %d %s %v", method, path, resp.StatusCode, text, err))
	}
	return string(text)
}

// member returns a member of a JSON object that is text without escapes.
func member(object, name string) string {
	_, rest, _ := strings.Cut(object, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
