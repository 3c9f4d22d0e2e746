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

	"authsidecar/caddymodule/internal/sidecartest"
)

// After the answer to whatever ends a session, its access token is good for nothing.
// Covers S5.
func TestRevoke_HoldsForTheVeryNextRequest(t *testing.T) {
	t.Parallel()
	p := &people{IDP: sidecartest.NewIDP(t, "https://idp.example.com")}
	s := newSidecar(t)
	site := p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity\n\t\tsession {\n\t\t\tmax_per_user 3\n\t\t}\n\t\trefresh_token {\n\t\t\tgrace 0s\n\t\t}")
	s.Start(site)
	alice := p.Token("alice", nil)
	desk := p.Token("carol", map[string]any{"scope": "sessions:impersonate sessions:manage"})
	own := func() sidecartest.Answer { return s.Create(alice, `{"user_id":"alice"}`) }
	imp := func() sidecartest.Answer { return s.Create(desk, `{"user_id":"alice","reason":"ticket"}`) }
	for _, c := range []struct {
		way  string
		make func() sidecartest.Answer
		end  func(a sidecartest.Answer) sidecartest.Answer
	}{
		{"one, by its id", own, func(a sidecartest.Answer) sidecartest.Answer {
			return s.Call("DELETE", "/"+a.Text("session_id"), alice, "")
		}},
		{"sign out by the access token", own, func(a sidecartest.Answer) sidecartest.Answer {
			return s.Call("DELETE", "/current", a.Text("access_token"), "")
		}},
		{"sign out by the refresh token", own, func(a sidecartest.Answer) sidecartest.Answer {
			return s.Call("DELETE", "/current", "", `{"refresh_token":"`+a.Text("refresh_token")+`"}`)
		}},
		{"all of the user", own, func(sidecartest.Answer) sidecartest.Answer { return s.Call("DELETE", "?user_id=alice", alice, "") }},
		{"all of the actor", imp, func(sidecartest.Answer) sidecartest.Answer { return s.Call("DELETE", "?actor=carol", desk, "") }},
		{"all impersonations", imp, func(sidecartest.Answer) sidecartest.Answer { return s.Call("DELETE", "?impersonations=true", desk, "") }},
		{"by the manager", own, func(sidecartest.Answer) sidecartest.Answer { return s.Call("DELETE", "?user_id=alice", desk, "") }},
		{"a used refresh token", own, func(a sidecartest.Answer) sidecartest.Answer {
			sidecartest.WantStatus(t, s.Refresh(a.Text("refresh_token")), 200)
			got := s.Refresh(a.Text("refresh_token"))
			got.Status += 200 - 400 // as is right
			return got
		}},
		{"newer ones", own, func(sidecartest.Answer) sidecartest.Answer { own(); own(); return own() }},
	} {
		t.Run(c.way, func(t *testing.T) {
			a := c.make()
			sidecartest.WantStatus(t, a, 200)
			sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(a)), 200)
			sidecartest.WantStatus(t, c.end(a), 200)
			if got := s.through("GET", "/app", "Authorization", bearerOf(a)); got.Status != 401 {
				t.Errorf("status %d, want 401", got.Status)
			}
		})
	}
	// A rule that is gone ends the session when it is refreshed.
	a := imp()
	if err := s.Reload(strings.Replace(site, "allow scope sessions:impersonate", "allow scope other", 1)); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(a)), 200)
	sidecartest.WantStatus(t, s.Refresh(a.Text("refresh_token")), 400)
	sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(a)), 401)
}

func TestRevoke_HoldsThroughReloadsAndRestarts(t *testing.T) {
	t.Parallel()
	p := &people{IDP: sidecartest.NewIDP(t, "https://idp.example.com")}
	s := newSidecar(t)
	site := p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity")
	s.Start(site)
	alice := p.Token("alice", nil)
	var ended []sidecartest.Answer
	for range 20 {
		ended = append(ended, s.Create(alice, `{"user_id":"alice"}`))
	}
	sidecartest.WantStatus(t, s.Call("DELETE", "/"+ended[0].Text("session_id"), alice, ""), 200)
	sidecartest.WantStatus(t, s.Call("DELETE", "?user_id=alice", alice, ""), 200)
	again := s.Create(alice, `{"user_id":"alice"}`)
	check := func(when string) {
		t.Helper()
		for i, a := range ended {
			if got := s.through("GET", "/app", "Authorization", bearerOf(a)); got.Status != 401 {
				t.Errorf("%s: session %d: status %d, want 401", when, i, got.Status)
			}
		}
		sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(again)), 200)
	}
	check("at once")
	if err := s.Reload(site + "\n# again\n"); err != nil {
		t.Fatal(err)
	}
	check("after a reload")
	if err := s.Reload(strings.Replace(site, "identity", "identity {\n\t\t\tend_streams\n\t\t}", 1)); err != nil {
		t.Fatal(err)
	}
	check("after a change")
	s.Kill()
	s.Start(site)
	check("after a kill")
	s.Stop()
	s.Start(site)
	check("after a restart")
}

func TestRevoke_UnderLoad(t *testing.T) {
	t.Parallel()
	p := &people{IDP: sidecartest.NewIDP(t, "https://idp.example.com")}
	s := newSidecar(t)
	site := p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity")
	s.Start(site)
	alice := p.Token("alice", nil)
	// Caddy cuts connections when it reloads: whoever is cut asks again.
	send := func(method, path, authorization string) (got sidecartest.Answer) {
		for err := io.EOF; err != nil && !t.Failed(); {
			got, err = s.tryThrough(method, path, "Authorization", authorization)
		}
		return got
	}
	session := func() (got sidecartest.Answer) {
		for err := io.EOF; err != nil; {
			got, err = s.TryCreate(alice, `{"user_id":"alice"}`)
		}
		return got
	}
	var load sync.WaitGroup
	defer load.Wait()
	var over atomic.Bool
	defer over.Store(true)
	busy := s.Create(p.Token("bob", nil), `{"user_id":"bob"}`)
	for range 4 {
		load.Go(func() {
			for !over.Load() {
				if got := send("GET", "/app", bearerOf(busy)); got.Status != 200 {
					t.Errorf("a live session: status %d", got.Status)
					return
				}
			}
		})
	}
	load.Go(func() {
		for !over.Load() {
			if err := s.Reload(site); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 100 {
		a := session()
		sidecartest.WantStatus(t, a, 200)
		sidecartest.WantStatus(t, send("GET", "/app", bearerOf(a)), 200)
		if got := send("DELETE", "/auth/sessions/"+a.Text("session_id"), "Bearer "+alice); got.Status != 200 && got.Status != 404 {
			t.Fatalf("DELETE: status %d", got.Status) // 404 where the answer to the first one was cut off
		}
		if got := send("GET", "/app", bearerOf(a)); got.Status != 401 {
			t.Fatalf("status %d after the answer to DELETE, want 401", got.Status)
		}
	}
}

// The app verifies what it is sent with the keys that it finds below the path, with a
// library that nobody here wrote.
func TestIdentity_Assertion(t *testing.T) {
	t.Parallel()
	p := &people{IDP: sidecartest.NewIDP(t, "https://idp.example.com")}
	s := newSidecar(t)
	s.Start(p.Site(s.Sidecar, sidecartest.Echo(t), "identity {\n\t\t\taccept callers\n\t\t\tassertion https://api.example.com\n\t\t}"))
	imp := s.Create(p.Token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, s.through("GET", "/auth/sessions/jwks.json"), 200)
	if got := s.through("GET", "/auth/sessions/current"); !strings.Contains(got.Body, "GET /auth/sessions/current") {
		t.Errorf("without lifecycle, %s", got.Body)
	}
	var first string
	for range 5 {
		got := s.through("GET", "/app", "Authorization", bearerOf(imp))
		sent := told(got.Body, "Authorization")
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
	keys := oidc.NewRemoteKeySet(context.Background(), s.URL+"/auth/sessions/jwks.json")
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
	if token.Subject != "alice" || claims.Actor["sub"] != "carol" || claims.Session != imp.Text("session_id") || token.Expiry.Sub(token.IssuedAt).Seconds() != 60 {
		t.Errorf("assertion %+v, %+v", token, claims)
	}
	// It opens nothing here.
	sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", first), 401)
	sidecartest.WantStatus(t, s.Create(strings.TrimPrefix(first, "Bearer "), `{"user_id":"alice"}`), 401)
	// A caller's own token is replaced too; whoever is not known goes as he came.
	got := s.through("GET", "/app", "Authorization", "Bearer "+p.Token("bob", nil))
	if sent := told(got.Body, "Authorization"); len(sent) != 1 || sidecartest.Part(t, strings.TrimPrefix(sent[0], "Bearer "), 1)["sub"] != "bob" {
		t.Errorf("the app gets %q", sent)
	}
	wantTold(t, s.through("GET", "/app", "Authorization", "Basic YTpi"), "Authorization", "Basic YTpi")
}

// The same over HTTP/2, with and without TLS.
func TestU1_U2_OverHTTP2(t *testing.T) {
	t.Parallel()
	p := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Global = "\tservers {\n\t\tprotocols h1 h2 h2c\n\t}\n"
	site := p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity")
	secure := sidecartest.Port(t)
	s.Start(site + "\n" + strings.Replace(site, "SITE {", "https://localhost:"+secure+" {\n\ttls internal {\n\t\ton_demand\n\t}", 1))
	own := s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
	for name, c := range map[string]struct {
		base string
		tls  *tls.Config
	}{
		"h2c": {s.URL, nil},
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
			defer resp.Body.Close()
			got, err := sidecartest.Read(resp)
			if err != nil {
				t.Fatal(err)
			}
			if resp.ProtoMajor != 2 || got.Status != 200 {
				t.Fatalf("%s: %s %d: %s", name, resp.Proto, got.Status, got.Body)
			}
			for _, header := range []string{"X_Auth_User", "X.Auth.User", "Trailer"} {
				wantTold(t, got, header, "")
			}
			wantTold(t, got, "X-Auth-User", want)
		}
	}
}
