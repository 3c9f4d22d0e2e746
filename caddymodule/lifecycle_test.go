package caddymodule_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// Covers O12.
func TestLife_CreateRefreshListRevoke(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	alice := provider.Token("alice", nil)

	first := s.Create(alice, `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, first, 200)
	second := s.Refresh(first.Text("refresh_token"))
	sidecartest.WantStatus(t, second, 200)
	sidecartest.WantFields(t, second, map[string]any{"session_id": first.Fields["session_id"], "user_id": "alice", "refresh_expires_at": first.Fields["refresh_expires_at"]})
	if second.Text("refresh_token") == first.Text("refresh_token") {
		t.Error("the refresh token did not rotate")
	}
	retry := s.Refresh(first.Text("refresh_token"))
	sidecartest.WantStatus(t, retry, 200)
	if retry.Text("refresh_token") != second.Text("refresh_token") {
		t.Error("a retry within the grace period got another successor")
	}

	current := s.Call("GET", "/current", second.Text("access_token"), "")
	sidecartest.WantStatus(t, current, 200)
	sidecartest.WantFields(t, current, map[string]any{"id": first.Fields["session_id"], "is_current": true, "actor": nil, "ip": "127.0.0.1"})
	if strings.Contains(current.Body, "eyJ") || len(current.Fields) != 13 {
		t.Errorf("a listed session: %s", current.Body)
	}

	list := s.Call("GET", "", alice, "")
	sidecartest.WantStatus(t, list, 200)
	if items := list.Fields["items"].([]any); len(items) != 1 || list.Fields["next_cursor"] != nil {
		t.Errorf("list %s", list.Body)
	}

	id := first.Text("session_id")
	sidecartest.WantStatus(t, s.Call("GET", "/"+id, alice, ""), 200)
	sidecartest.WantProblem(t, s.Call("GET", "/"+id, provider.Token("bob", nil), ""), 404, "not_found")
	sidecartest.WantProblem(t, s.Call("DELETE", "/"+id, provider.Token("bob", nil), ""), 404, "not_found")
	gone := s.Call("DELETE", "/"+id, second.Text("access_token"), "")
	sidecartest.WantStatus(t, gone, 200)
	sidecartest.WantFields(t, gone, map[string]any{"success": true})
	sidecartest.WantProblem(t, s.Refresh(second.Text("refresh_token")), 400, "invalid_grant")
	sidecartest.WantProblem(t, s.Call("GET", "/current", second.Text("access_token"), ""), 401, "invalid_token")
	sidecartest.WantProblem(t, s.Call("GET", "/"+id, alice, ""), 404, "not_found")
}

func TestLife_ReuseEndsTheSession(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\trefresh_token {\n\t\t\tgrace 0s\n\t\t}"))
	first := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
	second := s.Refresh(first.Text("refresh_token"))
	sidecartest.WantStatus(t, second, 200)
	sidecartest.WantProblem(t, s.Refresh(first.Text("refresh_token")), 400, "invalid_grant")
	sidecartest.WantProblem(t, s.Refresh(second.Text("refresh_token")), 400, "invalid_grant")
	s.WaitLog("session reuse")
}

// Covers S1.
func TestLife_AHundredTabsRefreshAtOnce(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	token := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`).Text("refresh_token")
	var mu sync.Mutex
	var group sync.WaitGroup
	successors := make(map[string]int)
	for range 100 {
		group.Go(func() {
			got := s.Refresh(token)
			mu.Lock()
			defer mu.Unlock()
			if got.Status != 200 {
				t.Errorf("status %d: %s", got.Status, got.Body)
			}
			successors[got.Text("refresh_token")]++
		})
	}
	group.Wait()
	if len(successors) != 1 {
		t.Errorf("%d successors, want one", len(successors))
	}
}

func TestLife_ImpersonatorsReachTheirCurrentSessionAlone(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	got := s.Create(desk, `{"user_id":"alice","reason":"ticket"}`)
	sidecartest.WantStatus(t, got, 200)
	access := got.Text("access_token")
	current := s.Call("GET", "/current", access, "")
	sidecartest.WantStatus(t, current, 200)
	if actor, _ := current.Fields["actor"].(map[string]any); actor["sub"] != "carol" || actor["iss"] != provider.Issuer {
		t.Errorf("actor %v", current.Fields["actor"])
	}
	for _, path := range []string{"", "/" + got.Text("session_id")} {
		sidecartest.WantProblem(t, s.Call("GET", path, access, ""), 403, "insufficient_scope")
		sidecartest.WantProblem(t, s.Call("DELETE", path+"?user_id=alice", access, ""), 403, "insufficient_scope")
	}
	// The actor sees and ends what he made, with his own token; the user too.
	mine := s.Call("GET", "", provider.Token("carol", nil), "")
	if items := mine.Fields["items"].([]any); len(items) != 0 {
		t.Errorf("carol's own sessions: %s", mine.Body)
	}
	mine = s.Call("GET", "?actor=carol", provider.Token("carol", nil), "")
	if items, _ := mine.Fields["items"].([]any); len(items) != 1 {
		t.Errorf("carol's impersonations: %s", mine.Body)
	}
	theirs := s.Call("GET", "", provider.Token("alice", nil), "")
	if items, _ := theirs.Fields["items"].([]any); len(items) != 1 {
		t.Errorf("alice's sessions: %s", theirs.Body)
	}
	sidecartest.WantStatus(t, s.Call("DELETE", "/current", access, ""), 200)
	sidecartest.WantProblem(t, s.Refresh(got.Text("refresh_token")), 400, "invalid_grant")
}

func TestLife_RevokeMany(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	officer := provider.Token("olga", map[string]any{"scope": "sessions:manage"})
	alice := provider.Token("alice", nil)
	var tokens []string
	for i := range 5 {
		tokens = append(tokens, s.Create(alice, `{"user_id":"alice"}`).Text("refresh_token"))
		tokens = append(tokens, s.Create(desk, fmt.Sprintf(`{"user_id":"user%d"}`, i)).Text("refresh_token"))
	}
	sidecartest.WantProblem(t, s.Call("DELETE", "", officer, ""), 400, "invalid_request")
	sidecartest.WantProblem(t, s.Call("DELETE", "?everything=true", officer, ""), 400, "invalid_request")
	dry := s.Call("DELETE", "?impersonations=true&dry_run=true", officer, "")
	sidecartest.WantFields(t, dry, map[string]any{"would_revoke": 5.0, "more": false})
	none := s.Call("DELETE", "?impersonations=true", provider.Token("bob", nil), "")
	sidecartest.WantFields(t, none, map[string]any{"revoked": 0.0, "more": false})
	wet := s.Call("DELETE", "?impersonations=true", officer, "")
	sidecartest.WantFields(t, wet, map[string]any{"revoked": 5.0, "more": false})
	for i, token := range tokens {
		want := 200
		if i%2 == 1 {
			want = 400
		}
		if got := s.Refresh(token); got.Status != want {
			t.Errorf("session %d: %d, want %d", i, got.Status, want)
		}
	}
	all := s.Call("DELETE", "?user_id=alice", alice, "")
	sidecartest.WantFields(t, all, map[string]any{"revoked": 5.0})
	sidecartest.WantStatus(t, s.Create(alice, `{"user_id":"alice"}`), 200)
}

func TestLife_Pages(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	alice := provider.Token("alice", nil)
	var ids []string
	for range 7 {
		ids = append(ids, s.Create(alice, `{"user_id":"alice"}`).Text("session_id"))
	}
	var seen, began []string // ids of one millisecond are in no order that a client knows
	path := "?limit=3"
	for {
		page := s.Call("GET", path, alice, "")
		sidecartest.WantStatus(t, page, 200)
		for _, item := range page.Fields["items"].([]any) {
			seen = append(seen, item.(map[string]any)["id"].(string))
			began = append(began, item.(map[string]any)["created_at"].(string))
		}
		next, more := page.Fields["next_cursor"].(string)
		if !more {
			break
		}
		path = "?limit=3&cursor=" + next
	}
	if !slices.Equal(slices.Sorted(slices.Values(seen)), slices.Sorted(slices.Values(ids))) {
		t.Errorf("listed %v, want %v", seen, ids)
	}
	if slices.Reverse(began); !slices.IsSorted(began) {
		t.Errorf("listed %v, want newest first", began)
	}
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=x", "?limit=3&limit=3", "?x=y", "?user_id=", "?actor_issuer=x", "?impersonations=1", "?a=%zz"} {
		sidecartest.WantProblem(t, s.Call("GET", query, alice, ""), 400, "invalid_request")
	}
	sidecartest.WantProblem(t, s.Call("GET", "?cursor=rubbish", alice, ""), 400, "invalid_cursor")
}

func TestLife_KeySetAndMethods(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	jwks := s.Call("GET", "/jwks.json", "", "")
	sidecartest.WantStatus(t, jwks, 200)
	sidecartest.WantHeaders(t, jwks, "Cache-Control", "public, max-age=3600")
	keys := jwks.Fields["keys"].([]any)
	if len(keys) != 1 {
		t.Fatalf("keys %s", jwks.Body)
	}
	allowed := map[string]bool{"kty": true, "crv": true, "x": true, "y": true, "kid": true, "alg": true, "use": true}
	for name := range keys[0].(map[string]any) {
		if !allowed[name] {
			t.Errorf("M7: member %q is published", name)
		}
	}
	req, _ := http.NewRequest("GET", s.URL+"/auth/sessions/jwks.json", nil)
	req.Header.Set("If-None-Match", jwks.Header.Get("ETag"))
	again, err := s.Do(req)
	if err != nil || again.Status != 304 || again.Body != "" {
		t.Errorf("with its ETag: %d %q %v", again.Status, again.Body, err)
	}
	for path, allow := range map[string]string{"": "POST, GET, DELETE", "/current": "GET, DELETE", "/current/refresh": "POST", "/jwks.json": "GET, HEAD", "/AAAAAAAAAAAAAAAAAAAAAA": "GET, DELETE"} {
		got := s.Call("PUT", path, "", "")
		sidecartest.WantProblem(t, got, 405, "method_not_allowed")
		sidecartest.WantHeaders(t, got, "Allow", allow)
	}
	for _, path := range []string{"/", "/x", "/current/", "/current/x", "/current/refresh/x", "/AAAAAAAAAAAAAAAAAAAAA%00", "/current;x"} {
		if got := s.Call("GET", path, "", ""); got.Status != 404 || got.Header.Get("X-App") != "" {
			t.Errorf("%s: %d", path, got.Status)
		}
	}
}

// A rule that a reload brings asks the sessions that are there for what was recorded of
// their callers. That a claim was not recorded is not that it was not there.
func TestLife_AReloadedRuleHoldsByNothingThatWasNotRecorded(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	for _, absent := range []string{`!has(caller.contractor)`, `!("contractor" in caller)`, `size(caller) < 9`, `!caller.exists(c, c == "contractor")`} {
		t.Run(absent, func(t *testing.T) {
			s := newSidecar(t)
			before := provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle)
			after := strings.Replace(before, "allow scope sessions:impersonate",
				"allow expression `caller.scope.contains(\"sessions:impersonate\") && "+absent+"`", 1)
			s.Start(before)
			contractor := provider.Token("carol", map[string]any{"scope": "sessions:impersonate", "contractor": true, "a": 1, "b": 2})
			employee := provider.Token("erin", map[string]any{"scope": "sessions:impersonate"})
			made := s.Create(contractor, `{"user_id":"alice"}`)
			sidecartest.WantStatus(t, made, 200)
			if err := s.Reload(after); err != nil {
				t.Fatal(err)
			}
			sidecartest.WantProblem(t, s.Create(contractor, `{"user_id":"alice"}`), 403, "insufficient_scope")
			sidecartest.WantProblem(t, s.Refresh(made.Text("refresh_token")), 400, "invalid_grant")

			made = s.Create(employee, `{"user_id":"alice"}`)
			sidecartest.WantStatus(t, made, 200)
			sidecartest.WantStatus(t, s.Refresh(made.Text("refresh_token")), 200)
		})
	}
}
