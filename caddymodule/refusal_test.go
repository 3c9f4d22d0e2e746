package caddymodule_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule"
	"authsidecar/caddymodule/internal/sidecartest"
)

// seen are the placeholders that an error route could tell the app.
const seen = "{http.auth.user.id}{http.auth.user.actor}{http.auth_sessions.user.session_id}{http.auth_sessions.id}{http.auth_sessions.actor}"

// errorRoutes leads all errors of a site to the app.
func errorRoutes(site, app, words string) string {
	return strings.TrimSuffix(strings.TrimSpace(site), "}") + words + `
	handle_errors {
		reverse_proxy ` + strings.TrimPrefix(app, "http://") + ` {
			header_up X-Seen "` + seen + `"
			header_up X-Orig "{http.request.orig_uri}{http.request.orig_uri.query}{http.request.uri}"
		}
	}
}
`
}

// overrides are what some apps take for another method.
var overrides = []string{"X-Http-Method-Override", "DELETE", "X-Http-Method", "DELETE", "X-Method-Override", "DELETE"}

// wantNobody wants the request that the app got from an error route to be nobody's.
func wantNobody(t *testing.T, what string, got sidecartest.Answer) {
	t.Helper()
	if got.Status != 200 || !strings.Contains(got.Body, " /") {
		t.Errorf("%s: no error route was taken: %d\n%s", what, got.Status, got.Body)
	}
	for _, ours := range []string{"X-Auth-", "eyJ", "DELETE", "_method", "session=", "alice", "carol", "{http."} {
		if strings.Contains(got.Body, ours) {
			t.Errorf("%s: the app gets %s:\n%s", what, ours, got.Body)
		}
	}
	wantTold(t, got, "X-Seen", "")
}

// Whatever a request is refused for, and whoever returns the error: what an error route
// leads to the app is nobody's, and no method but its own.
//
// Covers H5, U1, U5.
func TestRefusals_AreNobodysOnErrorRoutes(t *testing.T) {
	t.Parallel()
	s, p := newSidecar(t), &people{IDP: sidecartest.NewIDP(t, "https://idp.example.com")}
	other := sidecartest.NewIDP(t, "https://down.example.com")
	app, keys := sidecartest.Echo(t), sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	words := "lifecycle" + `
		trust ` + other.Issuer + ` {
			jwks ` + keys + `/keys
			audience ` + sidecartest.Audience + `
		}
		audit required
		audit file DIR/audit/audit.jsonl
		identity {
			require
			exempt /closed*
			accept callers
			cookie session
			MORE
		}
		impersonation {
			deny /billing/*
			READONLY
		}`
	site := strings.NewReplacer(
		"allow scope sessions:impersonate", "allow scope sessions:impersonate from "+p.Issuer,
		"jwks DIR/jwks.json", "users\n\t\t\tjwks DIR/jwks.json",
	).Replace(p.Site(s.Sidecar, app, words))
	site = errorRoutes(site, app, "\n\terror /closed* 418\n\terror /broken* 500\n\treverse_proxy /down* 127.0.0.1:1")
	dir := filepath.Join(s.Dir, "audit")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Start(strings.NewReplacer("MORE", "", "READONLY", "").Replace(site))
	p.own = s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
	p.imp = s.Create(p.Token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice"}`)
	sidecartest.WantStatus(t, p.own, 200)
	sidecartest.WantStatus(t, p.imp, 200)
	refused := func(what, method, path string, header ...string) {
		t.Helper()
		got := s.through(method, path+"?_method=DELETE&a=b", append(header, overrides...)...)
		wantNobody(t, what, got)
		if want := path + "?a=b"; !strings.HasPrefix(got.Body, method+" "+want+"\n") || !strings.Contains(got.Body, want+"a=b"+want) {
			t.Errorf("%s: the app gets\n%s", what, got.Body)
		}
	}
	own, imp, access := bearerOf(p.own), bearerOf(p.imp), p.own.Text("access_token")
	acted := "Bearer " + p.Token("alice", map[string]any{"act": map[string]any{"sub": "carol"}})
	host := strings.TrimPrefix(s.URL, "http://")
	everywhere := func() {
		refused("a bad token", "GET", "/app", "Authorization", own+"x")
		refused("a refresh token", "GET", "/app", "Authorization", "Bearer "+p.own.Text("refresh_token"))
		refused("a refresh token in a cookie", "GET", "/app", "Cookie", "session="+p.own.Text("refresh_token"))
		refused("two tokens", "GET", "/app", "Authorization", own, "Authorization", imp)
		refused("two cookies", "GET", "/app", "Cookie", "session="+access+"; session="+p.imp.Text("access_token"))
		refused("a token beside the cookie", "GET", "/app", "Authorization", "Token "+p.own.Text("refresh_token"), "Cookie", "session="+access)
		refused("a page of another site", "POST", "/app", "Cookie", "session="+access, "Origin", "https://evil.example.com")
		refused("a page of another site, with another issuer's token", "POST", "/app", "Cookie", "session="+p.Token("alice", nil), "Origin", "https://evil.example.com")
		refused("keys that cannot be had", "GET", "/app", "Authorization", "Bearer "+other.Token("alice", nil))
		refused("a token in another header", "GET", "/app", "Proxy-Authorization", "Bearer "+access)
		refused("deny", "GET", "/billing/x", "Authorization", imp)
		refused("a variant where deny stands", "GET", "/app;x", "Authorization", imp)
		refused("deny, unsafe", "POST", "/billing/x", "Authorization", imp)
		refused("deny, with a cookie", "POST", "/billing/x", "Cookie", "session="+p.imp.Text("access_token"), "Origin", "http://"+host)
		refused("deny, with another issuer's token", "GET", "/billing/x", "Authorization", acted)
		refused("a later error", "GET", "/closed", "Authorization", imp)
		refused("a later error, of an own session", "GET", "/closed", "Authorization", own)
		refused("a later error, of a caller", "GET", "/closed", "Authorization", "Bearer "+p.Token("alice", nil))
		refused("a later error, of nobody", "GET", "/closed")
		refused("a later fault", "GET", "/broken", "Authorization", imp)
		refused("an app that is down", "GET", "/down", "Authorization", imp)
		refused("an app that is down, unsafe", "POST", "/down", "Authorization", imp)
		refused("an app that is down, with another issuer's token", "GET", "/down", "Authorization", acted)
	}
	refused("nothing", "GET", "/app")
	everywhere()

	// What is the site's own fault is not the user's: pages for it may know who asks.
	got := s.through("GET", "/broken", "Authorization", own)
	wantTold(t, got, "X-Auth-User", "alice")
	wantTold(t, got, "Authorization", own)
	wantTold(t, s.through("GET", "/down", "Authorization", own), "X-Auth-User", "alice")

	// An audit that cannot be written.
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	refused("audit required", "POST", "/app", "Authorization", imp)
	if err := os.Rename(dir+".gone", dir); err != nil {
		t.Fatal(err)
	}

	if err := s.Reload(strings.NewReplacer("MORE", "assertion", "READONLY", "read_only").Replace(site)); err != nil {
		t.Fatal(err)
	}
	everywhere()
	refused("read_only", "POST", "/app", "Authorization", imp)
	refused("read_only, with another issuer's token", "PUT", "/app", "Authorization", acted)
	refused("read_only, an upgrade", "GET", "/app", "Authorization", imp, "Connection", "Upgrade", "Upgrade", "websocket")
}

// What could make the app take a request of its own for one of ours is not put back by an
// error, of a bare block neither.
//
// Covers H5.
func TestRefusals_AnOverrideOnOurPathDoesNotComeBack(t *testing.T) {
	t.Parallel()
	s, app := newSidecar(t), sidecartest.Echo(t)
	s.Start(errorRoutes(sidecartest.NewIDP(t, "https://idp.example.com").Site(s.Sidecar, app, ""), app, "\n\terror /auth/* 418"))
	got := s.through("GET", "/auth/sessions?_method=POST&a=b", "X-Http-Method-Override", "POST")
	if !strings.HasPrefix(got.Body, "GET /auth/sessions?a=b\n") || strings.Contains(got.Body, "POST") || strings.Contains(got.Body, "_method") {
		t.Errorf("the app gets\n%s", got.Body)
	}
}

// Where headers cannot be set, or nothing is open, as where somebody is refused.
func TestRefusals_AreNobodysWhereWeFail(t *testing.T) {
	s := newBench(t, t.TempDir(), `"identity":{"assertion":{}}`)
	own := "Bearer " + s.accessToken(t, "alice")
	caddymodule.ForgetKeys(s.handler)
	repl := caddy.NewReplacer()
	r := httptest.NewRequest(http.MethodGet, "/app?_method=DELETE&a=b", http.NoBody)
	r.Header.Set("Authorization", own)
	r.Header.Set("X-Http-Method-Override", "DELETE")
	r = caddyhttp.PrepareRequest(r, repl, httptest.NewRecorder(), nil)
	err := s.handler.ServeHTTP(httptest.NewRecorder(), r, nothing)
	if failed, ok := errors.AsType[caddyhttp.HandlerError](err); !ok || failed.StatusCode != 503 {
		t.Fatalf("the error %v", err)
	}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Auth-") || name == "Authorization" || name == "X-Http-Method-Override" {
			t.Errorf("it has %s: %s", name, values)
		}
	}
	if got := repl.ReplaceKnown(seen+"{http.request.orig_uri} {http.request.orig_uri.query} {http.request.uri}", ""); got != "/app?a=b a=b /app?a=b" {
		t.Errorf("placeholders %s", got)
	}
}

// A refusal says what happened: to programs as problem details, to people as a page, and
// to the operator in the access log, the metrics and the audit.
//
// Covers L2, O11.
func TestRefusals_SayWhatHappened(t *testing.T) {
	t.Parallel()
	s, p := newSidecar(t), &people{IDP: sidecartest.NewIDP(t, "https://idp.example.com")}
	site := p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity {\n\t\t\trequire\n\t\t\tcookie session\n\t\t}\n\t\timpersonation {\n\t\t\tread_only\n\t\t\tdeny /billing/*\n\t\t}")
	s.Start(strings.Replace(site, "SITE {", "SITE {\n\tlog", 1))
	p.own = s.Create(p.Token("alice", nil), `{"user_id":"alice"}`)
	p.imp = s.Create(p.Token("carol", map[string]any{"scope": "sessions:impersonate"}), `{"user_id":"alice","reason":"ticket 4711"}`)
	imp, cookie := bearerOf(p.imp), "session="+p.own.Text("access_token")
	forged := bearerOf(p.own)[:len(bearerOf(p.own))-4] + "AAAA"
	for n, c := range []struct {
		reason, method, path string
		session              sidecartest.Answer
		status               int
		header               []string
	}{
		{"read_only", "POST", "/app", p.imp, 403, []string{"Authorization", imp}},
		{"deny", "GET", "/billing/x", p.imp, 403, []string{"Authorization", imp}},
		{"path_variant", "GET", "/app;x", p.imp, 403, []string{"Authorization", imp}},
		{"cross_origin", "POST", "/app", p.own, 403, []string{"Cookie", cookie, "Origin", "https://evil.example.com"}},
		{"no_token", "GET", "/app", sidecartest.Answer{}, 401, nil},
		{"signature", "GET", "/app", sidecartest.Answer{}, 401, []string{"Authorization", forged}},
	} {
		code := map[string]string{"no_token": "missing_token", "signature": "invalid_token"}[c.reason]
		if code == "" {
			code = c.reason
		}
		got := s.through(c.method, c.path, append([]string{"Accept", "application/json"}, c.header...)...)
		_ = json.Unmarshal([]byte(got.Body), &got.Fields)
		if got.Status != c.status || got.Header.Get("Content-Type") != "application/problem+json" || got.Text("code") != code || got.Fields["status"] != float64(c.status) {
			t.Errorf("%s: %d %s", c.reason, got.Status, got.Body)
		}
		page := s.through(c.method, c.path, append([]string{"Accept", "text/html,*/*;q=0.8"}, c.header...)...)
		if page.Status != c.status || page.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page.Body, got.Text("detail")) {
			t.Errorf("%s: the page is %d %s\n%s", c.reason, page.Status, page.Header.Get("Content-Type"), page.Body)
		}
		if empty := s.through("HEAD", c.path, c.header...); empty.Body != "" {
			t.Errorf("%s: HEAD has a body", c.reason)
		}
		if page.Header.Get("Vary") != "Accept, Sec-Fetch-Mode" || page.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", c.reason, page.Header)
		}
		entry := s.accessLog(2 + 3*n)
		want := map[string]any{"session_decision": "denied:" + c.reason, "session_id": nil, "session_user": nil}
		if id := c.session.Text("session_id"); id != "" {
			want["session_id"], want["session_user"] = id, "alice"
			s.WaitLog(`"session_id":"` + id + `","user_id":"alice","is_impersonation":` + strconv.FormatBool(c.session.Fields["is_impersonation"].(bool)))
			s.WaitLog(`"method":"` + c.method + `","path":"` + c.path + `","status":403,"error":"` + c.reason + `"}`)
		}
		for name, value := range want {
			if entry[name] != value {
				t.Errorf("%s: %s is %v, want %v", c.reason, name, entry[name], value)
			}
		}
		if n := s.scrape()[`auth_sessions_rejections_total{realm="https://app.example.com",reason="`+c.reason+`"}`]; n == "" || n == "0" {
			t.Errorf("%s: counted %q", c.reason, n)
		}
	}
}

// The site's error routes go before ours, wherever they are and whatever they match; where
// none takes the error, the answer is ours.
func TestRefusals_LeaveTheAnswerToErrorRoutes(t *testing.T) {
	t.Parallel()
	s, p := newSidecar(t), &people{IDP: sidecartest.NewIDP(t, "https://idp.example.com")}
	site := strings.TrimSuffix(strings.TrimSpace(p.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle+"\n\t\tidentity {\n\t\t\trequire\n\t\t}")), "}")
	host := strings.Replace(site, "SITE", s.URL, 1)
	elsewhere := "\nhttp://other.example.com:" + sidecartest.PortOf(s.URL) + " {\n\thandle_errors {\n\t\trespond theirs\n\t}\n}\n"
	const ours, theirs = `"code":"missing_token"`, "Send an access token. Or sign in: 401 Sign in, or send an access token as bearer token in the Authorization header."
	const page = "respond `Send an access token. Or sign in: {err.status_code} {err.message}`"
	s.Start(site + "}\n")
	for _, c := range []struct{ name, site, path, want string }{
		{"no error routes", site + "}\n", "/app", ours},
		{"for all", site + "handle_errors {\n" + page + "\n}\n}\n", "/app", theirs},
		{"for this status", site + "handle_errors 401 403 {\n" + page + "\n}\n}\n", "/app", theirs},
		{"for others", site + "handle_errors 404 5xx {\n" + page + "\n}\n}\n", "/app", ours},
		{"for several, ours among them", site + "handle_errors 404 {\nrespond no\n}\nhandle_errors 4xx {\n" + page + "\n}\n}\n", "/app", theirs},
		{"for another host", host + "}\n" + elsewhere, "/app", ours},
		{"for this host", host + "handle_errors {\n" + page + "\n}\n}\n" + elsewhere, "/app", theirs},
		{"for this host, another status", host + "handle_errors 404 {\n" + page + "\n}\n}\n" + elsewhere, "/app", ours},
		{"for this path", site + "handle_errors {\nhandle /app {\n" + page + "\n}\n}\n}\n", "/app", theirs},
		{"for another path", site + "handle_errors {\nhandle /other {\n" + page + "\n}\n}\n}\n", "/app", ours},
		{"by what the client asked for", strings.Replace(site, "\tauth_sessions {", "\troute {\n\trewrite * /index.html\n\tauth_sessions {", 1) + "\t}\nhandle_errors {\nhandle /app {\n" + page + "\n}\n}\n}\n", "/app", theirs},
		{"by the method that the client used", strings.Replace(site, "\tauth_sessions {", "\troute {\n\tmethod POST\n\tauth_sessions {", 1) + "\t}\nhandle_errors {\n@get method GET\nhandle @get {\n" + page + "\n}\n}\n}\n", "/app", theirs},
		{"by the message", site + "handle_errors {\n@it expression `{err.message}.startsWith('Sign in')`\nhandle @it {\n" + page + "\n}\n}\n}\n", "/app", theirs},
	} {
		if err := s.Reload(c.site); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := s.through("GET", c.path); got.Status != 401 && c.want == ours || !strings.Contains(got.Body, c.want) {
			t.Errorf("%s: %d %s", c.name, got.Status, got.Body)
		}
	}
	// In JSON, any routes can have error routes of their own.
	if err := s.Reload(host + "}\n"); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the configuration is changed", func() bool { // its server changes hands at a reload
		req, _ := http.NewRequest("PUT", "http://"+s.Admin+"/config/apps/http/servers/srv0/routes/0/handle/0/errors",
			strings.NewReader(`{"routes":[{"handle":[{"handler":"static_response","status_code":"418","body":"around"}]}]}`))
		req.Header.Set("Content-Type", "application/json")
		got, err := s.Do(req)
		return err == nil && (got.Status == 200 || got.Status == 409) // 409: it is there
	})
	if got := s.through("GET", "/app"); got.Status != 418 || got.Body != "around" {
		t.Errorf("around us: %d %s", got.Status, got.Body)
	}
}
