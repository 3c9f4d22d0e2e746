package console_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/audit"
)

// officer signs an officer in.
func officer(t *testing.T, m *sessions.Manager) *sessions.Grant {
	t.Helper()
	boss := &sessions.Caller{Principal: sessions.Principal{Issuer: benchProvider, Subject: "boss"}, User: true, Claims: sessions.Claims{"role": "officer"}}
	grant, err := m.Create(t.Context(), &sessions.CreateRequest{Caller: boss, UserID: "boss", Cookies: true, Console: true})
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

func request(method, path string, by *sessions.Grant) *http.Request {
	r := httptest.NewRequest(method, benchOrigin+path, nil)
	r.AddCookie(&http.Cookie{Name: "__Host-session", Value: by.AccessToken})
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// A search for somebody of one issuer finds nobody of that name of another one.
func TestHistory_FindsTheActorOfTheIssuerThatIsSearched(t *testing.T) {
	t.Parallel()
	const other = "https://other.example.com"
	m, file := benchManager(t), filepath.Join(t.TempDir(), "audit.jsonl")
	boss := officer(t, m)
	log, err := audit.Open(audit.Options{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []audit.Record{
		{Actor: sessions.Principal{Issuer: benchProvider, Subject: "desk"}, Reason: "of the first issuer"},
		{Actor: sessions.Principal{Issuer: other, Subject: "desk"}, Reason: "of the other issuer"},
		{Actor: sessions.Principal{Issuer: other, Subject: "x"}, By: sessions.Principal{Issuer: m.Realm, Subject: "desk"}, Reason: "by our own session"},
	} {
		r.Event, r.Issuer, r.SessionID, r.UserID, r.Impersonation = "created", m.Realm, "id", "alice", true
		if _, err := log.Append(&r, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	pages := benchConsole(t, m, file, other)
	for query, want := range map[string]string{
		"":                                    "of the first issuer, of the other issuer, by our own session",
		"?actor=desk":                         "of the first issuer, by our own session",
		"?actor=desk&issuer=" + benchProvider: "of the first issuer, by our own session",
		"?actor=desk&issuer=" + other:         "of the other issuer",
		"?actor=desk&issuer=*":                "of the first issuer, of the other issuer, by our own session",
	} {
		w := httptest.NewRecorder()
		r := request(http.MethodGet, "/history"+query, boss)
		pages.Serve(w, r, pages.Route(r))
		for _, line := range []string{"of the first issuer", "of the other issuer", "by our own session"} {
			if got := strings.Contains(w.Body.String(), line); w.Code != http.StatusOK || got != strings.Contains(want, line) {
				t.Errorf("%s: %d, %s is there: %t", query, w.Code, line, got)
			}
		}
	}
}

// Who does not know the issuer of an actor searches all of them: on several pages, and to end them.
func TestActing_AnActorOfAnyIssuerIsFoundAndEnded(t *testing.T) {
	t.Parallel()
	const other = "https://other.example.com"
	m := benchManager(t)
	theirs := m.Policy.Allow[0]
	theirs.From = other
	m.Policy.Allow = append(m.Policy.Allow, theirs)
	boss := officer(t, m)
	act := func(issuer, actor, user string) {
		caller := &sessions.Caller{Principal: sessions.Principal{Issuer: issuer, Subject: actor}, Claims: sessions.Claims{"role": "support"}}
		if _, err := m.Create(t.Context(), &sessions.CreateRequest{Caller: caller, UserID: user, Reason: "ticket"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 51 {
		act(benchProvider, "desk", fmt.Sprint("user-", i))
	}
	act(other, "desk", "user-51")
	act(other, "desk", "user-52")
	act(other, "x", "user-53")
	pages := benchConsole(t, m, "", other)
	serve := func(method, path string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), request(method, path, boss)
		pages.Serve(w, r, pages.Route(r))
		return w
	}
	next := regexp.MustCompile(`href="([^"]*)" rel="next"`)
	found := func(path string) (rows, pages int) {
		for path != "" {
			body := serve(http.MethodGet, path).Body.String()
			rows, pages = rows+strings.Count(body, `<th scope="row">user-`), pages+1
			if at := next.FindStringSubmatch(body); at != nil {
				path = html.UnescapeString(at[1])
			} else {
				path = ""
			}
		}
		return rows, pages
	}
	for query, want := range map[string][2]int{
		"": {54, 2}, "?actor=desk": {51, 2}, "?actor=desk&issuer=" + other: {2, 1}, "?actor=desk&issuer=*": {53, 2},
		"?actor=desk&user=user-52&issuer=*": {1, 1}, "?user=user-53&issuer=*": {1, 1},
	} {
		if rows, shown := found("/acting" + query); rows != want[0] || shown != want[1] {
			t.Errorf("%s: %d rows on %d pages, want %v", query, rows, shown, want)
		}
	}
	for _, cursor := range []string{"x", "2:", "-1:", "1:x", "0:x"} {
		if got := serve(http.MethodGet, "/acting?actor=desk&issuer=*&cursor="+cursor).Code; got != http.StatusBadRequest {
			t.Errorf("cursor %s: %d", cursor, got)
		}
	}
	if got := serve(http.MethodGet, "/acting/end-all?actor=desk&issuer=*").Body.String(); !strings.Contains(got, "53 sessions would be revoked") || !strings.Contains(got, "<dt>Issuer<dd>any") {
		t.Errorf("the preview: %s", got)
	}
	r := httptest.NewRequest(http.MethodPost, benchOrigin+"/acting/end-all", strings.NewReader("actor=desk&issuer=*&user="))
	r.Header = request(http.MethodPost, "/", boss).Header
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	pages.Serve(w, r, pages.Route(r))
	if rows, _ := found("/acting"); w.Code != http.StatusSeeOther || rows != 1 {
		t.Errorf("%d: %d go on, want the other's alone", w.Code, rows)
	}
}

// Where one issuer is trusted, no page shows the issuer of a search: one in an address, such as an
// old one, does not make the list show others than those that its link would revoke.
func TestActing_WithOneIssuerTheSearchIsForItsActors(t *testing.T) {
	t.Parallel()
	m := benchManager(t)
	boss := officer(t, m)
	caller := &sessions.Caller{Principal: sessions.Principal{Issuer: benchProvider, Subject: "desk"}, Claims: sessions.Claims{"role": "support"}}
	if _, err := m.Create(t.Context(), &sessions.CreateRequest{Caller: caller, UserID: "user-1", Reason: "ticket"}); err != nil {
		t.Fatal(err)
	}
	pages := benchConsole(t, m, "")
	for _, issuer := range []string{"", "*", benchProvider, "https://other.example.com"} {
		for path, want := range map[string]string{"/acting": `<th scope="row">user-1`, "/acting/end-all": "One session would be revoked"} {
			w, r := httptest.NewRecorder(), request(http.MethodGet, path+"?actor=desk&issuer="+issuer, boss)
			pages.Serve(w, r, pages.Route(r))
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s of issuer %q: %d %s", path, issuer, w.Code, w.Body)
			}
		}
	}
}

// Who closes the tab in which they end their other sessions ends them still.
func TestEndOthers_GoesOnWhenItsTabIsGone(t *testing.T) {
	t.Parallel()
	m := benchManager(t)
	this, other := officer(t, m), officer(t, m)
	pages := benchConsole(t, m, "")
	r := request(http.MethodPost, "/end-others", this)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r = r.WithContext(gone)
	w := httptest.NewRecorder()
	pages.Serve(w, r, pages.Route(r))
	for grant, over := range map[*sessions.Grant]bool{this: false, other: true} {
		row, err := m.Store.Get(t.Context(), grant.Session.Key())
		if err != nil || row.RevokedAt.IsZero() == over {
			t.Errorf("%d: a session is over: %t, and should be: %t (%v)", w.Code, !over, over, err)
		}
	}
}
