package observe

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

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
