package oauthapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"authsidecar/sessions/jose"
	"authsidecar/sessions/urlpath"
)

// Covers O1, O4.
func TestToken_ARefreshGivesTheNextPair(t *testing.T) {
	f := newFixture(t)
	first := f.session()
	second := f.refresh(first.text("refresh_token"))
	f.want(second, 200, "")
	if second.text("token_type") != "Bearer" || second.fields["expires_in"] != 600.0 || second.text("refresh_token") == first.text("refresh_token") || second.text("access_token") == "" {
		t.Errorf("%s", second.body)
	}
	if _, has := second.fields["issued_token_type"]; has {
		t.Errorf("a refresh is no exchange: %s", second.body)
	}
	// A used token that comes back after the grace period revokes the session, of both sides.
	f.now = f.now.Add(time.Minute)
	f.want(f.refresh(first.text("refresh_token")), 400, "invalid_grant")
	f.want(f.refresh(second.text("refresh_token")), 400, "invalid_grant")
}

// Covers M4.
func TestToken_ARefreshWidensNothing(t *testing.T) {
	f := newFixture(t)
	token := f.session().text("refresh_token")
	for _, tt := range []struct{ name, value, code string }{
		{"scope", "admin", "invalid_scope"},
		{"scope", "sessions:impersonate act", "invalid_scope"},
		{"resource", "https://other.example.com", "invalid_target"},
		{"audience", "other", "invalid_target"},
	} {
		calls := f.store.calls
		got := f.post("/token", "grant_type", "refresh_token", "client_id", "app", "refresh_token", token, tt.name, tt.value)
		f.want(got, 400, tt.code)
		if f.store.calls != calls {
			t.Errorf("%s %s: the store was asked", tt.name, tt.value)
		}
	}
	got := f.post("/token", "grant_type", "refresh_token", "client_id", "app", "refresh_token", token, "scope", "", "resource", issuer)
	f.want(got, 200, "") // what is asked is what there is, and nothing was rotated before
}

// Covers O3.
func TestToken_AClientCannotRefreshAnothersSession(t *testing.T) {
	f := newFixture(t)
	token, kept := f.gatewaySession().text("refresh_token"), f.session().text("refresh_token")
	calls := f.store.calls
	f.want(f.refresh(token), 400, "invalid_grant")                                                                               // of a confidential client, by a public one
	f.want(f.postBasic("/token", "gateway", secret, "grant_type", "refresh_token", "refresh_token", kept), 400, "invalid_grant") // and the other way round
	f.want(f.post("/token", "grant_type", "refresh_token", "client_id", "gateway", "refresh_token", token), 401, "invalid_client")
	if f.store.calls != calls {
		t.Error("the store was asked")
	}
	f.want(f.postBasic("/token", "gateway", secret, "grant_type", "refresh_token", "refresh_token", token), 200, "")
	f.want(f.refresh(kept), 200, "")
}

func TestToken_AnAccessTokenIsNoRefreshTokenAndTheOtherWayRound(t *testing.T) {
	f := newFixture(t)
	got := f.session()
	f.want(f.refresh(got.text("access_token")), 400, "invalid_grant")
	f.want(f.refresh(f.token("alice", nil)), 400, "invalid_grant")
	if caller, err := f.api.Verifier.VerifyOwn(t.Context(), got.text("refresh_token")); err == nil {
		t.Errorf("a refresh token is good as an access token of %v", caller.Principal)
	}
	f.want(f.refresh(got.text("refresh_token")), 200, "")
}

func TestToken_GrantsThatAreNotOfferedAreRefused(t *testing.T) {
	f := newFixture(t)
	for _, grant := range []string{"authorization_code", "client_credentials", "password", "urn:ietf:params:oauth:grant-type:jwt-bearer", "REFRESH_TOKEN", "refresh_token "} {
		f.want(f.postBasic("/token", "gateway", secret, "grant_type", grant, "username", "alice", "password", "x"), 400, "unsupported_grant_type")
	}
	f.want(f.post("/token", "client_id", "app"), 400, "invalid_request")
	f.want(f.post("/token", "client_id", "app", "grant_type", ""), 400, "invalid_request")
	f.want(f.post("/token", "client_id", "app", "grant_type", "refresh_token"), 400, "invalid_request")
	if f.store.calls != 0 {
		t.Error("the store was asked")
	}
}

// Covers O1.
func TestToken_ParametersComeOnceAndInTheBodyOfAForm(t *testing.T) {
	f := newFixture(t)
	token := f.session().text("refresh_token")
	good := "grant_type=refresh_token&client_id=app&refresh_token=" + token
	calls := f.store.calls
	for _, tt := range []struct {
		name, target, media, body string
		status                    int
	}{
		{"as JSON", "/oauth/token", "application/json", `{"grant_type":"refresh_token","client_id":"app","refresh_token":"` + token + `"}`, 400},
		{"as JSON that says it is a form", "/oauth/token", "", `{"grant_type":"refresh_token","client_id":"app","refresh_token":"` + token + `"}`, 401},
		{"in the query", "/oauth/token?" + good, "", "", 400},
		{"one of them in the query", "/oauth/token?client_id=app", "", good, 400},
		{"an empty query", "/oauth/token?", "", good, 400},
		{"the token twice", "/oauth/token", "", good + "&refresh_token=" + token, 400},
		{"the token twice, once spelled otherwise", "/oauth/token", "", good + "&refresh%5Ftoken=" + token, 400},
		{"the token twice, once empty", "/oauth/token", "", good + "&refresh_token=", 400},
		{"the client twice", "/oauth/token", "", good + "&client_id=app", 400},
		{"the grant type twice", "/oauth/token", "", good + "&grant_type=" + grantExchange, 400},
		{"an unknown one twice", "/oauth/token", "", good + "&x=1&x=1", 400},
		{"bad encoding", "/oauth/token", "", good + "&x=%zz", 400},
		{"no text", "/oauth/token", "", good + "&x=%ff", 400},
		{"in another charset", "/oauth/token", "application/x-www-form-urlencoded; charset=iso-8859-1", good, 400},
		{"as parts", "/oauth/token", "multipart/form-data; boundary=x", good, 400},
		{"many", "/oauth/token", "", good + "&" + manyParameters(), 400},
		{"much", "/oauth/token", "", good + "&x=" + strings.Repeat("x", maxBody), 413},
	} {
		r := formRequest(tt.target, tt.body)
		if tt.media != "" {
			r.Header.Set("Content-Type", tt.media)
		}
		code := "invalid_request"
		if tt.status == 401 {
			code = "invalid_client"
		}
		if got := f.send(r); got.status != tt.status || got.text("error") != code {
			t.Errorf("%s: %d %s, want %d %s", tt.name, got.status, got.body, tt.status, code)
		}
	}
	if f.store.calls != calls {
		t.Error("the store was asked")
	}
	r := formRequest("/oauth/token", good)
	r.Header.Set("Content-Encoding", "gzip")
	f.want(f.send(r), 400, "invalid_request")
	r = formRequest("/oauth/token", "unknown=1&unknown2=&&"+good+"&") // unknown ones are ignored, and so is what is empty
	r.Header.Set("Content-Type", "Application/X-WWW-Form-urlencoded; Charset=UTF-8")
	f.want(f.send(r), 200, "")
}

func manyParameters() string {
	var b strings.Builder
	for i := range maxParameters {
		b.WriteString("&p" + strings.Repeat("x", i) + "=1")
	}
	return b.String()
}

func TestToken_AnEndpointIsAskedByPostAlone(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post"} {
			got := f.send(httptest.NewRequest(method, path, nil))
			f.want(got, http.StatusMethodNotAllowed, "invalid_request")
			if got.header.Get("Allow") != "POST" {
				t.Errorf("%s %s: Allow is %q", method, path, got.header.Get("Allow"))
			}
		}
	}
}

// Covers H6.
func TestToken_VariantsOfThePathsAreNobodys(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{
		"/oauth/token/", "/oauth/token;x", "/oauth%252ftoken", "//x/oauth/token", "/oauth/token%20", "/oauth/to%E2%80%8Bken", "/index.php/oauth/token",
		"/oauth/introspect/..;/introspect", "/.well-known/openid-configuration/", "/.well-known/openid-configuration;a=b",
	} {
		f.want(f.send(formRequest(path, "")), http.StatusNotFound, "invalid_request")
	}
	for _, path := range []string{"/oauth", "/oauth/", "/oauth/authorize", "/oauth/tokens", "/x/oauth/token", "/.well-known/", "/.well-known/jwks.json"} {
		if match := f.api.Route(httptest.NewRequest("POST", path, nil)); match.Owner != urlpath.Pass {
			t.Errorf("%s: %+v, want the app's", path, match)
		}
	}
	got := f.send(formRequest("/OAuth//token", "client_id=app"))
	f.want(got, http.StatusBadRequest, "invalid_request") // as Caddy's own matcher reads it
}

func TestRoute_DoesNotAllocateForTheApp(t *testing.T) {
	f := newFixture(t)
	r := httptest.NewRequest("GET", "/api/v1/things/4711?page=2", nil)
	if n := testing.AllocsPerRun(100, func() { f.api.Route(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestToken_AStoreThatIsDownIsNotInvalidGrant(t *testing.T) {
	f := newFixture(t)
	got := f.session()
	f.store.down = true
	for _, again := range []answer{
		f.refresh(got.text("refresh_token")),
		f.exchange("subject_token", f.token("alice", nil), "subject_token_type", tokenTypeJWT),
		f.post("/revoke", "client_id", "app", "token", got.text("refresh_token")),
		f.post("/revoke", "client_id", "app", "token", got.text("access_token")),
		f.postBasic("/introspect", "gateway", secret, "token", f.gatewayToken()),
	} {
		f.want(again, http.StatusServiceUnavailable, "temporarily_unavailable")
		if again.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q", again.header.Get("Retry-After"))
		}
	}
	f.store.down = false
	f.want(f.refresh(got.text("refresh_token")), 200, "")
}

// gatewayToken is a refresh token of the client gateway, however the store is.
func (f *fixture) gatewayToken() string {
	f.t.Helper()
	down := f.store.down
	f.store.down = false
	defer func() { f.store.down = down }()
	return f.gatewaySession().text("refresh_token")
}

func TestToken_APanicIsA500ThatSaysNothing(t *testing.T) {
	f := newFixture(t)
	f.api.Sessions = nil
	got := f.refresh("x.y.z")
	f.want(got, 500, "server_error")
	if len(f.failed) != 1 || !strings.Contains(f.failed[0].Error(), "panic: ") {
		t.Errorf("%v", f.failed)
	}
}

func TestUnavailable_IsA503(t *testing.T) {
	f := newFixture(t)
	w := httptest.NewRecorder()
	f.api.Unavailable(w, formRequest("/oauth/token", "x=1"), urlpath.Match{}, http.ErrServerClosed)
	if w.Code != 503 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "temporarily_unavailable") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestToken_ABodyThatEndsTooEarlyOrHasTooMuchSaysSo(t *testing.T) {
	f := newFixture(t)
	r := formRequest("/oauth/token", "")
	r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
	for want, r := range map[string]*http.Request{
		"The body ended too early":             r,
		"The body has more than 64 parameters": formRequest("/oauth/token", "x=1"+manyParameters()),
	} {
		got := f.send(r)
		f.want(got, 400, "invalid_request")
		if !strings.HasPrefix(got.text("error_description"), want) {
			t.Errorf("%v, want %q", got.fields, want)
		}
	}
}

// Covers O5.
func TestErrors_HaveTheCharactersOfTheRFC(t *testing.T) {
	all := []*answerError{errPath, errMethod, errMedia, errForm, errMany, errQuery, errRepeated, errTooLarge, errTimeout, errMethods, errClientID, errClient, errLimited, errNoGrantType, errGrantType, errNoRefresh, errNoToken, errForeignToken, errSubject, errActor, errNoActor, errTokenType, errRequested, errUser, errMayAct, errScope, errTarget, errTokens, errInternal}
	for _, cause := range causes {
		all = append(all, cause.Answer)
	}
	for _, e := range all {
		for _, c := range e.code + e.description {
			if c < 0x20 || c == '"' || c == '\\' || c > 0x7e {
				t.Errorf("%q has %q", e.description, c)
			}
		}
		if e.code == "" || e.description == "" || e.status < 400 {
			t.Errorf("%+v is not whole", e)
		}
	}
	if got := 2*jose.MaxTokenSize + 8<<10; got != 40<<10 {
		t.Errorf("a body may have %d bytes: the text says 40 KiB", got)
	}
}
