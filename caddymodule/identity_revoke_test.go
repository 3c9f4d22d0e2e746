package caddymodule_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
)

// After the answer to whatever ends a session, its access token is good for nothing.
// Covers S5.
func TestRevoke_HoldsForTheVeryNextRequest(t *testing.T) {
	t.Parallel()
	p := &people{idp: newIDP(t, "https://idp.example.com")}
	s := newSidecar(t, t.TempDir())
	site := p.site(s, echo(t).URL, life+"\n\t\tidentity\n\t\tsession {\n\t\t\tmax_per_user 3\n\t\t}\n\t\trefresh_token {\n\t\t\tgrace 0s\n\t\t}")
	s.start(site)
	alice := p.token("alice", nil)
	desk := p.token("carol", map[string]any{"scope": "sessions:impersonate sessions:manage"})
	own := func() answer { return create(t, s.url, alice, `{"user_id":"alice"}`) }
	imp := func() answer { return create(t, s.url, desk, `{"user_id":"alice","reason":"ticket"}`) }
	for _, c := range []struct {
		way  string
		make func() answer
		end  func(a answer) answer
	}{
		{"one, by its id", own, func(a answer) answer { return s.call("DELETE", "/"+a.text("session_id"), alice, "") }},
		{"sign out by the access token", own, func(a answer) answer { return s.call("DELETE", "/current", a.text("access_token"), "") }},
		{"sign out by the refresh token", own, func(a answer) answer {
			return s.call("DELETE", "/current", "", `{"refresh_token":"`+a.text("refresh_token")+`"}`)
		}},
		{"all of the user", own, func(answer) answer { return s.call("DELETE", "?user_id=alice", alice, "") }},
		{"all of the actor", imp, func(answer) answer { return s.call("DELETE", "?actor=carol", desk, "") }},
		{"all impersonations", imp, func(answer) answer { return s.call("DELETE", "?impersonations=true", desk, "") }},
		{"by the manager", own, func(answer) answer { return s.call("DELETE", "?user_id=alice", desk, "") }},
		{"a used refresh token", own, func(a answer) answer {
			wantStatus(t, s.refresh(a.text("refresh_token")), 200)
			got := s.refresh(a.text("refresh_token"))
			got.status += 200 - 400 // as is right
			return got
		}},
		{"newer ones", own, func(answer) answer { own(); own(); return own() }},
	} {
		t.Run(c.way, func(t *testing.T) {
			a := c.make()
			wantStatus(t, a, 200)
			wantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(a)), 200)
			wantStatus(t, c.end(a), 200)
			if got := s.through("GET", "/app", "Authorization", bearerOf(a)); got.status != 401 {
				t.Errorf("status %d, want 401", got.status)
			}
		})
	}
	// A rule that is gone ends the session when it is refreshed.
	a := imp()
	if err := s.reload(strings.Replace(site, "allow scope sessions:impersonate", "allow scope other", 1)); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(a)), 200)
	wantStatus(t, s.refresh(a.text("refresh_token")), 400)
	wantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(a)), 401)
}

func TestRevoke_HoldsThroughReloadsAndRestarts(t *testing.T) {
	t.Parallel()
	p := &people{idp: newIDP(t, "https://idp.example.com")}
	s := newSidecar(t, t.TempDir())
	site := p.site(s, echo(t).URL, life+"\n\t\tidentity")
	s.start(site)
	alice := p.token("alice", nil)
	var ended []answer
	for range 20 {
		ended = append(ended, create(t, s.url, alice, `{"user_id":"alice"}`))
	}
	wantStatus(t, s.call("DELETE", "/"+ended[0].text("session_id"), alice, ""), 200)
	wantStatus(t, s.call("DELETE", "?user_id=alice", alice, ""), 200)
	again := create(t, s.url, alice, `{"user_id":"alice"}`)
	check := func(when string) {
		t.Helper()
		for i, a := range ended {
			if got := s.through("GET", "/app", "Authorization", bearerOf(a)); got.status != 401 {
				t.Errorf("%s: session %d: status %d, want 401", when, i, got.status)
			}
		}
		wantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(again)), 200)
	}
	check("at once")
	if err := s.reload(site + "\n# again\n"); err != nil {
		t.Fatal(err)
	}
	check("after a reload")
	if err := s.reload(strings.Replace(site, "identity", "identity {\n\t\t\tend_streams\n\t\t}", 1)); err != nil {
		t.Fatal(err)
	}
	check("after a change")
	s.kill()
	s.start(site)
	check("after a kill")
	s.stop()
	s.start(site)
	check("after a restart")
}

func TestRevoke_UnderLoad(t *testing.T) {
	t.Parallel()
	p := &people{idp: newIDP(t, "https://idp.example.com")}
	s := newSidecar(t, t.TempDir())
	site := p.site(s, echo(t).URL, life+"\n\t\tidentity")
	s.start(site)
	alice := p.token("alice", nil)
	// Caddy cuts connections when it reloads: whoever is cut asks again.
	send := func(method, path, authorization string) (got answer) {
		for err := io.EOF; err != nil && !t.Failed(); {
			got, err = s.tryThrough(method, path, "Authorization", authorization)
		}
		return got
	}
	session := func() (got answer) {
		for err := io.EOF; err != nil; {
			got, err = tryCreate(s.url, alice, `{"user_id":"alice"}`)
		}
		return got
	}
	var load sync.WaitGroup
	defer load.Wait()
	var over atomic.Bool
	defer over.Store(true)
	busy := create(t, s.url, p.token("bob", nil), `{"user_id":"bob"}`)
	for range 4 {
		load.Go(func() {
			for !over.Load() {
				if got := send("GET", "/app", bearerOf(busy)); got.status != 200 {
					t.Errorf("a live session: status %d", got.status)
					return
				}
			}
		})
	}
	load.Go(func() {
		for !over.Load() {
			if err := s.reload(site); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 100 {
		a := session()
		wantStatus(t, a, 200)
		wantStatus(t, send("GET", "/app", bearerOf(a)), 200)
		if got := send("DELETE", "/auth/sessions/"+a.text("session_id"), "Bearer "+alice); got.status != 200 && got.status != 404 {
			t.Fatalf("DELETE: status %d", got.status) // 404 where the answer to the first one was cut off
		}
		if got := send("GET", "/app", bearerOf(a)); got.status != 401 {
			t.Fatalf("status %d after the answer to DELETE, want 401", got.status)
		}
	}
}

// The app verifies what it is sent with the keys that it finds below the path, with a
// library that nobody here wrote.
func TestIdentity_Assertion(t *testing.T) {
	t.Parallel()
	p := &people{idp: newIDP(t, "https://idp.example.com")}
	s := newSidecar(t, t.TempDir())
	s.start(p.site(s, echo(t).URL, "identity {\n\t\t\taccept callers\n\t\t\tassertion https://api.example.com\n\t\t}"))
	imp := create(t, s.url, p.token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice"}`)
	wantStatus(t, s.through("GET", "/auth/sessions/jwks.json"), 200)
	if got := s.through("GET", "/auth/sessions/current"); !strings.Contains(got.body, "GET /auth/sessions/current") {
		t.Errorf("without lifecycle, %s", got.body)
	}
	var first string
	for range 5 {
		got := s.through("GET", "/app", "Authorization", bearerOf(imp))
		sent := told(got.body, "Authorization")
		if len(sent) != 1 || !strings.HasPrefix(sent[0], "Bearer ") || sent[0] == bearerOf(imp) {
			t.Fatalf("the app gets %q", sent)
		}
		if first == "" {
			first = sent[0]
		}
		if sent[0] != first {
			t.Error("another assertion for the same token within a minute")
		}
	}
	keys := oidc.NewRemoteKeySet(context.Background(), s.url+"/auth/sessions/jwks.json")
	verifier := oidc.NewVerifier("https://app.example.com", keys, &oidc.Config{ClientID: "https://api.example.com", SupportedSigningAlgs: []string{"ES256"}})
	token, err := verifier.Verify(context.Background(), strings.TrimPrefix(first, "Bearer "))
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Session string            `json:"sid"`
		Actor   map[string]string `json:"act"`
	}
	if err := token.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if token.Subject != "alice" || claims.Actor["sub"] != "carol" || claims.Session != imp.text("session_id") || token.Expiry.Sub(token.IssuedAt).Seconds() != 60 {
		t.Errorf("assertion %+v, %+v", token, claims)
	}
	// It opens nothing here.
	wantStatus(t, s.through("GET", "/app", "Authorization", first), 401)
	wantStatus(t, create(t, s.url, strings.TrimPrefix(first, "Bearer "), `{"user_id":"alice"}`), 401)
	// A caller's own token is replaced too; whoever is not known goes as he came.
	got := s.through("GET", "/app", "Authorization", "Bearer "+p.token("bob", nil))
	if sent := told(got.body, "Authorization"); len(sent) != 1 || decodePart(t, strings.TrimPrefix(sent[0], "Bearer "), 1)["sub"] != "bob" {
		t.Errorf("the app gets %q", sent)
	}
	wantTold(t, s.through("GET", "/app", "Authorization", "Basic YTpi"), "Authorization", "Basic YTpi")
}

// The same over HTTP/2, with and without TLS.
func TestU1_U2_OverHTTP2(t *testing.T) {
	t.Parallel()
	p := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.words = "\tservers {\n\t\tprotocols h1 h2 h2c\n\t}\n"
	site := p.site(s, echo(t).URL, life+"\n\t\tidentity")
	secure := freePort(t)
	s.start(site + "\n" + strings.Replace(site, "SITE {", "https://localhost:"+secure+" {\n\ttls internal {\n\t\ton_demand\n\t}", 1))
	own := create(t, s.url, p.token("alice", nil), `{"user_id":"alice"}`)
	for name, c := range map[string]struct {
		base string
		tls  *tls.Config
	}{
		"h2c": {s.url, nil},
		"h2":  {"https://localhost:" + secure, &tls.Config{InsecureSkipVerify: true}},
	} {
		var protocols http.Protocols
		protocols.SetHTTP2(true)
		protocols.SetUnencryptedHTTP2(c.tls == nil)
		transport := &http.Transport{Protocols: &protocols, TLSClientConfig: c.tls, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(address)
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		}}
		defer transport.CloseIdleConnections()
		for _, credential := range []string{"", bearerOf(own)} {
			req, err := http.NewRequest("POST", c.base+"/app", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = -1
			req.Header = http.Header{
				"X-Auth-User": {"root", "admin"}, "X_auth_user": {"root"}, "X.auth.user": {"root"}, "Te": {"trailers"},
			}
			req.Trailer = http.Header{"X-Auth-User": {"root"}}
			want := ""
			if credential != "" {
				req.Header.Set("Authorization", credential)
				want = "alice"
			}
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := readAnswer(resp)
			if err != nil {
				t.Fatal(err)
			}
			if resp.ProtoMajor != 2 || got.status != 200 {
				t.Fatalf("%s: %s %d: %s", name, resp.Proto, got.status, got.body)
			}
			for _, header := range []string{"X_Auth_User", "X.Auth.User", "Trailer"} {
				wantTold(t, got, header, "")
			}
			wantTold(t, got, "X-Auth-User", want)
		}
	}
}
