package interop

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// formPaths take forms of our pages, and linkOfNone is the code of a link by its form.
var formPaths = []string{"/auth/sessions/open/preview", "/auth/sessions/open/confirm", "/auth/sessions/close"}

var linkOfNone = strings.Repeat("A", 22) + "." + strings.Repeat("A", 22)

// present sends a code as the page of its link does.
func (s *scene) present(to, code string) sidecartest.Answer {
	s.t.Helper()
	form := url.Values{"code": {code}}.Encode()
	return s.send("POST", "/auth/sessions/open/"+to, form, "Content-Type", asForm, "Sec-Fetch-Site", "same-origin")
}

// linked creates a session by a link, and returns the code.
func (s *scene) linked(token, body string) string {
	s.t.Helper()
	got := s.Create(token, body)
	sidecartest.WantStatus(s.t, got, 200)
	_, code, _ := strings.Cut(got.Text("link"), "#")
	return code
}

func openLinks(t *testing.T, c *contract) {
	s := newScene(t, c)
	s.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.Start(s.site(""))
	problem := func(got sidecartest.Answer, status int, code string) {
		t.Helper()
		sidecartest.WantStatus(t, got, status)
		sidecartest.WantFields(t, got, map[string]any{"code": code})
	}
	sidecartest.WantStatus(t, s.Create(s.alice, `{"user_id":"alice","deliver":"cookie"}`), 200)
	for _, method := range []string{"GET", "HEAD"} {
		sidecartest.WantStatus(t, s.send(method, "/auth/sessions/open", ""), 200)
	}
	acting := s.linked(s.desk, `{"user_id":"alice","reason":"ticket 4711","deliver":"link","return_to":"/orders"}`)
	sidecartest.WantStatus(t, s.present("preview", acting), 200)
	sidecartest.WantStatus(t, s.present("confirm", acting), 303)
	for _, to := range []string{"preview", "confirm"} {
		problem(s.present(to, acting), 400, "invalid_link")
		problem(s.send("POST", "/auth/sessions/open/"+to, "code=x", "Content-Type", asForm, "Sec-Fetch-Site", "cross-site"), 403, "cross_origin")
		problem(s.send("POST", "/auth/sessions/open/"+to, "a=b", "Content-Type", asForm, "Sec-Fetch-Site", "same-origin"), 400, "invalid_request")
		problem(s.send("POST", "/auth/sessions/open/"+to, "{}", "Content-Type", asJSON, "Sec-Fetch-Site", "same-origin"), 415, "unsupported_media_type")
		problem(s.present(to, strings.Repeat("a", 5000)), 413, "body_too_large")
	}
	quotes := strings.Repeat(`"`, 255) // each is two bytes in a token
	body, err := json.Marshal(map[string]any{"user_id": quotes, "deliver": "link"})
	if err != nil {
		t.Fatal(err)
	}
	large := s.linked(s.idp.Token(quotes, map[string]any{"groups": strings.Repeat("g", 1500)}), string(body))
	problem(s.present("confirm", large), 400, "cookies_too_large")

	closeSessions(s)

	people := &scene{Sidecar: sidecartest.New(t), t: t}
	c.watch(people.Sidecar)
	people.startSignIn("")
	problem(people.present("confirm", people.linked(people.desk, `{"user_id":"alice","reason":"ticket 4711","deliver":"link"}`)), 403, "sign_in_required")

	apart := newScene(t, c)
	apart.Start(strings.Replace(apart.site(""), "browser {\n", "browser {\n\t\t\timpersonate_on https://as.example.com\n", 1))
	elsewhere := apart.linked(apart.desk, `{"user_id":"alice","reason":"ticket 4711","deliver":"link"}`)
	problem(apart.present("preview", elsewhere), 400, "wrong_host")
}

// inCookies creates a session in cookies, and returns these.
func (s *scene) inCookies(token, body string) (line string) {
	s.t.Helper()
	got := s.Create(token, body)
	sidecartest.WantStatus(s.t, got, 200)
	for _, set := range got.Header["Set-Cookie"] {
		pair, _, _ := strings.Cut(set, ";")
		line += pair + "; "
	}
	return strings.TrimSuffix(line, "; ")
}

// closeSessions signs out by cookie.
func closeSessions(s *scene) {
	s.t.Helper()
	end := func(form, contentType, site, line string) sidecartest.Answer {
		return s.send("POST", "/auth/sessions/close", form, "Content-Type", contentType, "Sec-Fetch-Site", site, "Cookie", line)
	}
	own := s.inCookies(s.alice, `{"user_id":"alice","deliver":"cookie"}`)
	acting := s.inCookies(s.desk, `{"user_id":"alice","reason":"ticket 4711","deliver":"cookie"}`)
	sidecartest.WantStatus(s.t, s.send("GET", "/auth/sessions/banner", "", "Cookie", acting), 200)
	sidecartest.WantStatus(s.t, s.send("GET", "/auth/sessions/banner", "", "Cookie", own), 204)
	for _, method := range []string{"GET", "HEAD"} {
		script := s.send(method, "/auth/sessions/banner.js", "")
		sidecartest.WantStatus(s.t, script, 200)
		sidecartest.WantStatus(s.t, s.send(method, "/auth/sessions/banner.js", "", "If-None-Match", script.Header.Get("ETag")), 304)
	}
	for _, c := range []struct {
		got    sidecartest.Answer
		status int
		code   any
	}{
		{end("a=b", asForm, "same-origin", own), 400, "invalid_request"},
		{end("everywhere=true", asForm, "same-origin", acting), 403, "insufficient_scope"},
		{end("everywhere=true", asForm, "cross-site", own), 403, "cross_origin"},
		{end("{}", asJSON, "same-origin", own), 415, "unsupported_media_type"},
		{end("return_to="+strings.Repeat("a", 5000), asForm, "same-origin", own), 413, "body_too_large"},
		{end("return_to=/bye&everywhere=true", asForm, "same-origin", own), 303, nil},
		{end("everywhere=true", asForm, "same-origin", own), 401, "session_over"},
	} {
		sidecartest.WantStatus(s.t, c.got, c.status)
		if c.code != nil {
			sidecartest.WantFields(s.t, c.got, map[string]any{"code": c.code})
		}
	}
}
