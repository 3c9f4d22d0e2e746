package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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
	pages := benchConsole(t, m, file)
	for query, want := range map[string]string{
		"":                                    "of the first issuer, of the other issuer, by our own session",
		"?actor=desk":                         "of the first issuer, by our own session",
		"?actor=desk&issuer=" + benchProvider: "of the first issuer, by our own session",
		"?actor=desk&issuer=" + other:         "of the other issuer",
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
