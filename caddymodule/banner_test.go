package caddymodule_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"authsidecar/caddymodule/internal/sidecartest"
)

// goes are the headers of a browser that goes to a page.
var goes = []string{"Accept", "text/html", "Accept-Encoding", "gzip, br", "If-None-Match", `"app"`, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none"}

// pageApp answers with a page as a query asks for: policy and encoding are headers.
func pageApp(t *testing.T) string {
	return sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, value := range r.URL.Query() {
			h.Set(name, value[0])
		}
		h.Set("Etag", `"app"`)
		h.Set("X-Asked", r.Header.Get("Accept-Encoding")+r.Header.Get("If-None-Match")+r.Header.Get("Range"))
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "text/html; charset=utf-8")
		}
		_, _ = io.WriteString(w, "<!doctype html><title>the app</title>")
	})
}

// bannerSite is a site with the bar, and carol who acts as a user there.
func bannerSite(t *testing.T, app, user string) (*sidecar, *person) {
	t.Helper()
	s, idp := browserSiteOf(t, app, "", "browser {\n\t\t\tbanner\n\t\t}")
	p := s.newPerson()
	p.signIn(desk(idp), `{"user_id":"`+user+`","reason":"ticket 4711"}`)
	return s, p
}

const bannerTag = `<script src="/auth/sessions/banner.js?v=`

func TestBanner_IsOnThePagesOfAnImpersonationAlone(t *testing.T) {
	t.Parallel()
	s, idp := browserSiteOf(t, pageApp(t), "", "browser {\n\t\t\tbanner\n\t\t}")
	carol, alice := s.newPerson(), s.newPerson()
	created := carol.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4711"}`)
	alice.signIn(idp.Token("alice", nil), `{"user_id":"alice"}`)

	got := carol.do("GET", "/", goes...)
	if !strings.Contains(got.Body, bannerTag) || !strings.Contains(got.Body, `data-session="`+created.Text("session_id")+`"`) {
		t.Errorf("no bar: %s", got.Body)
	}
	sidecartest.WantHeaders(t, got, "X-Asked", "identity", "Etag", "", "Cache-Control", "no-store")
	script := bannerTag[strings.Index(bannerTag, "/auth"):]
	_, version, _ := strings.Cut(got.Body, script)
	version, _, _ = strings.Cut(version, `"`)
	got = s.through("GET", script+version)
	sidecartest.WantHeaders(t, got, "Cache-Control", "public, max-age=31536000", "Content-Type", "text/javascript; charset=utf-8", "X-Content-Type-Options", "nosniff")

	for name, got := range map[string]sidecartest.Answer{
		"one's own page": alice.do("GET", "/", goes...),
		"nobody's page":  s.through("GET", "/", goes...),
		"fetch":          carol.do("GET", "/", "Accept", "text/html", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"),
		"a frame":        carol.do("GET", "/", "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"),
		"HEAD":           carol.do("HEAD", "/", goes...),
		"by token":       s.through("GET", "/", append([]string{"Authorization", "Bearer " + desk(idp)}, goes...)...),
	} {
		if strings.Contains(got.Body, "<script") || got.Header.Get("X-Asked") == "identity" || got.Header.Get("Etag") != `"app"` {
			t.Errorf("%s: %v %s", name, got.Header, got.Body)
		}
	}
}

func TestBanner_CountsWhereItCannotBe(t *testing.T) {
	t.Parallel()
	s, p := bannerSite(t, pageApp(t), "alice")
	for query, want := range map[string]string{
		"": "added",
		"?Content-Security-Policy=script-src+'nonce-abc'": "added",
		"?Content-Security-Policy=default-src+'none'":     "policy",
		"?Content-Encoding=br":                            "encoded",
		"?Content-Type=text/html%3Bcharset%3Dutf-16":      "charset",
		"?Content-Type=application/pdf":                   "type",
		"?Content-Disposition=attachment":                 "",
	} {
		before := s.scrape()
		got := p.do("GET", "/"+query, goes...)
		if tagged := strings.Contains(got.Body, bannerTag); tagged != (want == "added") {
			t.Errorf("%s: %s", query, got.Body)
		}
		if strings.Contains(query, "nonce") && !strings.Contains(got.Body, ` nonce="abc"`) {
			t.Errorf("%s: %s", query, got.Body)
		}
		after := s.scrape()
		for _, outcome := range []string{"added", "policy", "encoded", "charset", "type", "partial", "failed"} {
			name := `auth_sessions_banners_total{outcome="` + outcome + `",realm="https://app.example.com"}`
			if grew := before[name] != after[name]; grew != (outcome == want) || after[name] == "" {
				t.Errorf("%s: %s was %s and is %s", query, outcome, before[name], after[name])
			}
		}
	}
}

// What the bar asks for says who acts as whom, without consequences: no token is rotated, and
// what is over is for the next request to refuse.
func TestBanner_TheStateHasNoConsequences(t *testing.T) {
	t.Parallel()
	s, p := bannerSite(t, pageApp(t), `<img src=x onerror=alert(1)>`)
	sidecartest.WantStatus(t, s.through("GET", "/auth/sessions/banner"), 204) // nobody acts
	for _, forgotten := range []string{"", cookieAs} {
		p.forget(forgotten)
		got := p.do("GET", "/auth/sessions/banner")
		sidecartest.WantStatus(t, got, 200)
		sidecartest.WantFields(t, got, map[string]any{"user_id": "<img src=x onerror=alert(1)>", "reason": "ticket 4711"})
		actor, _ := got.Fields["actor"].(map[string]any)
		left, _ := got.Fields["expires_in"].(float64)
		if actor["sub"] != "carol" || left <= 0 || left > 3600 || len(got.Header["Set-Cookie"]) > 0 || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v: %s", got.Header, got.Body)
		}
	}
	p.do("GET", "/", goes...) // and so there is an access token again
	id := p.do("GET", "/auth/sessions/banner").Text("session_id")
	s.MustSessions("revoke", "--yes", "--", id)
	got := p.do("GET", "/auth/sessions/banner")
	sidecartest.WantStatus(t, got, 204)
	if len(got.Header["Set-Cookie"]) > 0 {
		t.Errorf("the cookies are gone: %v", got.Header)
	}
	got = p.do("POST", "/pay", sameOrigin...)
	sidecartest.WantStatus(t, got, 401)
	sidecartest.WantFields(t, got, map[string]any{"code": "impersonation_over"})
}

// A page that is left over from an impersonation which ended elsewhere stops nothing else.
func TestBanner_StopEndsNoSessionOfOnesOwn(t *testing.T) {
	t.Parallel()
	s, idp := browserSiteOf(t, pageApp(t), "", "browser {\n\t\t\tbanner\n\t\t}")
	s.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p := s.newPerson()
	p.signIn(idp.Token("carol", nil), `{"user_id":"carol"}`)
	p.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4711"}`)
	const form = "return_to=/bye&impersonation=true"
	for _, left := range [][]string{{cookie, cookieRefresh}, {cookie, cookieRefresh}} {
		got := p.send("POST", "/auth/sessions/close", form)
		sidecartest.WantStatus(t, got, 303)
		sidecartest.WantHeaders(t, got, "Location", "/bye")
		if !p.has(left...) {
			t.Errorf("left are %v", p.copy())
		}
	}
	sidecartest.WantStatus(t, p.do("GET", "/auth/sessions/current"), 200)
}

func TestBanner_WithoutItThereIsNone(t *testing.T) {
	t.Parallel()
	s, idp := browserSiteOf(t, pageApp(t), "", "browser")
	p := s.newPerson()
	p.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4711"}`)
	if got := p.do("GET", "/", goes...); strings.Contains(got.Body, "<script") {
		t.Errorf("a bar: %s", got.Body)
	}
	sidecartest.WantStatus(t, s.through("GET", "/auth/sessions/banner.js"), 404)
}

// What the app flushes arrives while it goes on, and nothing on the way compresses it.
func TestBanner_StreamsPassThroughCaddy(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	app := sidecartest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>first</title>")
		_ = http.NewResponseController(w).Flush()
		<-goOn
		_, _ = io.WriteString(w, strings.Repeat("second", 1000))
	})
	idp, s := sidecartest.NewIDP(t, "https://idp.example.com"), newSidecar(t)
	site := idp.Site(s.Sidecar, app, sidecartest.Lifecycle+"\n\t\tidentity\n\t\tbrowser {\n\t\t\tbanner\n\t\t}\n")
	s.Start(strings.Replace(site, "\treverse_proxy", "\tencode {\n\t\tgzip\n\t\tminimum_length 1\n\t}\n\treverse_proxy", 1))
	p := s.newPerson()
	p.signIn(desk(idp), `{"user_id":"alice","reason":"ticket 4711"}`)
	req, err := http.NewRequest("GET", s.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(goes); i += 2 {
		req.Header.Set(goes[i], goes[i+1])
	}
	req.Header.Set("Cookie", p.line())
	got, err := s.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	first := make([]byte, len("<!doctype html><title>first</title>"))
	if _, err := io.ReadFull(got.Body, first); err != nil || !strings.Contains(string(first), "first") {
		t.Fatalf("%q, %v", first, err)
	}
	close(goOn)
	rest, err := io.ReadAll(got.Body)
	if err != nil || !strings.HasPrefix(string(rest), strings.Repeat("second", 1000)+"\n"+bannerTag) || got.Header.Get("Content-Encoding") != "" {
		t.Errorf("%v, %v: %s", err, got.Header, rest)
	}
}
