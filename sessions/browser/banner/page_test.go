package banner

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const (
	wholePage = "<!doctype html><title>Orders</title><p>one"
	tagStart  = "\n<script src=\"/auth/sessions/banner.js?v="
)

// An answered is what came of a request: an answer whose body was read.
type answered struct {
	Header, Trailer http.Header
	ContentLength   int64
}

// served returns what an app answers to the request for a page, and what was counted.
func served(r *http.Request, app http.HandlerFunc) (*answered, string, []Outcome) {
	var counted []Outcome
	b := &Banner{Path: "/auth/sessions", Secure: true, Count: func(o Outcome) { counted = append(counted, o) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, got *http.Request) {
		page := b.Begin(w, got, "sid-1")
		app(page, got)
		page.End(nil)
	}))
	defer server.Close()
	r = r.Clone(r.Context())
	at, _ := url.Parse(server.URL)
	r.RequestURI, r.URL.Scheme, r.URL.Host = "", at.Scheme, at.Host
	client := http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	got, err := client.Do(r)
	if err != nil {
		return new(answered), err.Error(), counted
	}
	defer got.Body.Close()
	body, _ := io.ReadAll(got.Body)
	return &answered{got.Header, got.Trailer, got.ContentLength}, string(body), counted
}

// answer is an app that answers with a page and headers, each as "Name: value".
func answer(status int, body string, lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Add(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

var asksForPage = requestOf("GET", "Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")

const isHTML = "Content-Type: text/html; charset=utf-8"

func TestPage_WhereTheTagIsAndWhereNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		app  http.HandlerFunc
		want Outcome
	}{
		"a page":                      {answer(200, wholePage, isHTML), Added},
		"without a charset":           {answer(200, wholePage, "Content-Type: text/html"), Added},
		"in Latin 1":                  {answer(200, wholePage, "Content-Type: text/html; charset=ISO-8859-1"), Added},
		"shown in place":              {answer(200, wholePage, isHTML, "Content-Disposition: inline; filename=a.html"), Added},
		"not found, says the app":     {answer(404, wholePage, isHTML), Added},
		"failed, says the app":        {answer(500, wholePage, isHTML), Added},
		"with a policy that lets it":  {answer(200, wholePage, isHTML, "Content-Security-Policy: default-src 'self'"), Added},
		"with one that does not":      {answer(200, wholePage, isHTML, "Content-Security-Policy: default-src 'none'"), Policy},
		"with one in the page":        {answer(200, `<meta http-equiv=content-security-policy content="script-src 'none'">`, isHTML), Policy},
		"with one that asks for sums": {answer(200, wholePage, isHTML, "Integrity-Policy: blocked-destinations=(script)"), Policy},
		"compressed anyway":           {answer(200, "\x1f\x8b", isHTML, "Content-Encoding: gzip"), Encoded},
		"in UTF-16":                   {answer(200, "<\x00p\x00", "Content-Type: text/html; charset=utf-16le"), Charset},
		"in UTF-16, by its bytes":     {answer(200, "\xff\xfe<\x00", isHTML), Charset},
		"in ISO-2022-JP":              {answer(200, wholePage, "Content-Type: text/html; charset=iso-2022-jp"), Charset},
		"in what nobody knows":        {answer(200, wholePage, "Content-Type: text/html; charset=x-mine"), Charset},
		"a picture":                   {answer(200, "\x89PNG", "Content-Type: image/png"), Type},
		"XHTML":                       {answer(200, "<html/>", "Content-Type: application/xhtml+xml"), Type},
		"JSON":                        {answer(200, "{}", "Content-Type: application/json"), Type},
		"of no type":                  {answer(200, wholePage, "Content-Type: "), Type},
		"a part":                      {answer(206, wholePage, isHTML, "Content-Range: bytes 0-9/100"), Partial},
		"a download":                  {answer(200, wholePage, isHTML, "Content-Disposition: attachment; filename=a.html"), none},
		"a redirect":                  {answer(302, wholePage, isHTML, "Location: /elsewhere"), none},
		"not modified":                {answer(304, "", isHTML), none},
		"no content":                  {answer(204, "", isHTML), none},
		"nothing":                     {answer(200, "", isHTML, "Content-Length: 0"), none},
		"nothing, in chunks":          {answer(200, "", isHTML), none},
		"the end of the session":      {answer(200, wholePage, isHTML, "Auth-Session: end"), none},
	} {
		_, body, counted := served(asksForPage, c.app)
		if tagged := strings.Contains(body, "<script"); tagged != (c.want == Added) {
			t.Errorf("%s: %s", name, body)
		}
		if want := slices.DeleteFunc([]Outcome{c.want}, func(o Outcome) bool { return o == none }); !slices.Equal(counted, want) {
			t.Errorf("%s: counted %q", name, counted)
		}
	}
}

// A page that was changed says nothing of the bytes that it had, and no cache keeps it.
func TestPage_SaysNothingUntrueOfItself(t *testing.T) {
	t.Parallel()
	about := []string{
		isHTML, "Content-Length: 42", `ETag: "strong"`, "Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT", "Accept-Ranges: bytes", "Content-MD5: x",
		"Digest: x", "Content-Digest: sha-256=:x:", "Repr-Digest: sha-256=:x:", "Cache-Control: public, max-age=60", "CDN-Cache-Control: max-age=60", "X-App: 1",
	}
	got, body, _ := served(asksForPage, answer(200, wholePage, about...))
	if !strings.HasPrefix(body, wholePage+tagStart) || !strings.HasSuffix(body, "\" data-session=\"sid-1\" defer></script>\n") {
		t.Errorf("the page is %s", body)
	}
	for _, name := range []string{"Etag", "Last-Modified", "Accept-Ranges", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Cdn-Cache-Control"} {
		if got.Header[name] != nil {
			t.Errorf("%s: %s", name, got.Header[name])
		}
	}
	if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("X-App") != "1" || got.ContentLength != int64(len(body)) {
		t.Errorf("%v, %d", got.Header, got.ContentLength)
	}
	got, body, _ = served(asksForPage, answer(200, "{}"+strings.Repeat(" ", 40), append(slices.Clone(about)[1:], "Content-Type: application/json")...))
	if got.Header.Get("Etag") != `"strong"` || got.Header.Get("Cache-Control") != "public, max-age=60" || got.ContentLength != 42 || strings.TrimRight(body, " ") != "{}" {
		t.Errorf("what is no page was changed: %v, %s", got.Header, body)
	}
}

func TestPage_TheNonceIsTheApps(t *testing.T) {
	t.Parallel()
	policy := "script-src 'nonce-r4nd0m' 'strict-dynamic'"
	got, body, _ := served(asksForPage, answer(200, wholePage, isHTML, "Content-Security-Policy: "+policy))
	if !strings.Contains(body, ` nonce="r4nd0m" defer>`) || got.Header.Get("Content-Security-Policy") != policy {
		t.Errorf("%s: %v", body, got.Header)
	}
	_, body, counted := served(asksForPage, answer(200, `<head><meta http-equiv="Content-Security-Policy" content="script-src 'nonce-inpage'">`, isHTML))
	if !strings.Contains(body, ` nonce="inpage" defer>`) || !slices.Equal(counted, []Outcome{Added}) {
		t.Errorf("%s: %q", body, counted)
	}
}

// Trailers arrive, but for those that are sums of the page.
func TestPage_TrailersSurvive(t *testing.T) {
	t.Parallel()
	got, body, _ := served(asksForPage, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Trailer", "Server-Timing, Content-Digest")
		_, _ = io.WriteString(w, wholePage)
		w.Header().Set("Server-Timing", "db;dur=1")
		w.Header().Set("Content-Digest", "sha-256=:x:")
		w.Header().Set(http.TrailerPrefix+"Repr-Digest", "sha-256=:x:")
		w.Header().Set(http.TrailerPrefix+"X-More", "1")
	})
	if !strings.Contains(body, tagStart) || got.Trailer.Get("Server-Timing") != "db;dur=1" || got.Trailer.Get("X-More") != "1" {
		t.Errorf("%v: %s", got.Trailer, body)
	}
	if got.Trailer.Get("Content-Digest") != "" || got.Trailer.Get("Repr-Digest") != "" {
		t.Errorf("a sum of another page: %v", got.Trailer)
	}
}

func TestPage_OverHTTP2(t *testing.T) {
	t.Parallel()
	b := &Banner{Path: "/auth/sessions", Count: func(Outcome) {}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := b.Begin(w, r, "sid-1")
		page.Header().Set("Content-Type", "text/html")
		page.Header().Set("Content-Length", "41") // of the page alone: one more would break the stream
		page.Header().Set("Trailer", "Server-Timing")
		_, _ = io.WriteString(page, wholePage)
		page.Header().Set("Server-Timing", "db;dur=1")
		page.End(nil)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	got, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil || got.ProtoMajor != 2 || !strings.HasPrefix(string(body), wholePage+tagStart) || got.Trailer.Get("Server-Timing") == "" {
		t.Errorf("%v, %s, %v: %s", err, got.Proto, got.Trailer, body)
	}
}

// What the app flushes is there before it goes on, and the tag is behind all of it.
func TestPage_WhatIsStreamedArrivesAtOnce(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	b := &Banner{Path: "/auth/sessions", Count: func(Outcome) {}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := b.Begin(w, r, "sid-1")
		page.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(page, "first")
		if err := http.NewResponseController(page).Flush(); err != nil {
			t.Error(err)
		}
		<-goOn
		_, _ = io.WriteString(page, "second")
		page.End(nil)
	}))
	defer server.Close()
	got, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(got.Body, first); err != nil || string(first) != "first" {
		t.Fatalf("%q, %v", first, err)
	}
	close(goOn)
	rest, err := io.ReadAll(got.Body)
	if err != nil || !strings.HasPrefix(string(rest), "second"+tagStart) {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestPage_AConnectionThatIsTakenOverIsLeftAlone(t *testing.T) {
	t.Parallel()
	_, body, counted := served(asksForPage, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")
		_ = conn.Close()
	})
	if body != "hi" || len(counted) > 0 {
		t.Errorf("%s, %q", body, counted)
	}
}

func TestPage_EarlyHintsDecideNothing(t *testing.T) {
	t.Parallel()
	_, body, counted := served(asksForPage, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, wholePage)
	})
	if !strings.Contains(body, tagStart) || !slices.Equal(counted, []Outcome{Added}) {
		t.Errorf("%s, %q", body, counted)
	}
}

// What breaks off is not taken for the whole, and what others answer has no bar.
func TestPage_AnErrorOfTheHandler(t *testing.T) {
	t.Parallel()
	for _, begun := range []bool{false, true} {
		var counted []Outcome
		b := &Banner{Path: "/auth/sessions", Count: func(o Outcome) { counted = append(counted, o) }}
		w := httptest.NewRecorder()
		page := b.Begin(w, requestOf("GET"), "sid-1")
		if begun {
			page.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(page, "<p>half")
		}
		page.End(errors.New("broken"))
		if strings.Contains(w.Body.String(), "<script") || slices.Contains(counted, Failed) == begun {
			t.Errorf("begun %v: %s, %q", begun, w.Body, counted)
		}
	}
}

// However much there is of a page, little of it is kept.
func TestPage_KeepsTheBeginningOfALongPageOnly(t *testing.T) {
	t.Parallel()
	b := &Banner{Path: "/auth/sessions", Count: func(Outcome) {}}
	w := httptest.NewRecorder()
	page := b.Begin(w, requestOf("GET"), "sid-1")
	page.Header().Set("Content-Type", "text/html")
	chunk := []byte(strings.Repeat("x", 1000))
	for range 200 {
		_, _ = page.Write(chunk)
	}
	page.End(nil)
	if len(page.start) != maxHead || !strings.HasPrefix(w.Body.String()[200*1000:], tagStart) {
		t.Errorf("%d bytes kept", len(page.start))
	}
}

func TestTag_EscapesThePath(t *testing.T) {
	t.Parallel()
	p := &Page{banner: &Banner{Path: `/a"><é/s`}, session: `x"><y`}
	if got := string(p.tag()); got != "\n<script src=\"/a%22%3E%3C%C3%A9/s/banner.js?"+version+"\" data-session=\"x&#34;&gt;&lt;y\" defer></script>\n" {
		t.Errorf("%s", got)
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{version: "public, max-age=31536000", "": "public, max-age=0", "v=other": "public, max-age=0"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/auth/sessions/banner.js?"+query, nil)
		Serve(w, r)
		if w.Header().Get("Cache-Control") != want || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: %v", query, w.Header())
		}
		r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		w = httptest.NewRecorder()
		if Serve(w, r); w.Code != http.StatusNotModified {
			t.Errorf("%q: %d", query, w.Code)
		}
	}
}

// The script writes text as text, and nothing that a strict policy forbids.
func TestScript_HasNothingThatAPolicyForbids(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", ".style", "<style", "http:", "https:"} {
		if strings.Contains(string(Script), bad) {
			t.Errorf("the script has %s", bad)
		}
	}
	if len(Script) > 12<<10 {
		t.Errorf("the script has %d bytes", len(Script))
	}
}
