package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCreate_AnswersAsStackAuthDoes(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, ""))

	own := create(t, s.url, provider.token("alice", nil), `{"user_id":"alice"}`)
	wantStatus(t, own, 200)
	wantHeaders(t, own, "Content-Type", "application/json", "Cache-Control", "no-store", "Pragma", "no-cache", "X-Content-Type-Options", "nosniff")
	if len(own.fields) != 8 {
		t.Errorf("fields %v, want 8", own.fields)
	}
	wantFields(t, own, map[string]any{"user_id": "alice", "token_type": "Bearer", "expires_in": 600.0, "is_impersonation": false})
	end, err := time.Parse(time.RFC3339, own.fields["refresh_expires_at"].(string))
	if err != nil || time.Until(end) < 29*24*time.Hour || time.Until(end) > 30*24*time.Hour {
		t.Errorf("refresh_expires_at %v, want in 30 days", own.fields["refresh_expires_at"])
	}

	desk := provider.token("carol", map[string]any{"scope": "openid sessions:impersonate"})
	other := create(t, s.url, desk, `{"user_id":"alice","expires_in_millis":3600000,"is_impersonation":false,"reason":"ticket 4711","client_id":"desk"}`)
	wantStatus(t, other, 200)
	wantFields(t, other, map[string]any{"user_id": "alice", "is_impersonation": true})
	if other.fields["session_id"] == own.fields["session_id"] {
		t.Error("two sessions have one id")
	}
	access := decodePart(t, other.fields["access_token"].(string), 1)
	if act, _ := access["act"].(map[string]any); act["sub"] != "carol" || act["iss"] != provider.issuer {
		t.Errorf("act %v, want the caller", access["act"])
	}
	if access["client_id"] != "desk" {
		t.Errorf("client_id %v", access["client_id"])
	}
}

// Who may have a session for a user may have it for the client of their own token. For
// another one a rule must hold by that client.
func TestCreate_NobodyNamesAnotherClientUnlessARuleDoes(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	site := provider.site(s, echo(t).URL, life+"\n\t\tallow expression `caller.dept == \"ops\" && client_id == \"admin-console\"`\n\t\tallow expression `caller.dept == \"it\" && client_id.split(\"-\")[1] != \"console\"`")
	s.start(site)
	alice := provider.token("alice", nil)
	desk := provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
	ops := provider.token("dave", map[string]any{"dept": "ops"})
	it := provider.token("erin", map[string]any{"dept": "it"})
	plain := provider.token("alice", map[string]any{"client_id": nil})
	body := func(client string) string { return `{"user_id":"alice","client_id":"` + client + `"}` }
	for _, tt := range []struct {
		name, token, client string
		status              int
		code                string
	}{
		{"a user's own client", alice, "desk", 200, ""},
		{"another client for oneself", alice, "admin-console", 400, "invalid_client_id"},
		{"the issuer, which is not the caller's client", alice, "https://app.example.com", 400, "invalid_client_id"},
		{"the issuer, where the token names no client", plain, "https://app.example.com", 200, ""},
		{"another client, where the token names none", plain, "admin-console", 400, "invalid_client_id"},
		{"another client, by a rule that does not look at it", desk, "admin-console", 400, "invalid_client_id"},
		{"another client, by a rule that names it", ops, "admin-console", 200, ""},
		{"one's own client, by a rule that names another", ops, "desk", 403, "insufficient_scope"},
		{"another client, by a rule that cannot be judged without one", it, "web-root", 400, "invalid_client_id"},
		{"a third client, by a rule that names another", ops, "billing", 403, "insufficient_scope"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := create(t, s.url, tt.token, body(tt.client))
			if tt.status != 200 {
				wantProblem(t, got, tt.status, tt.code)
				return
			}
			wantStatus(t, got, 200)
			if client := decodePart(t, got.text("access_token"), 1)["client_id"]; client != tt.client {
				t.Errorf("client_id %v", client)
			}
		})
	}
	made := create(t, s.url, ops, body("admin-console"))
	wantStatus(t, made, 200)
	made = s.refresh(made.text("refresh_token"))
	wantStatus(t, made, 200)
	if err := s.reload(strings.Replace(site, ` && client_id == "admin-console"`, "", 1)); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, s.refresh(made.text("refresh_token")), 400, "invalid_grant") // nothing says that client any more
}

// Covers H1, H7, H8.
func TestCreate_EveryRefusal(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, "protect user root admin-*\n\t\timpersonation {\n\t\t\trequire_reason\n\t\t}"))
	alice := provider.token("alice", nil)
	desk := provider.token("carol", map[string]any{"scope": "sessions:impersonate"})
	const good = `{"user_id":"alice"}`
	tests := []struct {
		name   string
		token  string
		body   string
		header []string
		status int
		code   string
	}{
		{"no token", "", good, nil, 401, "missing_token"},
		{"another scheme", "", good, []string{"Authorization", "Basic YTpi"}, 401, "missing_token"},
		{"rubbish", "rubbish", good, nil, 401, "invalid_token"},
		{"an expired token", provider.token("alice", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), good, nil, 401, "invalid_token"},
		{"a token for another audience", provider.token("alice", map[string]any{"aud": "other"}), good, nil, 401, "invalid_token"},
		{"a token of another issuer", newIDP(t, "https://other.example.com").token("alice", nil), good, nil, 401, "invalid_token"},
		{"V16: another issuer's key under a trusted name", newIDP(t, provider.issuer).token("alice", nil), good, nil, 401, "invalid_token"},
		{"for somebody else without a rule", alice, `{"user_id":"bob"}`, nil, 403, "insufficient_scope"},
		{"for somebody protected", desk, `{"user_id":"root","reason":"x"}`, nil, 403, "insufficient_scope"},
		{"V25: a token that acts", provider.token("alice", map[string]any{"act": map[string]any{"sub": "x"}}), good, nil, 403, "insufficient_scope"},
		{"V25: a service named like a user", provider.token("alice", map[string]any{"client_id": "alice"}), good, nil, 403, "insufficient_scope"},
		{"for somebody protected, by a dotless i", desk, `{"user_id":"adm\u0131n-1","reason":"x"}`, nil, 403, "insufficient_scope"},
		{"for somebody protected, by a dotted I", desk, `{"user_id":"ADM\u0130N-1","reason":"x"}`, nil, 403, "insufficient_scope"},
		{"without the reason that is required", desk, good, nil, 400, "reason_required"},
		{"longer than the maximum", alice, `{"user_id":"alice","expires_in_millis":31536000001}`, nil, 400, "invalid_lifetime"},
		{"an impersonation longer than its maximum", desk, `{"user_id":"alice","reason":"x","expires_in_millis":28800001}`, nil, 400, "invalid_lifetime"},
		{"no life", alice, `{"user_id":"alice","expires_in_millis":0}`, nil, 400, "invalid_lifetime"},
		{"less than no life", alice, `{"user_id":"alice","expires_in_millis":-1}`, nil, 400, "invalid_lifetime"},
		{"more than a number holds", alice, `{"user_id":"alice","expires_in_millis":99999999999999999999}`, nil, 400, "invalid_lifetime"},
		{"half a millisecond", alice, `{"user_id":"alice","expires_in_millis":0.5}`, nil, 400, "invalid_request"},
		{"a life as text", alice, `{"user_id":"alice","expires_in_millis":"1000"}`, nil, 400, "invalid_request"},
		{"no user", alice, `{}`, nil, 400, "invalid_request"},
		{"no body", alice, ``, nil, 400, "invalid_request"},
		{"an empty user", alice, `{"user_id":""}`, nil, 400, "invalid_user_id"},
		{"a user that is a number", alice, `{"user_id":1}`, nil, 400, "invalid_request"},
		{"a user that is null", alice, `{"user_id":null}`, nil, 400, "invalid_request"},
		{"a user with a control", alice, `{"user_id":"a\u0000b"}`, nil, 400, "invalid_user_id"},
		{"a user with a variation selector", desk, `{"user_id":"root\ufe0f","reason":"x"}`, nil, 400, "invalid_user_id"},
		{"a user with a Hangul filler", desk, `{"user_id":"ro\u3164ot","reason":"x"}`, nil, 400, "invalid_user_id"},
		{"a user with a blank of Braille", desk, `{"user_id":"root\u2800","reason":"x"}`, nil, 400, "invalid_user_id"},
		{"a user with a grapheme joiner", desk, `{"user_id":"r\u034foot","reason":"x"}`, nil, 400, "invalid_user_id"},
		{"a user with a Mongolian selector", desk, `{"user_id":"roo\u180bt","reason":"x"}`, nil, 400, "invalid_user_id"},
		{"a user with bidi", alice, `{"user_id":"a\u202eb"}`, nil, 400, "invalid_user_id"},
		{"H1: a name twice", alice, `{"user_id":"alice","user_id":"alice"}`, nil, 400, "invalid_request"},
		{"H1: a name twice, once escaped", alice, `{"user_id":"alice","user\u005fid":"root"}`, nil, 400, "invalid_request"},
		{"H1: a name in another case", alice, `{"User_ID":"alice"}`, nil, 400, "invalid_request"},
		{"H1: a long s", alice, `{"u\u017fer_id":"alice"}`, nil, 400, "invalid_request"},
		{"H1: an unknown name", alice, `{"user_id":"alice","admin":true}`, nil, 400, "invalid_request"},
		{"H1: trailing data", alice, good + good, nil, 400, "invalid_request"},
		{"H1: a lone surrogate", alice, `{"user_id":"\ud800"}`, nil, 400, "invalid_request"},
		{"H1: not UTF-8", alice, "{\"user_id\":\"\xff\"}", nil, 400, "invalid_request"},
		{"H1: a byte order mark", alice, "\ufeff" + good, nil, 400, "invalid_request"},
		{"H1: too deep", alice, `{"user_id":"alice","reason":[[[[[]]]]]}`, nil, 400, "invalid_request"},
		{"H1: an array", alice, `["alice"]`, nil, 400, "invalid_request"},
		{"H1: too large", alice, `{"user_id":"alice","reason":"` + strings.Repeat("x", 4096) + `"}`, nil, 413, "body_too_large"},
		{"a long reason", alice, `{"user_id":"alice","reason":"` + strings.Repeat("x", 501) + `"}`, nil, 400, "invalid_text"},
		{"a reason with a newline", alice, `{"user_id":"alice","reason":"a\nb"}`, nil, 400, "invalid_text"},
		{"H3: a form", alice, "user_id=alice", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"},
		{"H3: plain text", alice, good, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type"},
		{"H3: no type", alice, good, []string{"Content-Type", ""}, 415, "unsupported_media_type"},
		{"H3: another charset", alice, good, []string{"Content-Type", "application/json; charset=utf-16"}, 415, "unsupported_media_type"},
		{"H3: an encoding", alice, good, []string{"Content-Encoding", "gzip"}, 415, "unsupported_media_type"},
		{"a bad idempotency key", alice, good, []string{"Idempotency-Key", "a b"}, 400, "invalid_idempotency_key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := create(t, s.url, tt.token, tt.body, tt.header...)
			wantProblem(t, got, tt.status, tt.code)
		})
	}
}

func TestH3_JSONWithCharsetIsJSON(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, ""))
	for _, contentType := range []string{"application/json;charset=UTF-8", `Application/JSON; charset="utf-8"`} {
		wantStatus(t, create(t, s.url, provider.token("alice", nil), `{"user_id":"alice"}`, "Content-Type", contentType), 200)
	}
}

func TestV23_V24_Credentials(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, ""))
	token := provider.token("alice", nil)
	post := func(query string, authorization ...string) answer {
		req, _ := http.NewRequest("POST", s.url+"/auth/sessions"+query, strings.NewReader(`{"user_id":"alice"}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header["Authorization"] = authorization
		got, err := do(req)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, good := range []string{"Bearer " + token, "bearer " + token, "BEARER   " + token} {
		wantStatus(t, post("", good), 200)
	}
	wantProblem(t, post("", "Bearer "+token, "Bearer "+token), 400, "invalid_request")
	wantProblem(t, post("?access_token="+token, "Bearer "+token), 400, "invalid_request")
	wantProblem(t, post("?access_token="+token), 400, "invalid_request")
	wantProblem(t, post("?%61ccess_token=x", "Bearer "+token), 400, "invalid_request")
	wantProblem(t, post("", "Bearer "+token+", Bearer "+token), 400, "invalid_request")
}

func TestCreate_RepeatedWithAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	provider := newIDP(t, "https://idp.example.com")
	s := newSidecar(t, t.TempDir())
	s.start(provider.site(s, echo(t).URL, "protect user root"))
	alice, bob := provider.token("alice", nil), provider.token("bob", nil)
	key := []string{"Idempotency-Key", "7c0e-1"}

	first := create(t, s.url, alice, `{"user_id":"alice","reason":"x"}`, key...)
	wantStatus(t, first, 200)
	again := create(t, s.url, provider.token("alice", nil), `{"reason":"x", "user_id":"alice"}`, key...)
	wantStatus(t, again, 200)
	for _, field := range []string{"session_id", "refresh_token", "refresh_expires_at"} {
		if first.fields[field] != again.fields[field] {
			t.Errorf("%s differs: %v and %v", field, first.fields[field], again.fields[field])
		}
	}
	wantProblem(t, create(t, s.url, alice, `{"user_id":"alice","reason":"y"}`, key...), 422, "idempotency_key_reused")
	wantProblem(t, create(t, s.url, alice, `{"user_id":"bob"}`, key...), 403, "insufficient_scope")
	other := create(t, s.url, bob, `{"user_id":"bob"}`, key...)
	wantStatus(t, other, 200)
	if other.fields["session_id"] == first.fields["session_id"] {
		t.Error("two callers with one key got one session")
	}
}

func wantStatus(t testing.TB, got answer, status int) {
	t.Helper()
	if got.status != status {
		t.Fatalf("status %d, want %d: %s", got.status, status, got.body)
	}
}

func wantHeaders(t testing.TB, got answer, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if value := got.header.Get(pairs[i]); value != pairs[i+1] {
			t.Errorf("%s: %q, want %q", pairs[i], value, pairs[i+1])
		}
	}
}

func wantFields(t testing.TB, got answer, fields map[string]any) {
	t.Helper()
	for name, value := range fields {
		if got.fields[name] != value {
			t.Errorf("%s is %v, want %v", name, got.fields[name], value)
		}
	}
}

// wantProblem checks an error answer against RFC 9457 and RFC 6750.
func wantProblem(t testing.TB, got answer, status int, code string) {
	t.Helper()
	wantStatus(t, got, status)
	wantHeaders(t, got, "Content-Type", "application/problem+json", "Cache-Control", "no-store", "X-Content-Type-Options", "nosniff")
	wantFields(t, got, map[string]any{"code": code, "status": float64(status), "type": "urn:problem-type:auth-sessions:" + code})
	if got.fields["title"] == "" || got.fields["detail"] == "" || len(got.fields) != 5 {
		t.Errorf("problem %s", got.body)
	}
	challenge := got.header.Get("WWW-Authenticate")
	switch {
	case code == "missing_token", code == "cross_origin":
		if challenge != "Bearer" {
			t.Errorf("challenge %q, want one without an error code", challenge)
		}
	case status == 401 || status == 403:
		if !strings.HasPrefix(challenge, `Bearer error="`+code+`"`) {
			t.Errorf("challenge %q", challenge)
		}
	case challenge != "":
		t.Errorf("challenge %q, want none", challenge)
	}
}
