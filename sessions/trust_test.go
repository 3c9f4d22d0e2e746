package sessions_test

import (
	"errors"
	"strings"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/rowcodec"
)

// trusting trusts the issuers that the trusts are named for.
func trusting(trusts ...sessions.Trust) func(string) *sessions.Trust {
	return func(issuer string) *sessions.Trust {
		for i := range trusts {
			if trusts[i].Name == issuer {
				return &trusts[i]
			}
		}
		return nil
	}
}

// A caller's issuer is what the token says, and rules know it by one name.
func TestTrust_RulesKnowASpellingByTheNameOfItsTrust(t *testing.T) {
	const spelling = "idp.example.com"
	desk := scoped("carol", "desk")
	desk.Issuer, desk.Trust = spelling, provider
	trust := func(m *sessions.Manager) {
		m.Trusted = func(string) *sessions.Trust { return &sessions.Trust{Name: provider} }
	}
	w := newWorld(t, trust)
	grant := w.create(desk, "alice")
	if grant.Session.Actor != (sessions.Principal{Issuer: spelling, Subject: "carol"}) {
		t.Errorf("the actor is %v", grant.Session.Actor)
	}
	w.refresh(grant.RefreshToken, victim, event.Refreshed)

	// Without that name it is an issuer of its own, that no rule is for.
	desk.Trust = ""
	if _, err := w.manager.Create(t.Context(), &sessions.CreateRequest{Caller: desk, UserID: "alice"}); !errors.Is(err, sessions.ErrDenied) {
		t.Errorf("%v", err)
	}
	rights, err := w.manager.RightsOf(desk, "")
	must(t, err)
	if rights.Over(&sessions.Session{Impersonation: true, Actor: sessions.Principal{Issuer: provider, Subject: "carol"}}) {
		t.Error("rights over what the other spelling did")
	}
}

func TestTrust_WhatEveryTokenHasToSatisfyIsAskedAgain(t *testing.T) {
	staff := sessions.HasClaim{Name: "staff", Value: "true"}
	only := func(users bool, conditions ...sessions.Condition) func(*sessions.Manager) {
		return func(m *sessions.Manager) {
			m.Trusted = trusting(sessions.Trust{Name: provider, Users: users, Only: conditions})
		}
	}
	for name, caller := range map[string]*sessions.Caller{
		"self":          person("alice", sessions.Claims{"staff": true}),
		"impersonation": person("carol", sessions.Claims{"staff": true, "scope": "desk"}),
	} {
		w := newWorld(t, only(true, staff))
		grant := w.create(caller, "alice")
		if grant.Session.ActorClaims["staff"] != any(true) {
			t.Errorf("%s: the row keeps %v", name, grant.Session.ActorClaims)
		}
		grant = w.refresh(grant.RefreshToken, victim, event.Refreshed)

		w.reload(only(true, staff, sessions.HasClaim{Name: "mfa", Value: "true"})) // which nobody recorded
		w.refused(grant.RefreshToken, victim, event.Revoked, "does not satisfy")
	}
}

func TestTrust_UsersAreThoseOfWhomTheConditionHolds(t *testing.T) {
	person := func(kind string) *sessions.Caller {
		return &sessions.Caller{Principal: sessions.Principal{Issuer: provider, Subject: "alice"}, Claims: sessions.Claims{"sub": "alice", "kind": kind}}
	}
	trust := sessions.Trust{Name: provider, Users: true, UsersWhen: sessions.HasClaim{Name: "kind", Value: "person"}}
	if !trust.IsUserOf(person("person")) || trust.IsUserOf(person("workflow")) {
		t.Error("the condition is not asked")
	}
	trust.Users = false
	if trust.IsUserOf(person("person")) {
		t.Error("a user of an issuer whose subjects are no users")
	}
	trust.Users = true

	w := newWorld(t, func(m *sessions.Manager) { m.Trusted = trusting(trust) })
	alice := person("person")
	alice.User = true // as the verifier says
	grant := w.create(alice, "alice")
	grant = w.refresh(grant.RefreshToken, victim, event.Refreshed)
	other := trust
	other.UsersWhen = sessions.HasClaim{Name: "kind", Value: "employee"}
	w.reload(func(m *sessions.Manager) { m.Trusted = trusting(other) })
	w.refused(grant.RefreshToken, victim, event.Revoked, "no rule allows it")
}

// Whoever hears later that somebody signed out there has to find what they have here.
func TestRow_KeepsWhatTheIssuerCallsTheCaller(t *testing.T) {
	for name, tt := range map[string]struct {
		claims   sessions.Claims
		sub, sid string
	}{
		"known by sub":           {sessions.Claims{"sub": "alice"}, "", ""},
		"known by another claim": {sessions.Claims{"sub": "auth0|64c1f0", "sid": "s1"}, "auth0|64c1f0", "s1"},
		"without a sub":          {sessions.Claims{"sid": "s1"}, "", "s1"},
		"of other types":         {sessions.Claims{"sub": int64(7), "sid": []any{"s1"}}, "", ""},
		"too long to be kept":    {sessions.Claims{"sub": strings.Repeat("s", 256), "sid": strings.Repeat("s", 256)}, "", ""},
	} {
		w := newWorld(t)
		row := w.create(person("alice", tt.claims), "alice").Session
		if row.ActorSub != tt.sub || row.ActorSID != tt.sid || row.Actor.Subject != "alice" {
			t.Errorf("%s: %q %q", name, row.ActorSub, row.ActorSID)
		}
		data, err := rowcodec.Encode(&row)
		must(t, err)
		again, err := rowcodec.Decode(row.Key(), data)
		must(t, err)
		if again.ActorSub != tt.sub || again.ActorSID != tt.sid {
			t.Errorf("%s: read as %q %q", name, again.ActorSub, again.ActorSID)
		}
	}
}
