package caddymodule_test

import (
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// fromForm is what a browser says of a form of a page of the same site.
var fromForm = []string{
	"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Accept", "text/html",
}

// A handedOver is a session that waits for its link to be opened.
type handedOver struct {
	sidecartest.Answer
	id, link, code string
}

// handOver creates a session by a link, and checks that its answer has that and no token.
func (s *sidecar) handOver(token, body string, header ...string) handedOver {
	s.t.Helper()
	got := s.Create(token, strings.Replace(body, "{", `{"deliver":"link",`, 1), header...)
	sidecartest.WantStatus(s.t, got, 200)
	sidecartest.WantHeaders(s.t, got, "Cache-Control", "no-store", "Set-Cookie", "")
	names := slices.Sorted(maps.Keys(got.Fields))
	if !slices.Equal(names, []string{"is_impersonation", "link", "link_expires_at", "session_id", "user_id"}) {
		s.t.Fatalf("the answer has %v", names)
	}
	h := handedOver{Answer: got, id: got.Text("session_id"), link: got.Text("link")}
	_, h.code, _ = strings.Cut(h.link, "#")
	return h
}

// preview asks what a link would open, as its page does.
func (p *person) preview(code string, header ...string) sidecartest.Answer {
	p.t.Helper()
	return p.present("preview", code, header)
}

// confirm opens a link, as the form of its page does.
func (p *person) confirm(code string, header ...string) sidecartest.Answer {
	p.t.Helper()
	return p.present("confirm", code, header)
}

func (p *person) present(to, code string, header []string) sidecartest.Answer {
	p.t.Helper()
	if header == nil {
		header = fromForm
	}
	got := p.post("/auth/sessions/open/"+to, url.Values{"code": {code}}.Encode(), header)
	p.keep(got)
	return got
}

// post posts a body with the cookies of the browser.
func (p *person) post(path, body string, header []string) sidecartest.Answer {
	p.t.Helper()
	req, err := http.NewRequest("POST", p.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Cookie", p.line())
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) //nolint:bodyclose // Read closes it; a transport follows nothing
	if err != nil {
		p.t.Fatal(err)
	}
	got, err := sidecartest.Read(resp)
	if err != nil {
		p.t.Fatal(err)
	}
	return got
}

func wantProblem(t *testing.T, what string, got sidecartest.Answer, status int, code string) {
	t.Helper()
	if got.Status != status || !strings.Contains(got.Body, code) {
		t.Errorf("%s: %d %s, want %d %s", what, got.Status, got.Body, status, code)
	}
	if got.Header["Set-Cookie"] != nil {
		t.Errorf("%s sets %v", what, got.Header["Set-Cookie"])
	}
}

const ticket = `{"user_id":"alice","reason":"ticket 4711","return_to":"/orders?id=1"}`

func TestLink_OpensTheSessionInTheBrowserThatFollowsIt(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	p := s.newPerson()
	p.signIn(idp.Token("carol", nil), `{"user_id":"carol"}`)
	own := p.copy()
	h := s.handOver(desk(idp), ticket)
	if !strings.HasPrefix(h.link, sidecartest.Issuer+"/auth/sessions/open#"+h.id+".") {
		t.Errorf("link %s", h.link)
	}
	until, err := time.Parse(time.RFC3339, h.Text("link_expires_at"))
	if left := time.Until(until); err != nil || left > time.Minute || left < 30*time.Second {
		t.Errorf("good until %s", h.Text("link_expires_at"))
	}

	page := p.do("GET", "/auth/sessions/open", "Sec-Fetch-Mode", "navigate", "Accept", "text/html")
	sidecartest.WantStatus(t, page, 200)
	got := p.preview(h.code)
	sidecartest.WantStatus(t, got, 200)
	sidecartest.WantFields(t, got, map[string]any{"user_id": "alice", "is_impersonation": true, "reason": "ticket 4711", "expires_in": 3600.0})
	if actor, _ := got.Fields["actor"].(map[string]any); actor["sub"] != "carol" || actor["iss"] != "https://idp.example.com" {
		t.Errorf("actor %v", got.Fields["actor"])
	}
	wantTold(t, p.do("GET", "/app"), "X-Auth-User", "carol")

	got = p.confirm(h.code)
	sidecartest.WantStatus(t, got, 303)
	sidecartest.WantHeaders(t, got, "Location", "/orders?id=1", "Cache-Control", "no-store", "Clear-Site-Data", `"cache"`, "Referrer-Policy", "same-origin")
	wantNoTokens(t, "opening", got)
	if !p.has(cookie, cookieRefresh, cookieAs, cookieAsRefresh) || p.copy()[cookie] != own[cookie] || p.copy()[cookieRefresh] != own[cookieRefresh] {
		t.Errorf("cookies %v", p.copy())
	}
	got = p.do("GET", "/app")
	wantTold(t, got, "X-Auth-User", "alice")
	wantTold(t, got, "X-Auth-Actor", "carol")

	thief := s.newPerson()
	for what, again := range map[string]*person{"again": p, "in another browser": thief} {
		wantProblem(t, what, again.preview(h.code), 400, "invalid_link")
		wantProblem(t, what, again.confirm(h.code), 400, "invalid_link")
	}
	if len(thief.copy()) != 0 {
		t.Errorf("a second browser has %v", thief.copy())
	}
	sidecartest.WantStatus(t, p.do("POST", "/auth/sessions/close", sameOrigin...), 303)
	if !maps.Equal(p.copy(), own) {
		t.Errorf("after it: %v", p.copy())
	}
	wantTold(t, p.do("GET", "/app"), "X-Auth-User", "carol")
}

// What looks at links in mails sends GET and HEAD, from anywhere, and runs scripts at times.
func TestLink_AScannerSpendsNothing(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	h := s.handOver(desk(idp), ticket)
	scanner := s.newPerson()
	for _, method := range []string{"GET", "HEAD", "GET"} {
		got := scanner.do(method, "/auth/sessions/open", "User-Agent", "scanner/1.0")
		sidecartest.WantStatus(t, got, 200)
		if strings.Contains(got.Body, h.code) || strings.Contains(got.Body, h.id) || got.Header["Set-Cookie"] != nil {
			t.Errorf("the page has a secret: %v", got.Header)
		}
	}
	for _, path := range []string{"/auth/sessions/open/preview", "/auth/sessions/open/confirm"} {
		got := scanner.do("GET", path+"?code="+url.QueryEscape("x"))
		sidecartest.WantStatus(t, got, 405)
		sidecartest.WantHeaders(t, got, "Allow", "POST")
	}
	sidecartest.WantStatus(t, scanner.preview(h.code), 200) // its scripts see what the page shows
	sidecartest.WantStatus(t, s.newPerson().confirm(h.code), 303)
}

// The page runs its own script and no other, is in no frame and no cache, and says whence nobody came.
func TestLink_ThePageHasNoSecretAndRunsItsOwnScriptAlone(t *testing.T) {
	t.Parallel()
	s, _ := browserSite(t, "", "browser")
	got := s.newPerson().do("GET", "/auth/sessions/open")
	sidecartest.WantHeaders(t, got, "Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store", "Referrer-Policy", "same-origin", "X-Content-Type-Options", "nosniff")
	policy := got.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q has no %s", policy, part)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(got.Body, "http://") || strings.Contains(got.Body, "https://") || strings.Contains(got.Body, " style=") {
		t.Errorf("the page loads something: %s\n%s", policy, got.Body)
	}
	for _, part := range []string{"<noscript>", "history.replaceState", `action="/auth/sessions/open/confirm"`, `lang="en"`} {
		if !strings.Contains(got.Body, part) {
			t.Errorf("the page has no %s", part)
		}
	}
}

// Nobody else's page opens a link: not another site's, nor another host's, nor one that does not
// say where it is from.
func TestLink_IsOpenedByItsOwnPageAlone(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	h := s.handOver(desk(idp), ticket)
	victim := s.newPerson()
	for what, header := range map[string][]string{
		"nobody":               {},
		"another site":         {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		"another host":         {"Sec-Fetch-Site", "same-site", "Origin", "https://www.example.com"},
		"an old browser":       {"Origin", "https://evil.example"},
		"a page without one":   {"Origin", "null"},
		"a host over http":     {"Origin", "http://app.example.com"},
		"two that differ":      {"Sec-Fetch-Site", "cross-site", "Origin", sidecartest.Issuer},
		"who came by a bearer": {"Authorization", "Bearer " + desk(idp)},
	} {
		form := append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)
		wantProblem(t, what, victim.confirm(h.code, form...), 403, "cross_origin")
		wantProblem(t, what, victim.preview(h.code, form...), 403, "cross_origin")
	}
	if len(victim.copy()) != 0 {
		t.Errorf("cookies %v", victim.copy())
	}
	sidecartest.WantStatus(t, victim.confirm(h.code), 303)
}

func TestLink_WhatIsNoCodeIsRefused(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	h := s.handOver(desk(idp), ticket)
	p := s.newPerson()
	for _, code := range []string{"x", h.id, h.id + ".", h.code + "A", h.code[:len(h.code)-1] + "!", strings.Repeat("a", 900)} {
		wantProblem(t, code, p.preview(code), 400, "invalid_link")
		wantProblem(t, code, p.confirm(code), 400, "invalid_link")
	}
	for _, to := range []string{"/auth/sessions/open/preview", "/auth/sessions/open/confirm"} {
		for _, body := range []string{"", "code=a&code=b", "code=a&x=1", "x=1", "code=%"} {
			got := p.post(to, body, fromForm)
			wantProblem(t, body, got, 400, "invalid_request")
			if !strings.Contains(got.Body, "with the code of the link") {
				t.Errorf("%s at %s: %s", body, to, got.Body)
			}
		}
		wantProblem(t, "a large body", p.post(to, "code="+strings.Repeat("a", 5000), fromForm), 413, "body_too_large")
		wantProblem(t, "JSON", p.post(to, `{"code":"a"}`, append([]string{"Content-Type", "application/json"}, sameOrigin...)), 415, "unsupported_media_type")
	}
	sidecartest.WantStatus(t, p.confirm(h.code), 303)
}

// Until its link is opened a session is its actor's and its managers' to see and end, and nobody has
// a token of it.
func TestLink_ASessionThatIsPendingIsItsActorsAlone(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", `browser
		manage scope sessions:admin from https://idp.example.com`)
	alice, officer := idp.Token("alice", nil), idp.Token("olga", map[string]any{"scope": "sessions:admin"})
	h := s.handOver(desk(idp), ticket)
	sees := func(what, token, query string, want bool) {
		t.Helper()
		got := s.Call("GET", query, token, "")
		sidecartest.WantStatus(t, got, 200)
		if strings.Contains(got.Body, h.id) != want {
			t.Errorf("%s lists %s: %s", what, query, got.Body)
		}
		if want && !strings.Contains(got.Body, `"pending_until":"`) {
			t.Errorf("%s is not told that it is pending: %s", what, got.Body)
		}
		status := 404
		if want {
			status = 200
		}
		sidecartest.WantStatus(t, s.Call("GET", "/"+h.id, token, ""), status)
	}
	sees("its user", alice, "?user_id=alice", false)
	sees("its actor", desk(idp), "?actor=carol", true)
	sees("an officer", officer, "?user_id=alice", true)
	sidecartest.WantStatus(t, s.Call("DELETE", "/"+h.id, alice, ""), 404)

	for what, end := range map[string]func(id string) sidecartest.Answer{
		"by its actor":   func(id string) sidecartest.Answer { return s.Call("DELETE", "/"+id, desk(idp), "") },
		"by an officer":  func(id string) sidecartest.Answer { return s.Call("DELETE", "/"+id, officer, "") },
		"all of an user": func(string) sidecartest.Answer { return s.Call("DELETE", "?user_id=alice", alice, "") },
		"all of a actor": func(string) sidecartest.Answer { return s.Call("DELETE", "?actor=carol", desk(idp), "") },
	} {
		h := s.handOver(desk(idp), ticket)
		sidecartest.WantStatus(t, end(h.id), 200)
		wantProblem(t, what, s.newPerson().confirm(h.code), 400, "invalid_link")
	}
}

func TestLink_ARequestThatIsRepeatedGetsTheSameLink(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	key := []string{"Idempotency-Key", "k1"}
	first := s.handOver(desk(idp), ticket, key...)
	if again := s.handOver(desk(idp), ticket, key...); again.link != first.link || again.id != first.id {
		t.Errorf("%s and %s", first.link, again.link)
	}
	for way, body := range map[string]string{"body": `{"user_id":"alice","reason":"ticket 4711"}`, "cookie": `{"deliver":"cookie","user_id":"alice","reason":"ticket 4711"}`} {
		got := s.Create(desk(idp), body, key...)
		wantProblem(t, way, got, 422, "idempotency_key_reused")
		wantNoTokens(t, way, got)
	}
	sidecartest.WantStatus(t, s.newPerson().confirm(first.code), 303)
	got := s.Create(desk(idp), strings.Replace(ticket, "{", `{"deliver":"link",`, 1), key...)
	wantProblem(t, "once it was opened", got, 409, "idempotency_key_spent")
}

// The code is in no log, no audit, no metric and nothing that the app sees.
func TestLink_TheCodeIsWrittenNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, idp := browserSite(t, "", "browser\n\t\taudit file "+filepath.Join(dir, "audit.jsonl"))
	p, other := s.newPerson(), s.newPerson()
	p.signIn(idp.Token("carol", nil), `{"user_id":"carol"}`)
	h := s.handOver(desk(idp), ticket)
	sidecartest.WantStatus(t, p.preview(h.code), 200)
	sidecartest.WantStatus(t, p.confirm(h.code), 303)
	wantProblem(t, "again", other.confirm(h.code), 400, "invalid_link")
	_, mac, _ := strings.Cut(h.code, ".")
	audit, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"the log": s.Log(), "the audit": string(audit), "what the app saw": p.do("GET", "/app").Body} {
		if strings.Contains(text, mac) {
			t.Errorf("the code is in %s", what)
		}
	}
	var created, opened, denied string
	for line := range strings.Lines(string(audit)) {
		if !strings.Contains(line, h.id) {
			continue
		}
		switch {
		case strings.Contains(line, `"event":"created"`):
			created = line
		case strings.Contains(line, `"event":"opened"`):
			opened = line
		case strings.Contains(line, `"event":"denied"`):
			denied = line
		}
	}
	if !strings.Contains(created, `"note":"pending until `) {
		t.Errorf("created: %s", created)
	}
	if !strings.Contains(opened, `"client_ip":"127.0.0.1"`) || !strings.Contains(opened, `"by":"carol"`) || !strings.Contains(opened, `"user_id":"alice"`) {
		t.Errorf("opened: %s", opened)
	}
	if !strings.Contains(denied, "link is not valid") {
		t.Errorf("denied: %s", denied)
	}
}

// On a host of their own the two people share nothing; the first host does not open what is for it.
func TestLink_ImpersonateOn_OpensOnTheOtherHost(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser {\n\t\t\timpersonate_on https://as.example.com\n\t\t}")
	home, away := s.newPerson(), s.newPerson()
	home.signIn(idp.Token("carol", nil), `{"user_id":"carol"}`)
	own := home.copy()
	h := s.handOver(desk(idp), ticket)
	if !strings.HasPrefix(h.link, "https://as.example.com/auth/sessions/open#") {
		t.Errorf("link %s", h.link)
	}
	wantProblem(t, "preview at home", home.preview(h.code), 400, "wrong_host")
	wantProblem(t, "at home", home.confirm(h.code), 400, "wrong_host")
	on := append(slices.Clone(fromForm), "Host", "as.example.com")
	got := away.confirm(h.code, on...)
	sidecartest.WantStatus(t, got, 303)
	if !away.has(cookieAs, cookieAsRefresh) || !maps.Equal(home.copy(), own) {
		t.Errorf("there %v, at home %v", away.copy(), home.copy())
	}
	wantTold(t, home.do("GET", "/app"), "X-Auth-User", "carol")
	wantTold(t, away.do("GET", "/app"), "X-Auth-User", "alice")
	mine := s.handOver(idp.Token("carol", nil), `{"user_id":"carol"}`)
	if !strings.HasPrefix(mine.link, sidecartest.Issuer+"/") || mine.Fields["is_impersonation"] != false {
		t.Errorf("one's own: %s", mine.Body)
	}
	wantProblem(t, "one's own there", away.confirm(mine.code, on...), 400, "wrong_host")
}

// Where there is but one host, the browser drops the app's cookies with each change of person.
func TestLink_ExpireCookies(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser {\n\t\t\texpire_cookies theme lang\n\t\t}")
	p := s.newPerson()
	p.set(map[string]string{"theme": "dark", "lang": "en"})
	got := p.confirm(s.handOver(desk(idp), ticket).code)
	sidecartest.WantStatus(t, got, 303)
	if !p.has(cookieAs, cookieAsRefresh) {
		t.Errorf("opened: %v", p.copy())
	}
	p.set(map[string]string{"theme": "light", "lang": "de"})
	sidecartest.WantStatus(t, p.do("POST", "/auth/sessions/close", sameOrigin...), 303)
	if !p.has() {
		t.Errorf("closed: %v", p.copy())
	}
	p.set(map[string]string{"theme": "dark"})
	p.confirm(s.handOver(idp.Token("carol", nil), `{"user_id":"carol"}`).code)
	if !p.has(cookie, cookieRefresh, "theme") {
		t.Errorf("one's own: %v", p.copy())
	}
}

// A session of one's own is opened in the place of the one that was there, which is revoked.
func TestLink_OnesOwnReplacesTheOneBefore(t *testing.T) {
	t.Parallel()
	s, idp := browserSite(t, "", "browser")
	p := s.newPerson()
	before := p.signIn(idp.Token("mallory", nil), `{"user_id":"mallory"}`)
	planted := p.copy()
	sidecartest.WantStatus(t, p.confirm(s.handOver(idp.Token("alice", nil), `{"user_id":"alice"}`).code), 303)
	wantTold(t, p.do("GET", "/app"), "X-Auth-User", "alice")
	mallory := s.newPerson()
	mallory.set(planted)
	wantTold(t, mallory.do("GET", "/app"), "X-Auth-User", "")
	sidecartest.WantStatus(t, s.Call("GET", "/"+before.Text("session_id"), idp.Token("mallory", nil), ""), 404)
}

// Without browser nothing opens links, and so nobody gets one.
func TestLink_WithoutBrowserThereIsNone(t *testing.T) {
	t.Parallel()
	idp, s := sidecartest.NewIDP(t, "https://idp.example.com"), newSidecar(t)
	s.Start(idp.Site(s.Sidecar, sidecartest.Echo(t), sidecartest.Lifecycle))
	got := s.Create(desk(idp), strings.Replace(ticket, "{", `{"deliver":"link",`, 1))
	wantProblem(t, "create", got, 400, "invalid_deliver")
	wantTold(t, s.through("GET", "/open"), "X-Auth-User", "")
}
