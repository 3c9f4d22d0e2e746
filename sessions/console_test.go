package sessions_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
)

const consoleOrigin = "https://sessions.example.com"

// consoleWorld has a console.
func consoleWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.managedReload()
	w.manager.Manage = w.manager.Manage[:1] // the others look at anything
	w.manager.Minter.Console, w.manager.LinkTTL = consoleOrigin, linkTTL
	return w
}

// signsIn signs a person in at the console.
func (w *world) signsIn(c *sessions.Caller) *sessions.Grant {
	w.t.Helper()
	grant, err := w.manager.Create(w.t.Context(), &sessions.CreateRequest{Caller: c, UserID: c.Subject, Cookies: true, Console: true})
	must(w.t, err)
	return grant
}

// Of the claims of whoever signs in at the console those alone are recorded that rules look at, and
// those of manage at the console alone.
func TestConsole_OnlyWhatRulesLookAtIsRecorded(t *testing.T) {
	w := consoleWorld(t)
	claims := sessions.Claims{"scope": "desk admin", "email": "carol@example.com", "org": map[string]any{"dept": "sales"}, "phone": "1"}
	s := w.signsIn(person("carol", claims)).Session
	if got := slices.Sorted(maps.Keys(s.ActorClaims)); !slices.Equal(got, []string{"org", "scope"}) || s.ActorWhole || s.ClientID != consoleOrigin {
		t.Errorf("%v %v %s", got, s.ActorWhole, s.ClientID)
	}
	w.manager.Policy.Allow, w.manager.Manage = nil, []sessions.Rule{{Name: "email", From: provider, When: sessions.HasClaim{Name: "email", Value: "carol@example.com"}}}
	if got := w.signsIn(person("carol", claims)).Session.ActorClaims; got["email"] == nil || len(got) != 1 {
		t.Errorf("at the console: %v", got)
	}
	grant, err := w.manager.Create(t.Context(), &sessions.CreateRequest{Caller: person("carol", claims), UserID: "carol", Cookies: true})
	if err != nil || len(grant.Session.ActorClaims) != 0 {
		t.Errorf("elsewhere: %v, %v", grant.Session.ActorClaims, err)
	}
}

// For a day the claims that were recorded give what allow and manage give, and then nothing.
func TestConsole_RightsLastForADay(t *testing.T) {
	w := consoleWorld(t)
	s := w.signsIn(scoped("carol", "desk admin")).Session
	for after, want := range map[time.Duration]error{0: nil, 24 * time.Hour: nil, 24*time.Hour + time.Second: sessions.ErrSignInAgain} {
		w.now = s.CreatedAt.Add(after)
		c, err := w.manager.ConsoleCaller(&s)
		if !errors.Is(err, want) {
			t.Fatalf("after %v: %v", after, err)
		}
		if err == nil && (!w.manager.MayAct(c) || !w.rights(c).Manages()) {
			t.Errorf("after %v: no rights", after)
		}
	}
	w.now = s.CreatedAt
	nobody := w.signsIn(scoped("alice", "openid")).Session
	c, err := w.manager.ConsoleCaller(&nobody)
	if err != nil || w.manager.MayAct(c) || w.rights(c).Manages() {
		t.Errorf("alice has rights: %v", err)
	}
}

// A rule that looks at what was not recorded gives nobody anything, nor does an impersonation record
// that a claim was absent of which nothing is known.
func TestConsole_WhatWasNotRecordedGivesNothing(t *testing.T) {
	w := consoleWorld(t)
	s := w.signsIn(scoped("carol", "desk")).Session
	absent := withoutClaim("blocked")
	w.manager.Manage = []sessions.Rule{{Name: "not blocked", From: provider, When: absent}}
	w.manager.Policy.Allow = append(w.manager.Policy.Allow, sessions.Rule{Name: "not blocked", From: provider, When: absent})
	c, err := w.manager.ConsoleCaller(&s)
	must(t, err)
	if w.rights(c).Manages() {
		t.Error("a rule that holds where a claim is absent holds where that is unknown")
	}
	grant, err := w.manager.Create(t.Context(), &sessions.CreateRequest{Caller: c, UserID: "alice", Link: true})
	must(t, err)
	if slices.Contains(grant.Session.ActorAbsent, "blocked") {
		t.Errorf("recorded as absent: %v", grant.Session.ActorAbsent)
	}
}

// withoutClaim holds for callers who do not have a claim.
type withoutClaim string

func (w withoutClaim) Holds(in *sessions.RuleInput) bool {
	_, has := in.Caller.Claims[string(w)]
	return !has
}
func (w withoutClaim) Claims() ([]string, bool) { return []string{string(w)}, false }
func (withoutClaim) PerSession() bool           { return false }

// Nobody but who signs in there has a session of the console, by whichever way they name it.
func TestConsole_NobodyElseHasASessionOfIt(t *testing.T) {
	w := consoleWorld(t)
	asked := []*sessions.CreateRequest{
		{Caller: scoped("carol", "desk"), UserID: "carol", ClientID: consoleOrigin},
		{Caller: scoped("carol", "desk"), UserID: "alice", ClientID: consoleOrigin},
		{Caller: scoped("carol", "desk"), UserID: "carol", ClientID: consoleOrigin, ClientAuthenticated: true},
		{Caller: func() *sessions.Caller { c := scoped("carol", "desk"); c.ClientID = consoleOrigin; return c }(), UserID: "carol"},
	}
	for i, req := range asked {
		if _, err := w.manager.Create(t.Context(), req); !errors.Is(err, sessions.ErrClient) {
			t.Errorf("%d: %v", i, err)
		}
	}
	grant, err := w.manager.Create(t.Context(), &sessions.CreateRequest{Caller: scoped("carol", "desk admin"), UserID: "carol", Cookies: true})
	must(t, err)
	if _, err := w.manager.ConsoleCaller(&grant.Session); !errors.Is(err, sessions.ErrForbidden) {
		t.Errorf("a session of the app has rights: %v", err)
	}
}

// The access tokens of the console are for nobody else.
func TestConsole_ItsAccessTokensAreForItAlone(t *testing.T) {
	w := consoleWorld(t)
	grant := w.signsIn(scoped("carol", "desk"))
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(grant.AccessToken, ".")[1])
	if err != nil || !strings.Contains(string(claims), `"aud":"`+consoleOrigin+`"`) || strings.Contains(string(claims), `"aud":"`+issuer+`"`) {
		t.Errorf("%s, %v", claims, err)
	}
}

// The link of a session is had again by whoever asked for it, while it is good.
func TestConsole_TheLinkIsHadAgainByWhoAskedForIt(t *testing.T) {
	w := consoleWorld(t)
	grant, err := w.manager.Create(t.Context(), linkRequest())
	must(t, err)
	again, err := w.manager.LinkAgain(t.Context(), w.rights(scoped("carol", "desk")), grant.Session.ID)
	if err != nil || again.Link != grant.Link || again.RefreshToken != "" {
		t.Errorf("%v, %v", again, err)
	}
	if _, err := w.manager.LinkAgain(t.Context(), w.rights(scoped("boss", "admin")), grant.Session.ID); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("a manager has it: %v", err)
	}
	w.open(grant.Link)
	if _, err := w.manager.LinkAgain(t.Context(), w.rights(scoped("carol", "desk")), grant.Session.ID); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("it was opened: %v", err)
	}
}
