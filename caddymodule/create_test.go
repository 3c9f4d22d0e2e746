package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

func TestCreate_AnswersAsStackAuthDoes(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), ""))

	own := s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, own, 200)
	sidecartest.WantHeaders(t, own, "Content-Type", "application/json", "Cache-Control", "no-store", "Pragma", "no-cache", "X-Content-Type-Options", "nosniff")
	if len(own.Fields) != 8 {
		t.Errorf("fields %v, want 8", own.Fields)
	}
	sidecartest.WantFields(t, own, map[string]any{"user_id": "alice", "token_type": "Bearer", "expires_in": 600.0, "is_impersonation": false})
	end, err := time.Parse(time.RFC3339, own.Fields["refresh_expires_at"].(string))
	if err != nil || time.Until(end) < 29*24*time.Hour || time.Until(end) > 30*24*time.Hour {
		t.Errorf("refresh_expires_at %v, want in 30 days", own.Fields["refresh_expires_at"])
	}

	desk := provider.Token("carol", map[string]any{"scope": "openid sessions:impersonate"})
	other := s.Create(desk, `{"user_id":"alice","expires_in_millis":3600000,"is_impersonation":false,"reason":"ticket 4711","client_id":"desk"}`)
	sidecartest.WantStatus(t, other, 200)
	sidecartest.WantFields(t, other, map[string]any{"user_id": "alice", "is_impersonation": true})
	if other.Fields["session_id"] == own.Fields["session_id"] {
		t.Error("two sessions have one id")
	}
	access := sidecartest.Part(t, other.Fields["access_token"].(string), 1)
	if act, _ := access["act"].(map[string]any); act["sub"] != "carol" || act["iss"] != provider.Issuer {
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
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	site := provider.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tallow expression `caller.dept == \"ops\" && client_id == \"admin-console\"`\n\t\tallow expression `caller.dept == \"it\" && client_id.split(\"-\")[1] != \"console\"`")
	s.Start(site)
	alice := provider.Token("alice", nil)
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
	ops := provider.Token("dave", map[string]any{"dept": "ops"})
	it := provider.Token("erin", map[string]any{"dept": "it"})
	plain := provider.Token("alice", map[string]any{"client_id": nil})
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
			got := s.Create(tt.token, body(tt.client))
			if tt.status != 200 {
				sidecartest.WantProblem(t, got, tt.status, tt.code)
				return
			}
			sidecartest.WantStatus(t, got, 200)
			if client := sidecartest.Part(t, got.Text("access_token"), 1)["client_id"]; client != tt.client {
				t.Errorf("client_id %v", client)
			}
		})
	}
	made := s.Create(ops, body("admin-console"))
	sidecartest.WantStatus(t, made, 200)
	made = s.Refresh(made.Text("refresh_token"))
	sidecartest.WantStatus(t, made, 200)
	if err := s.Reload(strings.Replace(site, ` && client_id == "admin-console"`, "", 1)); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantProblem(t, s.Refresh(made.Text("refresh_token")), 400, "invalid_grant") // nothing says that client any more
}

// A back end that a rule names says who its client is, and "where am I signed in" shows people; the
// audit has both. Nobody else says so: a user's token is no back end's.
func TestCreate_ABackEndReportsItsClient(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(auditSite(s, provider, sidecartest.Echo(t), "audit required\n\t\treport_client scope client:report\n\t\treport_client expression `caller.azp == \"web\" && user_id == caller.sub`"))
	desk := provider.Token("backend", map[string]any{"scope": "sessions:impersonate client:report"})
	relayed := provider.Token("alice", map[string]any{"azp": "web"})
	const body = `{"user_id":"alice","client":{"ip":"2001:DB8:0::7","user_agent":"Mozilla/5.0"}}`
	for _, token := range []string{desk, relayed} {
		made := s.Create(token, body)
		sidecartest.WantStatus(t, made, 200)
		shown := s.Call("GET", "/"+made.Text("session_id"), provider.Token("alice", nil), "")
		sidecartest.WantFields(t, shown, map[string]any{"ip": "2001:db8::7", "user_agent": "Mozilla/5.0"})
	}
	bare := s.Create(desk, `{"user_id":"alice","client":{"ip":"203.0.113.7"}}`, "User-Agent", "backend/1")
	sidecartest.WantFields(t, s.Call("GET", "/"+bare.Text("session_id"), provider.Token("alice", nil), ""), map[string]any{"ip": "203.0.113.7", "user_agent": ""})

	sidecartest.WantProblem(t, s.Create(provider.Token("alice", nil), body), 400, "invalid_reported_client")
	sidecartest.WantProblem(t, s.Create(provider.Token("carol", map[string]any{"scope": "sessions:impersonate"}), body), 400, "invalid_reported_client")
	sidecartest.WantProblem(t, s.Create(provider.Token("bob", map[string]any{"scope": "client:report"}), body), 403, "insufficient_scope")
	sidecartest.WantProblem(t, s.Create(desk, `{"user_id":"alice","client":{"ip":"203.0.113.7, 10.0.0.5"}}`), 400, "invalid_request")

	for i, want := range []struct{ event, reported string }{
		{"creating", "2001:db8::7"},
		{"created", "2001:db8::7"},
		{"creating", "2001:db8::7"},
		{"created", "2001:db8::7"},
		{"creating", "203.0.113.7"},
		{"created", "203.0.113.7"},
		{"denied", ""},
		{"denied", ""},
		{"denied", ""},
	} {
		line := s.auditLines()[i]
		if reported, _ := line["reported_ip"].(string); line["event"] != want.event || line["client_ip"] != "127.0.0.1" || reported != want.reported {
			t.Errorf("line %d: %v, want %v", i+1, line, want)
		}
	}
}

// Covers H1, H7, H8.
func TestCreate_EveryRefusal(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), "protect user root admin-*\n\t\timpersonation {\n\t\t\trequire_reason\n\t\t}"))
	alice := provider.Token("alice", nil)
	desk := provider.Token("carol", map[string]any{"scope": "sessions:impersonate"})
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
		{"an expired token", provider.Token("alice", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), good, nil, 401, "invalid_token"},
		{"a token for another audience", provider.Token("alice", map[string]any{"aud": "other"}), good, nil, 401, "invalid_token"},
		{"a token of another issuer", sidecartest.NewIDP(t, "https://other.example.com").Token("alice", nil), good, nil, 401, "invalid_token"},
		{"V16: another issuer's key under a trusted name", sidecartest.NewIDP(t, provider.Issuer).Token("alice", nil), good, nil, 401, "invalid_token"},
		{"for somebody else without a rule", alice, `{"user_id":"bob"}`, nil, 403, "insufficient_scope"},
		{"for somebody protected", desk, `{"user_id":"root","reason":"x"}`, nil, 403, "insufficient_scope"},
		{"V25: a token that acts", provider.Token("alice", map[string]any{"act": map[string]any{"sub": "x"}}), good, nil, 403, "insufficient_scope"},
		{"V25: a service named like a user", provider.Token("alice", map[string]any{"client_id": "alice"}), good, nil, 403, "insufficient_scope"},
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
			got := s.Create(tt.token, tt.body, tt.header...)
			sidecartest.WantProblem(t, got, tt.status, tt.code)
		})
	}
}

func TestH3_JSONWithCharsetIsJSON(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), ""))
	for _, contentType := range []string{"application/json;charset=UTF-8", `Application/JSON; charset="utf-8"`} {
		sidecartest.WantStatus(t, s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`, "Content-Type", contentType), 200)
	}
}

func TestV23_V24_Credentials(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), ""))
	token := provider.Token("alice", nil)
	post := func(query string, authorization ...string) sidecartest.Answer {
		req, _ := http.NewRequest("POST", s.URL+"/auth/sessions"+query, strings.NewReader(`{"user_id":"alice"}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header["Authorization"] = authorization
		got, err := s.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, good := range []string{"Bearer " + token, "bearer " + token, "BEARER   " + token} {
		sidecartest.WantStatus(t, post("", good), 200)
	}
	sidecartest.WantProblem(t, post("", "Bearer "+token, "Bearer "+token), 400, "invalid_request")
	sidecartest.WantProblem(t, post("?access_token="+token, "Bearer "+token), 400, "invalid_request")
	sidecartest.WantProblem(t, post("?access_token="+token), 400, "invalid_request")
	sidecartest.WantProblem(t, post("?%61ccess_token=x", "Bearer "+token), 400, "invalid_request")
	sidecartest.WantProblem(t, post("", "Bearer "+token+", Bearer "+token), 400, "invalid_request")
}

func TestCreate_RepeatedWithAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := newSidecar(t)
	s.Start(provider.Site(s.Sidecar, sidecartest.Echo(t), "protect user root"))
	alice, bob := provider.Token("alice", nil), provider.Token("bob", nil)
	key := []string{"Idempotency-Key", "7c0e-1"}

	first := s.Create(alice, `{"user_id":"alice","reason":"x"}`, key...)
	sidecartest.WantStatus(t, first, 200)
	again := s.Create(provider.Token("alice", nil), `{"reason":"x", "user_id":"alice"}`, key...)
	sidecartest.WantStatus(t, again, 200)
	for _, field := range []string{"session_id", "refresh_token", "refresh_expires_at"} {
		if first.Fields[field] != again.Fields[field] {
			t.Errorf("%s differs: %v and %v", field, first.Fields[field], again.Fields[field])
		}
	}
	sidecartest.WantProblem(t, s.Create(alice, `{"user_id":"alice","reason":"y"}`, key...), 422, "idempotency_key_reused")
	sidecartest.WantProblem(t, s.Create(alice, `{"user_id":"bob"}`, key...), 403, "insufficient_scope")
	other := s.Create(bob, `{"user_id":"bob"}`, key...)
	sidecartest.WantStatus(t, other, 200)
	if other.Fields["session_id"] == first.Fields["session_id"] {
		t.Error("two callers with one key got one session")
	}
}
