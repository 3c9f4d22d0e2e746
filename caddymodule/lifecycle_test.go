package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// life is the site of the tests of whole lives.
const life = "lifecycle\n\t\tmanage scope sessions:manage"

func (s *sidecar) call(method, path, token, body string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+"/auth/sessions"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func (s *sidecar) refresh(token string) answer {
	s.t.Helper()
	body, _ := json.Marshal(map[string]string{"refresh_token": token})
	return s.call("POST", "/current/refresh", "", string(body))
}

func (a answer) text(field string) string {
	text, _ := a.fields[field].(string)
	return text
}

// Covers O12.
func TestLife_CreateRefreshListRevoke(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, life))
	alice := provider.token("alice", nil)

	first := create(t, s.url, alice, `{"user_id":"alice"}`)
	wantStatus(t, first, 200)
	second := s.refresh(first.text("refresh_token"))
	wantStatus(t, second, 200)
	wantFields(t, second, map[string]any{"session_id": first.fields["session_id"], "user_id": "alice", "refresh_expires_at": first.fields["refresh_expires_at"]})
	if second.text("refresh_token") == first.text("refresh_token") {
		t.Error("the refresh token did not rotate")
	}
	retry := s.refresh(first.text("refresh_token"))
	wantStatus(t, retry, 200)
	if retry.text("refresh_token") != second.text("refresh_token") {
		t.Error("a retry within the grace period got another successor")
	}

	current := s.call("GET", "/current", second.text("access_token"), "")
	wantStatus(t, current, 200)
	wantFields(t, current, map[string]any{"id": first.fields["session_id"], "is_current": true, "actor": nil, "ip": "127.0.0.1"})
	if strings.Contains(current.body, "eyJ") || len(current.fields) != 13 {
		t.Errorf("a listed session: %s", current.body)
	}

	list := s.call("GET", "", alice, "")
	wantStatus(t, list, 200)
	if items := list.fields["items"].([]any); len(items) != 1 || list.fields["next_cursor"] != nil {
		t.Errorf("list %s", list.body)
	}

	id := first.text("session_id")
	wantStatus(t, s.call("GET", "/"+id, alice, ""), 200)
	wantProblem(t, s.call("GET", "/"+id, provider.token("bob", nil), ""), 404, "not_found")
	wantProblem(t, s.call("DELETE", "/"+id, provider.token("bob", nil), ""), 404, "not_found")
	gone := s.call("DELETE", "/"+id, second.text("access_token"), "")
	wantStatus(t, gone, 200)
	wantFields(t, gone, map[string]any{"success": true})
	wantProblem(t, s.refresh(second.text("refresh_token")), 400, "invalid_grant")
	wantProblem(t, s.call("GET", "/current", second.text("access_token"), ""), 401, "invalid_token")
	wantProblem(t, s.call("GET", "/"+id, alice, ""), 404, "not_found")
}

func TestLife_ReuseEndsTheSession(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, life+"\n\t\trefresh_token {\n\t\t\tgrace 0s\n\t\t}"))
	first := create(t, s.url, provider.token("alice", nil), `{"user_id":"alice"}`)
	second := s.refresh(first.text("refresh_token"))
	wantStatus(t, second, 200)
	wantProblem(t, s.refresh(first.text("refresh_token")), 400, "invalid_grant")
	wantProblem(t, s.refresh(second.text("refresh_token")), 400, "invalid_grant")
	s.waitLog("session reuse")
}

// Covers S1.
func TestLife_AHundredTabsRefreshAtOnce(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, life))
	token := create(t, s.url, provider.token("alice", nil), `{"user_id":"alice"}`).text("refresh_token")
	var mu sync.Mutex
	var group sync.WaitGroup
	successors := make(map[string]int)
	for range 100 {
		group.Go(func() {
			got := s.refresh(token)
			mu.Lock()
			defer mu.Unlock()
			if got.status != 200 {
				t.Errorf("status %d: %s", got.status, got.body)
			}
			successors[got.text("refresh_token")]++
		})
	}
	group.Wait()
	if len(successors) != 1 {
		t.Errorf("%d successors, want one", len(successors))
	}
}

func TestLife_ImpersonatorsReachTheirCurrentSessionAlone(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, life))
	desk := provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
	got := create(t, s.url, desk, `{"user_id":"alice","reason":"ticket"}`)
	wantStatus(t, got, 200)
	access := got.text("access_token")
	current := s.call("GET", "/current", access, "")
	wantStatus(t, current, 200)
	if actor, _ := current.fields["actor"].(map[string]any); actor["sub"] != "carol" || actor["iss"] != provider.issuer {
		t.Errorf("actor %v", current.fields["actor"])
	}
	for _, path := range []string{"", "/" + got.text("session_id")} {
		wantProblem(t, s.call("GET", path, access, ""), 403, "insufficient_scope")
		wantProblem(t, s.call("DELETE", path+"?user_id=alice", access, ""), 403, "insufficient_scope")
	}
	// The actor sees and ends what he made, with his own token; the user too.
	mine := s.call("GET", "", provider.token("carol", nil), "")
	if items := mine.fields["items"].([]any); len(items) != 0 {
		t.Errorf("carol's own sessions: %s", mine.body)
	}
	mine = s.call("GET", "?actor=carol", provider.token("carol", nil), "")
	if items, _ := mine.fields["items"].([]any); len(items) != 1 {
		t.Errorf("carol's impersonations: %s", mine.body)
	}
	theirs := s.call("GET", "", provider.token("alice", nil), "")
	if items, _ := theirs.fields["items"].([]any); len(items) != 1 {
		t.Errorf("alice's sessions: %s", theirs.body)
	}
	wantStatus(t, s.call("DELETE", "/current", access, ""), 200)
	wantProblem(t, s.refresh(got.text("refresh_token")), 400, "invalid_grant")
}

func TestLife_RevokeMany(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, life))
	desk := provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
	officer := provider.token("olga", map[string]any{"scope": "sessions:manage"})
	alice := provider.token("alice", nil)
	var tokens []string
	for i := range 5 {
		tokens = append(tokens, create(t, s.url, alice, `{"user_id":"alice"}`).text("refresh_token"))
		tokens = append(tokens, create(t, s.url, desk, fmt.Sprintf(`{"user_id":"user%d"}`, i)).text("refresh_token"))
	}
	wantProblem(t, s.call("DELETE", "", officer, ""), 400, "invalid_request")
	wantProblem(t, s.call("DELETE", "?everything=true", officer, ""), 400, "invalid_request")
	dry := s.call("DELETE", "?impersonations=true&dry_run=true", officer, "")
	wantFields(t, dry, map[string]any{"revoked": 5.0, "more": false})
	none := s.call("DELETE", "?impersonations=true", provider.token("bob", nil), "")
	wantFields(t, none, map[string]any{"revoked": 0.0, "more": false})
	wet := s.call("DELETE", "?impersonations=true", officer, "")
	wantFields(t, wet, map[string]any{"revoked": 5.0, "more": false})
	for i, token := range tokens {
		want := 200
		if i%2 == 1 {
			want = 400
		}
		if got := s.refresh(token); got.status != want {
			t.Errorf("session %d: %d, want %d", i, got.status, want)
		}
	}
	all := s.call("DELETE", "?user_id=alice", alice, "")
	wantFields(t, all, map[string]any{"revoked": 5.0})
	wantStatus(t, create(t, s.url, alice, `{"user_id":"alice"}`), 200)
}

func TestLife_Pages(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, life))
	alice := provider.token("alice", nil)
	var ids []string
	for range 7 {
		ids = append([]string{create(t, s.url, alice, `{"user_id":"alice"}`).text("session_id")}, ids...)
		time.Sleep(2 * time.Millisecond) // ids of one millisecond are in no order that a client knows
	}
	var seen []string
	path := "?limit=3"
	for {
		page := s.call("GET", path, alice, "")
		wantStatus(t, page, 200)
		for _, item := range page.fields["items"].([]any) {
			seen = append(seen, item.(map[string]any)["id"].(string))
		}
		next, more := page.fields["next_cursor"].(string)
		if !more {
			break
		}
		path = "?limit=3&cursor=" + next
	}
	if strings.Join(seen, " ") != strings.Join(ids, " ") {
		t.Errorf("listed %v, want newest first %v", seen, ids)
	}
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=x", "?limit=3&limit=3", "?x=y", "?user_id=", "?actor_issuer=x", "?impersonations=1", "?a=%zz"} {
		wantProblem(t, s.call("GET", query, alice, ""), 400, "invalid_request")
	}
	wantProblem(t, s.call("GET", "?cursor=rubbish", alice, ""), 400, "invalid_cursor")
}

func TestLife_KeySetAndMethods(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, life))
	jwks := s.call("GET", "/jwks.json", "", "")
	wantStatus(t, jwks, 200)
	wantHeaders(t, jwks, "Cache-Control", "public, max-age=3600")
	keys := jwks.fields["keys"].([]any)
	if len(keys) != 1 {
		t.Fatalf("keys %s", jwks.body)
	}
	allowed := map[string]bool{"kty": true, "crv": true, "x": true, "y": true, "kid": true, "alg": true, "use": true}
	for name := range keys[0].(map[string]any) {
		if !allowed[name] {
			t.Errorf("M7: member %q is published", name)
		}
	}
	req, _ := http.NewRequest("GET", s.url+"/auth/sessions/jwks.json", nil)
	req.Header.Set("If-None-Match", jwks.header.Get("ETag"))
	again, err := do(req)
	if err != nil || again.status != 304 || again.body != "" {
		t.Errorf("with its ETag: %d %q %v", again.status, again.body, err)
	}
	for path, allow := range map[string]string{"": "POST, GET, DELETE", "/current": "GET, DELETE", "/current/refresh": "POST", "/jwks.json": "GET, HEAD", "/AAAAAAAAAAAAAAAAAAAAAA": "GET, DELETE"} {
		got := s.call("PUT", path, "", "")
		wantProblem(t, got, 405, "method_not_allowed")
		wantHeaders(t, got, "Allow", allow)
	}
	for _, path := range []string{"/", "/x", "/current/", "/current/x", "/current/refresh/x", "/AAAAAAAAAAAAAAAAAAAAA%00", "/current;x"} {
		if got := s.call("GET", path, "", ""); got.status != 404 || got.header.Get("X-App") != "" {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

// A rule that a reload brings asks the sessions that are there for what was recorded of
// their callers. That a claim was not recorded is not that it was not there.
func TestLife_AReloadedRuleHoldsByNothingThatWasNotRecorded(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	for _, absent := range []string{`!has(caller.contractor)`, `!("contractor" in caller)`, `size(caller) < 9`, `!caller.exists(c, c == "contractor")`} {
		t.Run(absent, func(t *testing.T) {
			s := newSidecar(t, t.TempDir())
			before := provider.site(s, echo(t).URL, life)
			after := strings.Replace(before, "allow scope sessions:impersonate",
				"allow expression `caller.scope.contains(\"sessions:impersonate\") && "+absent+"`", 1)
			s.start(before)
			contractor := provider.token("carol", map[string]any{"scope": "sessions:impersonate", "contractor": true, "a": 1, "b": 2})
			employee := provider.token("erin", map[string]any{"scope": "sessions:impersonate"})
			made := create(t, s.url, contractor, `{"user_id":"alice"}`)
			wantStatus(t, made, 200)
			if err := s.reload(after); err != nil {
				t.Fatal(err)
			}
			wantProblem(t, create(t, s.url, contractor, `{"user_id":"alice"}`), 403, "insufficient_scope")
			wantProblem(t, s.refresh(made.text("refresh_token")), 400, "invalid_grant")

			made = create(t, s.url, employee, `{"user_id":"alice"}`)
			wantStatus(t, made, 200)
			wantStatus(t, s.refresh(made.text("refresh_token")), 200)
		})
	}
}
