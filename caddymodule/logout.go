package caddymodule

import (
	"context"
	"fmt"

	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/logoutapi"
)

// addLogout adds the endpoints at which issuers report logouts and security events, if any does.
func (inst *instance) addLogout(h *Handler) error {
	listeners, err := h.Listeners()
	if err != nil || len(listeners) == 0 {
		return err
	}
	inst.logouts = &logout.Logouts{Manager: inst.manager, Listens: listens(h, listeners)}
	inst.manager.SignedOut = inst.logouts.SignedOut
	inst.own = append(inst.own, logoutapi.New(logoutapi.Config{
		Path: h.Path, Listeners: listeners, Verifier: inst.verifier, Logouts: inst.logouts,
		ClientIP: observe.ClientIP, Observer: observer{inst},
		Report: func(ctx context.Context, heard *logoutapi.Result) {
			inst.ReportIssuerEvent(ctx, heard, describeRows(inst.logouts.Seen(heard.Trust)))
		},
	}))
	inst.ShowIssuerEvents()
	return nil
}

// listens returns a predicate for issuers that report logouts or events, by their names in rules:
// if an issuer with tenants does, each of its tenants does.
func listens(h *Handler, listeners map[string]*logoutapi.Listener) func(trust string) bool {
	plain, open := make(map[string]bool), false
	for _, t := range h.Trust {
		_, plain[t.Issuer] = listeners[t.Issuer]
		open = open || plain[t.Issuer] && t.HasTenants()
	}
	return func(trust string) bool {
		listens, known := plain[trust]
		return listens || !known && open
	}
}

// trustOf returns the name of a session's issuer in rules.
func (inst *instance) trustOf(s *sessions.Session) string {
	if trust := inst.verifier.Trust(s.Actor.Issuer); trust != nil {
		return trust.Name
	}
	return s.Actor.Issuer
}

// describeRows describes, for people, which identifiers of callers' tokens the rows hold.
func describeRows(seen logout.Seen) string {
	if seen.Rows == 0 {
		return "this node created no session by a token of that issuer since it started"
	}
	return fmt.Sprintf("of %d sessions that this node created by its tokens since it started, %d have a sid, and %d a sub that is not what names the caller",
		seen.Rows, seen.SID, seen.Subject)
}
