package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/adminapi"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions/bearer"
)

// What others wrote into a session is text to a terminal, and nothing more.
func TestTable_PrintsTextAlone(t *testing.T) {
	var out bytes.Buffer
	table := newTable(&out)
	table.row("A", "B", "C")
	table.row("\x1b[31mred", "two\nlines\tand a tab", "right-to-left \u202e")
	table.row("", "", "")
	if err := table.flush(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.ContainsAny(got, "\x1b\t\u202e") || strings.Count(got, "\n") != 3 || !strings.Contains(got, "-  ") {
		t.Errorf("printed %q", got)
	}
}

// Where there is no terminal, long work says a line now and then, and short work
// nothing.
func TestProgress_SpeaksNowAndThen(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "sessions", -1)
	p.add(5)
	if out.Len() != 0 {
		t.Errorf("it said %q at once", out.String())
	}
	p.printed = p.printed.Add(-printEvery)
	p.add(7)
	p.add(1)
	p.done()
	if got := out.String(); got != "sessions: 12 so far\n" {
		t.Errorf("it said %q", got)
	}
}

// One screen has where the store is, the versions, and the last error of everything: of the store,
// of each issuer, and of what was logged.
func TestStatus_IsOneScreen(t *testing.T) {
	broken := adminapi.InstanceStatus{
		Issuer: "https://app.example.com", Path: "/auth/sessions",
		Store:    adminapi.StoreStatus{Engine: "pebble", Location: "/var/lib/caddy/sessions", Error: "disk is full"},
		Feed:     adminapi.FeedStatus{State: "degraded", Degraded: 1000},
		Trust:    []adminapi.TrustStatus{{Status: bearer.Status{Issuer: "https://idp.example.com", Source: "jwks", Error: "connection refused"}}},
		Troubles: []observe.Trouble{{What: "an audit line could not be written", Error: "no space left"}, {What: "signing keys could not be rotated", Error: "locked"}},
	}
	other := adminapi.InstanceStatus{Issuer: "https://other.example.com", Store: adminapi.StoreStatus{OK: true}}
	var out bytes.Buffer
	err := printStatus(&out, &adminapi.Overview{Versions: adminapi.Versions{Module: "v1.2.3", Caddy: "v2.11.9", Go: "go1.26"}, Instances: []adminapi.InstanceStatus{broken, other}})
	if err == nil {
		t.Error("no failure")
	}
	for _, want := range []string{
		"authsidecar v1.2.3, Caddy v2.11.9, go1.26", "/var/lib/caddy/sessions", "disk is full", "degraded for 1s", "connection refused",
		"an audit line could not be written", "no space left", "signing keys could not be rotated", "locked", "https://other.example.com",
	} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("%q is %d times in\n%s", want, strings.Count(out.String(), want), out.String())
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines > 40 {
		t.Errorf("%d lines for two blocks", lines)
	}
}

// A store that does not answer is in the status, and fails the command.
func TestStatus_FailsWhereAStoreDoesNotAnswer(t *testing.T) {
	for _, test := range []struct {
		store adminapi.StoreStatus
		feed  adminapi.FeedStatus
		says  string
		fails bool
	}{
		{adminapi.StoreStatus{Engine: "redis", OK: true, Millis: 1.25}, adminapi.FeedStatus{State: "hearing", Silent: 40}, "redis, answers in 1.2 ms", false},
		{adminapi.StoreStatus{Engine: "redis", Error: "no route"}, adminapi.FeedStatus{State: "degraded", Degraded: 90_000}, "redis, does not answer: no route", true},
		{adminapi.StoreStatus{Engine: "redis", Error: "no route"}, adminapi.FeedStatus{State: "degraded", Degraded: 90_000}, "degraded for 1m30s", true},
	} {
		var out bytes.Buffer
		err := printStatus(&out, &adminapi.Overview{Instances: []adminapi.InstanceStatus{{Issuer: "https://app.example.com", Store: test.store, Feed: test.feed}}})
		if (err != nil) != test.fails || !strings.Contains(out.String(), test.says) {
			t.Errorf("%v, printed\n%s\nwant %q", err, out.String(), test.says)
		}
	}
}

func TestStatus_OneIsInTheSingular(t *testing.T) {
	for count, want := range map[int]string{0: "about 2, and 0 impersonations", 1: "about 2, and 1 impersonation", 2: "about 2, and 2 impersonations"} {
		if got := describeCount(&observe.LiveCount{Own: 2, Impersonated: count}); got != want {
			t.Errorf("%d: %q", count, got)
		}
	}
}

// The link of a session that nobody has opened ends before the session would.
func TestList_AnUnopenedLinkEndsWithItsTime(t *testing.T) {
	now := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	s := &adminapi.Session{ExpiresAt: now.Add(time.Hour), IdleExpiresAt: now.Add(15 * time.Minute)}
	if got := endOf(s); !got.Equal(s.ExpiresAt) {
		t.Errorf("ends at %v", got)
	}
	if s.PendingUntil = now.Add(time.Minute); !endOf(s).Equal(s.PendingUntil) {
		t.Errorf("a link ends at %v", endOf(s))
	}
}
