package cli

import (
	"bytes"
	"strings"
	"testing"

	"authsidecar/caddymodule/adminapi"
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
	p.spoken = p.spoken.Add(-speakEvery)
	p.add(7)
	p.add(1)
	p.done()
	if got := out.String(); got != "sessions: 12 so far\n" {
		t.Errorf("it said %q", got)
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
