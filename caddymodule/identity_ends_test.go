package caddymodule_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// What the operator ends, at the admin endpoint or by a command, is over with the next
// request too.
func TestRevoke_ByTheOperator(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "")
	s.awaitInForce()
	own := func() answer { return create(t, s.url, p.token("alice", nil), `{"user_id":"alice"}`) }
	imp := func() answer {
		return create(t, s.url, p.token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice"}`)
	}
	for _, c := range []struct {
		way  string
		make func() answer
		end  func(a answer)
	}{
		{"one, at the endpoint", own, func(a answer) { wantStatus(t, s.ask("DELETE", "sessions/"+a.text("session_id")), 200) }},
		{"of the user, at the endpoint", own, func(answer) { wantStatus(t, s.ask("DELETE", "sessions?user_id=alice"), 200) }},
		{"of the actor, at the endpoint", imp, func(answer) { wantStatus(t, s.ask("DELETE", "sessions?actor=carol"), 200) }},
		{"impersonations, at the endpoint", imp, func(answer) { wantStatus(t, s.ask("DELETE", "sessions?impersonations=true"), 200) }},
		{"one, by command", own, func(a answer) { s.adminCommand("revoke", "--yes", "--", a.text("session_id")) }},
		{"of the user, by command", own, func(answer) { s.adminCommand("revoke", "--yes", "--user", "alice") }},
		{"of the actor, by command", imp, func(answer) { s.adminCommand("revoke", "--yes", "--actor", "carol") }},
		{"impersonations, by command", imp, func(answer) { s.adminCommand("revoke", "--yes", "--impersonations") }},
	} {
		t.Run(c.way, func(t *testing.T) {
			a := c.make()
			wantStatus(t, a, 200)
			wantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(a)), 200)
			c.end(a)
			got := s.through("GET", "/app", "Authorization", bearerOf(a))
			wantStatus(t, got, 401)
			if challenge := got.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, `Bearer error="invalid_token"`) {
				t.Errorf("challenge %q", challenge)
			}
		})
	}
	// Others go on.
	wantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(own())), 200)
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
			token := p.token(user, nil)
			a, err := tryCreate(s.url, token, `{"user_id":"`+user+`"}`)
			if err != nil || a.status != 200 {
				t.Errorf("creating: %v %d", err, a.status)
				return
			}
			var ended atomic.Bool
			var use sync.WaitGroup
			for range 2 {
				use.Go(func() {
					for range requests {
						before := ended.Load()
						got, err := s.tryThrough("GET", "/app", "Authorization", bearerOf(a))
						if err != nil || got.status != 200 && got.status != 401 || before && got.status != 401 {
							t.Errorf("ended before the request: %t; %v, status %d", before, err, got.status)
							return
						}
						if got.status == 200 && len(told(got.body, "X-Auth-User")) != 1 {
							t.Errorf("the app was told %q", told(got.body, "X-Auth-User"))
						}
					}
				})
			}
			query := "/" + a.text("session_id")
			if n%2 == 0 {
				query = "?user_id=" + user
			}
			got := s.call("DELETE", query, token, "")
			ended.Store(true)
			if got.status != 200 {
				t.Errorf("ending: %d", got.status)
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
	p := &people{idp: newIDP(t, "https://idp.example.com")}
	s := newSidecar(t, t.TempDir())
	s.start(p.site(s, echo(t).URL, life+"\n\t\tstore test_switch DIR/down\n\t\tidentity {\n\t\t\trequire\n\t\t\tassertion\n\t\t}"))
	alice := p.token("alice", nil)
	kept, gone := create(t, s.url, alice, `{"user_id":"alice"}`), create(t, s.url, alice, `{"user_id":"alice"}`)
	imp := create(t, s.url, p.token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice"}`)
	wantStatus(t, s.call("DELETE", "/"+gone.text("session_id"), alice, ""), 200)
	if err := os.WriteFile(s.dir+"/down", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, s.call("DELETE", "/"+kept.text("session_id"), alice, ""), 503)
	for range 3 {
		wantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(kept)), 200)
		wantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(imp)), 200)
		wantStatus(t, s.through("GET", "/app", "Authorization", bearerOf(gone)), 401)
	}
}

// Who asks at once with a token that nobody has seen yet shares one assertion.
func TestIdentity_OneAssertionForAllWhoAskAtOnce(t *testing.T) {
	t.Parallel()
	s, p := identitySite(t, "accept callers\n\t\t\tassertion")
	for n := range 10 {
		token := "Bearer " + p.token(fmt.Sprint("user", n), nil)
		var group sync.WaitGroup
		var sent sync.Map
		for range 20 {
			group.Go(func() {
				got, err := s.tryThrough("GET", "/app", "Authorization", token)
				if err != nil || got.status != 200 {
					t.Errorf("%v, status %d", err, got.status)
					return
				}
				sent.Store(strings.Join(told(got.body, "Authorization"), "|"), true)
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
