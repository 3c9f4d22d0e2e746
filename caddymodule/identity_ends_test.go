package caddymodule_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// What the operator ends, at the admin endpoint or by a command, is over with the next
// request too.
func TestRevoke_ByTheOperator(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "")
	own := func() sidecartest.Answer { return s.Create(p.Token("alice", nil), `{"user_id":"alice"}`) }
	imp := func() sidecartest.Answer {
		return s.Create(p.Token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice"}`)
	}
	for _, c := range []struct {
		way  string
		make func() sidecartest.Answer
		end  func(a sidecartest.Answer)
	}{
		{"one, at the endpoint", own, func(a sidecartest.Answer) {
			sidecartest.WantStatus(t, s.Ask("DELETE", "sessions/"+a.Text("session_id")), 200)
		}},
		{"of the user, at the endpoint", own, func(sidecartest.Answer) { sidecartest.WantStatus(t, s.Ask("DELETE", "sessions?user_id=alice"), 200) }},
		{"of the actor, at the endpoint", imp, func(sidecartest.Answer) { sidecartest.WantStatus(t, s.Ask("DELETE", "sessions?actor=carol"), 200) }},
		{"impersonations, at the endpoint", imp, func(sidecartest.Answer) {
			sidecartest.WantStatus(t, s.Ask("DELETE", "sessions?impersonations=true"), 200)
		}},
		{"one, by command", own, func(a sidecartest.Answer) { s.MustSessions("revoke", "--yes", "--", a.Text("session_id")) }},
		{"of the user, by command", own, func(sidecartest.Answer) { s.MustSessions("revoke", "--yes", "--user", "alice") }},
		{"of the actor, by command", imp, func(sidecartest.Answer) { s.MustSessions("revoke", "--yes", "--actor", "carol") }},
		{"impersonations, by command", imp, func(sidecartest.Answer) { s.MustSessions("revoke", "--yes", "--impersonations") }},
	} {
		t.Run(c.way, func(t *testing.T) {
			a := c.make()
			sidecartest.WantStatus(t, a, 200)
			sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(a)), 200)
			c.end(a)
			got := s.through("GET", "/app", "Authorization", bearerOf(a))
			sidecartest.WantStatus(t, got, 401)
			if challenge := got.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, `Bearer error="invalid_token"`) {
				t.Errorf("challenge %q", challenge)
			}
		})
	}
	// Others go on.
	sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(own())), 200)
}

// Many sessions end while they are all in use: each by its own call, one in two by those
// of its user. None passes after the answer.
func TestRevoke_OfSessionsInUse(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "require")
	const users, requests = 16, 200
	var group sync.WaitGroup
	for n := range users {
		group.Go(func() {
			user := fmt.Sprint("user", n)
			token := p.Token(user, nil)
			a, err := s.TryCreate(token, `{"user_id":"`+user+`"}`)
			if err != nil || a.Status != 200 {
				t.Errorf("creating: %v %d", err, a.Status)
				return
			}
			var ended atomic.Bool
			var use sync.WaitGroup
			for range 2 {
				use.Go(func() {
					for range requests {
						before := ended.Load()
						got, err := s.tryThrough("GET", "/app", "Authorization", bearerOf(a))
						if err != nil || got.Status != 200 && got.Status != 401 || before && got.Status != 401 {
							t.Errorf("ended before the request: %t; %v, status %d", before, err, got.Status)
							return
						}
						if got.Status == 200 && len(told(got.Body, "X-Auth-User")) != 1 {
							t.Errorf("the app was told %q", told(got.Body, "X-Auth-User"))
						}
					}
				})
			}
			query := "/" + a.Text("session_id")
			if n%2 == 0 {
				query = "?user_id=" + user
			}
			got := s.Call("DELETE", query, token, "")
			ended.Store(true)
			if got.Status != 200 {
				t.Errorf("ending: %d", got.Status)
			}
			use.Wait()
		})
	}
	group.Wait()
}

// The app's requests are answered from memory, those of a token that is seen for the
// first time too: the store may be down.
func TestIdentity_AsksNoStore(t *testing.T) {
	t.Parallel()
	p := &people{IDP: sidecartest.NewIDP(t, "https://idp.example.com")}
	s := newSidecar(t)
	s.Start(p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tstore test_switch DIR/down\n\t\tidentity {\n\t\t\trequire\n\t\t\tassertion\n\t\t}"))
	alice := p.Token("alice", nil)
	kept, gone := s.Create(alice, `{"user_id":"alice"}`), s.Create(alice, `{"user_id":"alice"}`)
	imp := s.Create(p.Token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, s.Call("DELETE", "/"+gone.Text("session_id"), alice, ""), 200)
	if err := os.WriteFile(s.Dir+"/down", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, s.Call("DELETE", "/"+kept.Text("session_id"), alice, ""), 503)
	for range 3 {
		sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(kept)), 200)
		sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(imp)), 200)
		sidecartest.WantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(gone)), 401)
	}
}

// Who asks at once with a token that nobody has seen yet shares one assertion.
func TestIdentity_OneAssertionForAllWhoAskAtOnce(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "accept callers\n\t\t\tassertion")
	for n := range 10 {
		token := "Bearer " + p.Token(fmt.Sprint("user", n), nil)
		var group sync.WaitGroup
		var sent sync.Map
		for range 20 {
			group.Go(func() {
				got, err := s.tryThrough("GET", "/app", "Authorization", token)
				if err != nil || got.Status != 200 {
					t.Errorf("%v, status %d", err, got.Status)
					return
				}
				sent.Store(strings.Join(told(got.Body, "Authorization"), "|"), true)
			})
		}
		group.Wait()
		different := 0
		sent.Range(func(any, any) bool { different++; return true })
		if different != 1 {
			t.Errorf("token %d: %d assertions", n, different)
		}
	}
}
