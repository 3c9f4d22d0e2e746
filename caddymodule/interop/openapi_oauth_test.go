package interop

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

const asForm = "application/x-www-form-urlencoded"

var oauthPaths = []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"}

// post sends a form to an OAuth endpoint: as gateway by its secret, or as my-app, which has none.
func (s *scene) post(path, as string, form ...string) sidecartest.Answer {
	s.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	header := []string{"Content-Type", asForm}
	if as == "my-app" {
		values.Set("client_id", as)
	} else {
		header = append(header, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(as+":"+plainSecret)))
	}
	return s.send("POST", path, values.Encode(), header...)
}

// exchanged returns the tokens of a session of the client.
func (s *scene) exchanged(as string) (access, refresh string) {
	s.t.Helper()
	got := s.post("/oauth/token", as, "grant_type", exchangeGrant, "subject_token", s.alice, "subject_token_type", jwtType)
	sidecartest.WantStatus(s.t, got, 200)
	return got.Text("access_token"), got.Text("refresh_token")
}

func liveByOAuth(t *testing.T, c *contract) {
	s := newScene(t, c)
	s.Start(s.site(""))
	want := func(got sidecartest.Answer, status int, code string) {
		t.Helper()
		sidecartest.WantStatus(t, got, status)
		if got.Text("error") != code {
			t.Errorf("error %q, want %q", got.Text("error"), code)
		}
	}
	access, refresh := s.exchanged("gateway")
	got := s.post("/oauth/token", "gateway", "grant_type", "refresh_token", "refresh_token", refresh)
	want(got, 200, "")
	want(s.post("/oauth/introspect", "gateway", "token", access), 200, "")
	want(s.post("/oauth/introspect", "gateway", "token", got.Text("refresh_token")), 200, "")
	want(s.post("/oauth/token", "gateway", "grant_type", exchangeGrant, "subject_token", "alice", "subject_token_type", "urn:auth-sessions:token-type:user-id",
		"actor_token", s.desk, "actor_token_type", jwtType, "reason", "ticket 4711", "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), 200, "")
	want(s.post("/oauth/revoke", "gateway", "token", access), 200, "")
	want(s.post("/oauth/introspect", "gateway", "token", access), 200, "")

	for _, path := range oauthPaths {
		want(s.post(path, "gateway"), 400, "invalid_request")
		want(s.post(path, "nobody", "grant_type", "refresh_token", "refresh_token", "e", "token", "e"), 401, "invalid_client")
		want(s.promise("POST", path, asForm, 50_000), 413, "invalid_request")
	}
	_, ofGateway := s.exchanged("gateway")
	sidecartest.WantProblem(t, s.Refresh(ofGateway), 401, "invalid_client")
	other, refreshOfOther := s.exchanged("my-app")
	for code, form := range map[string][]string{
		"invalid_grant":          {"grant_type", "refresh_token", "refresh_token", refreshOfOther},
		"unsupported_grant_type": {"grant_type", "password"},
		"invalid_scope":          {"grant_type", "refresh_token", "refresh_token", "e", "scope", "all"},
		"invalid_target":         {"grant_type", "refresh_token", "refresh_token", "e", "resource", "https://other.example.com"},
	} {
		want(s.post("/oauth/token", "gateway", form...), 400, code)
	}
	want(s.post("/oauth/revoke", "gateway", "token", other), 400, "invalid_grant")
	want(s.post("/oauth/revoke", "gateway", "token", s.alice), 400, "unsupported_token_type")
}

// askTooOften fails until an address has failed too often.
func askTooOften(t *testing.T, c *contract) {
	s := newScene(t, c)
	s.Start(s.site(""))
	for range 100 {
		if s.post("/oauth/token", "nobody").Status == http.StatusTooManyRequests {
			break
		}
	}
	for _, path := range oauthPaths {
		sidecartest.WantStatus(t, s.post(path, "gateway", "token", "e"), http.StatusTooManyRequests)
	}
}
