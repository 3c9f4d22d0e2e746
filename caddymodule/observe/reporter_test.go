package observe

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/logoutapi"
)

// What an issuer sent last is remembered by issuer; a token that was refused is none, and is logged
// once in a while.
func TestHeard_RemembersTheLastEventOfEachIssuer(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	r := &Reporter{issuer: "https://app.example.com", logger: zap.New(core)}
	if e := r.LastIssuerEvent("https://idp.example.com"); e != nil {
		t.Errorf("before there was one: %+v", e)
	}
	hear := func(issuer string, outcome logoutapi.Outcome) {
		r.ReportIssuerEvent(context.Background(), &logoutapi.Result{Issuer: issuer, Kind: logoutapi.KindLogout, Outcome: outcome, JTI: "j", Ended: 2, Err: errors.New("no"), Mend: "mend it"}, "rows")
	}
	for _, outcome := range []logoutapi.Outcome{logoutapi.OutcomeNothing, logoutapi.OutcomeRevoked, logoutapi.OutcomeRefused, logoutapi.OutcomeRefused} {
		hear("https://idp.example.com", outcome)
	}
	hear("https://other.example.com", logoutapi.OutcomeLogged)
	e := r.LastIssuerEvent("https://idp.example.com")
	if e == nil || e.Outcome != logoutapi.OutcomeRevoked || e.JTI != "j" || e.Ended != 2 || time.Since(e.At) > time.Minute {
		t.Errorf("%+v", e)
	}
	if e := r.LastIssuerEvent("https://other.example.com"); e == nil || e.Outcome != logoutapi.OutcomeLogged {
		t.Errorf("of another: %+v", e)
	}
	if got := logs.FilterMessage("token of an issuer refused").Len(); got != 1 {
		t.Errorf("%d lines of refusals", got)
	}
	if logs.Len() != 4 {
		t.Errorf("%d lines: %v", logs.Len(), logs.All())
	}
}

// Before makes a record only if somebody looks at it: a handler of the event, or a required audit.
func TestBefore_MakesNoRecordThatNobodyReads(t *testing.T) {
	ctx, err := caddy.ProvisionContext(&caddy.Config{StorageRaw: json.RawMessage(`{"module": "file_system", "root": "` + t.TempDir() + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEvents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := &Reporter{audit: new(auditor), events: e}
	before := func(kind event.Kind) float64 {
		s := &sessions.Session{ID: "s1", UserID: "alice", IP: "192.0.2.1"}
		return testing.AllocsPerRun(100, func() {
			if err := r.Before(t.Context(), kind, s); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, kind := range []event.Kind{event.Created, event.Opened, event.Refreshed} {
		r.audit.required = false
		if got := before(kind); got != 0 {
			t.Errorf("%s: %v allocations", kind, got)
		}
		r.audit.required = true
		if before(kind) == 0 {
			t.Errorf("%s: there is no record for a required audit", kind)
		}
	}
}
