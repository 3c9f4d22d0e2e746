package oauthapi

import (
	"testing"
	"time"

	"authsidecar/sessions"
)

// Covers O9.
func TestExchange_IsTheStandardFormOfCreate(t *testing.T) {
	f := newFixture(t)
	own := f.exchange("subject_token", f.token("alice", nil), "subject_token_type", tokenTypeAccess)
	f.want(own, 200, "")
	if own.text("issued_token_type") != tokenTypeAccess || own.text("token_type") != "Bearer" || own.fields["expires_in"] != 600.0 || own.text("refresh_token") == "" {
		t.Errorf("%s", own.body)
	}
	claims := f.claims(own.text("access_token"))
	if claims["sub"] != "alice" || claims["client_id"] != "app" || claims["act"] != nil {
		t.Errorf("%v", claims)
	}
	f.want(f.refresh(own.text("refresh_token")), 200, "")

	as := f.exchange("subject_token", "bob", "subject_token_type", TokenTypeUserID, "actor_token", f.actor(), "actor_token_type", tokenTypeJWT, "reason", "ticket 4711")
	f.want(as, 200, "")
	if claims := f.claims(as.text("access_token")); claims["sub"] != "bob" || claims["reason"] != "ticket 4711" || claims["act"].(map[string]any)["sub"] != "carol" || claims["act"].(map[string]any)["iss"] != trusted {
		t.Errorf("%v", claims)
	}
	by := f.exchange("subject_token", f.token("bob", nil), "subject_token_type", tokenTypeJWT, "actor_token", f.actor(), "actor_token_type", tokenTypeID)
	f.want(by, 200, "")
	if claims := f.claims(by.text("access_token")); claims["sub"] != "bob" || claims["act"].(map[string]any)["sub"] != "carol" {
		t.Errorf("%v", claims)
	}
}

// Covers O9.
func TestExchange_ARefreshTokenIsNoTokenToCallWith(t *testing.T) {
	f := newFixture(t)
	got := f.exchange("subject_token", f.token("alice", nil), "subject_token_type", tokenTypeJWT, "requested_token_type", tokenTypeRefresh)
	f.want(got, 200, "")
	if got.text("issued_token_type") != tokenTypeRefresh || got.text("token_type") != "N_A" || got.fields["expires_in"] != time.Hour.Seconds() || len(got.fields) != 4 {
		t.Errorf("%s", got.body)
	}
	f.want(f.refresh(got.text("access_token")), 200, "")
}

// Covers O9.
func TestExchange_WhatIsMissingOrUnknownIsAnError(t *testing.T) {
	f := newFixture(t)
	alice, carol := f.token("alice", nil), f.actor()
	for name, tt := range map[string]struct {
		code   string
		params []string
	}{
		"no subject":                 {"invalid_request", []string{"subject_token_type", tokenTypeJWT}},
		"no type of the subject":     {"invalid_request", []string{"subject_token", alice}},
		"an actor of no type":        {"invalid_request", []string{"subject_token", alice, "subject_token_type", tokenTypeJWT, "actor_token", carol}},
		"the type of no actor":       {"invalid_request", []string{"subject_token", alice, "subject_token_type", tokenTypeJWT, "actor_token_type", tokenTypeJWT}},
		"a user id and no actor":     {"invalid_request", []string{"subject_token", "alice", "subject_token_type", TokenTypeUserID}},
		"a user id that is none":     {"invalid_request", []string{"subject_token", " bob", "subject_token_type", TokenTypeUserID, "actor_token", carol, "actor_token_type", tokenTypeJWT}},
		"SAML":                       {"invalid_request", []string{"subject_token", alice, "subject_token_type", "urn:ietf:params:oauth:token-type:saml2"}},
		"a refresh token as what":    {"invalid_request", []string{"subject_token", alice, "subject_token_type", tokenTypeRefresh}},
		"an actor who is a name":     {"invalid_request", []string{"subject_token", "bob", "subject_token_type", TokenTypeUserID, "actor_token", "carol", "actor_token_type", TokenTypeUserID}},
		"an ID token asked for":      {"invalid_request", []string{"subject_token", alice, "subject_token_type", tokenTypeJWT, "requested_token_type", tokenTypeID}},
		"a scope":                    {"invalid_scope", []string{"subject_token", alice, "subject_token_type", tokenTypeJWT, "scope", "admin"}},
		"a scope that the actor has": {"invalid_scope", []string{"subject_token", "bob", "subject_token_type", TokenTypeUserID, "actor_token", carol, "actor_token_type", tokenTypeJWT, "scope", "act"}},
		"an unknown audience":        {"invalid_target", []string{"subject_token", alice, "subject_token_type", tokenTypeJWT, "audience", "other"}},
		"an unknown resource":        {"invalid_target", []string{"subject_token", alice, "subject_token_type", tokenTypeJWT, "resource", "https://other.example.com"}},
		"one unknown of two":         {"invalid_target", []string{"subject_token", alice, "subject_token_type", tokenTypeJWT, "resource", issuer, "resource", "https://other.example.com"}},
		"a reason that is too long":  {"invalid_request", []string{"subject_token", "bob", "subject_token_type", TokenTypeUserID, "actor_token", carol, "actor_token_type", tokenTypeJWT, "reason", string(make([]byte, 501))}},
	} {
		if got := f.exchange(tt.params...); got.status != 400 || got.text("error") != tt.code {
			t.Errorf("%s: %d %s, want %s", name, got.status, got.body, tt.code)
		}
	}
	if f.store.calls != 0 {
		t.Error("there is a session")
	}
	f.want(f.exchange("subject_token", alice, "subject_token_type", tokenTypeJWT, "resource", issuer, "resource", issuer, "audience", issuer), 200, "")
}

// Covers V26.
func TestExchange_IsNoWayAroundThePolicy(t *testing.T) {
	f := newFixture(t)
	as := func(user, actor string) answer {
		return f.exchange("subject_token", user, "subject_token_type", TokenTypeUserID, "actor_token", actor, "actor_token_type", tokenTypeJWT)
	}
	with := func(subject, actor string) answer {
		return f.exchange("subject_token", subject, "subject_token_type", tokenTypeJWT, "actor_token", actor, "actor_token_type", tokenTypeJWT)
	}
	for name, got := range map[string]answer{
		"a user as another":                        as("bob", f.token("alice", nil)),
		"a user as another, who brings a token":    with(f.token("bob", nil), f.token("alice", nil)),
		"an actor as a protected user":             as("root", f.actor()),
		"the same, spelled otherwise":              as("ROOT", f.actor()),
		"the same, by a token":                     with(f.token("root", nil), f.actor()),
		"an actor who is acted for":                as("bob", f.token("carol", map[string]any{"scope": "act", "act": map[string]string{"sub": "mallory"}})),
		"a subject who is acted for":               with(f.token("bob", map[string]any{"act": map[string]string{"sub": "mallory"}}), f.actor()),
		"a machine for itself":                     f.exchange("subject_token", f.token("desk", map[string]any{"scope": "act"}), "subject_token_type", tokenTypeJWT),
		"a machine as the subject of somebody":     with(f.token("desk", nil), f.actor()),
		"a scope of the subject and not the actor": with(f.token("bob", map[string]any{"scope": "act"}), f.token("alice", nil)),
	} {
		if got.status != 400 || got.text("error") != "invalid_request" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	f.manager.Policy.RequireReason = true
	f.want(as("bob", f.actor()), 400, "invalid_request")
	f.manager.Policy = &sessions.Policy{}
	f.want(f.exchange("subject_token", f.token("alice", nil), "subject_token_type", tokenTypeJWT), 400, "invalid_request")
	if f.store.calls != 0 {
		t.Error("there is a session")
	}
}

func TestExchange_TokensThatAreNotForUsAreRefused(t *testing.T) {
	f := newFixture(t)
	alice := f.token("alice", nil)
	for name, bad := range map[string]string{
		"for another audience":   f.token("carol", map[string]any{"scope": "act", "aud": "https://other.example.com"}),
		"for no audience":        f.token("carol", map[string]any{"scope": "act", "aud": nil}),
		"of another issuer":      f.token("carol", map[string]any{"scope": "act", "iss": "https://evil.example.com"}),
		"that is over":           f.token("carol", map[string]any{"scope": "act", "exp": f.now.Add(-time.Second).Unix()}),
		"by another key":         f.sign(f.robot, map[string]any{"iss": trusted, "sub": "carol", "aud": callers, "scope": "act", "exp": f.now.Add(time.Minute).Unix()}, nil),
		"that says it refreshes": f.token("carol", map[string]any{"scope": "act", "typ": "Refresh"}),
		"bound to a key":         f.token("carol", map[string]any{"scope": "act", "cnf": map[string]string{"jkt": "x"}}),
		"none":                   "x",
	} {
		for _, got := range []answer{
			f.exchange("subject_token", "bob", "subject_token_type", TokenTypeUserID, "actor_token", bad, "actor_token_type", tokenTypeJWT),
			f.exchange("subject_token", alice, "subject_token_type", tokenTypeJWT, "actor_token", bad, "actor_token_type", tokenTypeJWT),
			f.exchange("subject_token", bad, "subject_token_type", tokenTypeJWT),
		} {
			if got.status != 400 || got.text("error") != "invalid_request" {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
		f.api.Memory.limit = newLimiter()
	}
	if f.store.calls != 0 {
		t.Error("there is a session")
	}
}

// Our own tokens make no sessions: neither longer ones, nor others.
//
// Covers V25.
func TestExchange_OurOwnTokensAreNobodys(t *testing.T) {
	f := newFixture(t)
	session := f.session()
	as := f.exchange("subject_token", "bob", "subject_token_type", TokenTypeUserID, "actor_token", f.actor(), "actor_token_type", tokenTypeJWT)
	calls := f.store.calls
	for _, token := range []string{session.text("access_token"), session.text("refresh_token"), as.text("access_token"), as.text("refresh_token")} {
		for _, kind := range []string{tokenTypeJWT, tokenTypeAccess, tokenTypeID, tokenTypeRefresh} {
			f.want(f.exchange("subject_token", token, "subject_token_type", kind), 400, "invalid_request")
			f.want(f.exchange("subject_token", "alice", "subject_token_type", TokenTypeUserID, "actor_token", token, "actor_token_type", kind), 400, "invalid_request")
			f.want(f.exchange("subject_token", token, "subject_token_type", kind, "actor_token", f.actor(), "actor_token_type", tokenTypeJWT), 400, "invalid_request")
		}
		f.api.Memory.limit = newLimiter()
	}
	if f.store.calls != calls {
		t.Error("the store was asked")
	}
}

// Covers V26.
func TestExchange_MayActNamesWhoMay(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		name   string
		mayAct any
		good   bool
	}{
		{"the actor", map[string]any{"sub": "carol"}, true},
		{"the actor and their issuer", map[string]any{"sub": "carol", "iss": trusted}, true},
		{"the actor by their client", map[string]any{"sub": "carol", "client_id": "desk"}, true},
		{"another", map[string]any{"sub": "dave"}, false},
		{"one of another issuer", map[string]any{"sub": "carol", "iss": "https://other.example.com"}, false},
		{"the actor by another client", map[string]any{"sub": "carol", "client_id": "other"}, false},
		{"whoever has that client", map[string]any{"client_id": "desk"}, false},
		{"nobody", map[string]any{}, false},
		{"no object", "carol", false},
		{"an empty list", []any{}, false},
		{"a list", map[string]any{"sub": []any{"carol"}}, false},
	} {
		subject := f.token("bob", map[string]any{"may_act": tt.mayAct})
		got := f.exchange("subject_token", subject, "subject_token_type", tokenTypeJWT, "actor_token", f.actor(), "actor_token_type", tokenTypeJWT)
		if (got.status == 200) != tt.good {
			t.Errorf("%s: %d %s", tt.name, got.status, got.body)
		}
		// It allows nothing that the policy does not.
		got = f.exchange("subject_token", subject, "subject_token_type", tokenTypeJWT, "actor_token", f.token("carol", nil), "actor_token_type", tokenTypeJWT)
		f.want(got, 400, "invalid_request")
	}
	subject := f.token("bob", map[string]any{"may_act": map[string]any{"sub": "dave"}})
	f.want(f.exchange("subject_token", subject, "subject_token_type", tokenTypeJWT), 200, "") // nobody acts
}

// A subject without an issuer is one of the issuer of the token that names it.
func TestMayAct_ASubjectOfAnotherIssuerIsSomebodyElse(t *testing.T) {
	of := func(issuer string, mayAct map[string]any) *sessions.Caller {
		claims := sessions.Claims{"iss": issuer, "sub": "carol"}
		if mayAct != nil {
			claims["may_act"] = mayAct
		}
		return &sessions.Caller{Principal: sessions.Principal{Issuer: issuer, Subject: "carol"}, Claims: claims}
	}
	const other = "https://other.example.com"
	for _, tt := range []struct {
		mayAct map[string]any
		actor  string
		want   bool
	}{
		{map[string]any{"sub": "carol"}, trusted, true},
		{map[string]any{"sub": "carol"}, other, false},
		{map[string]any{"sub": "carol", "iss": other}, other, true},
		{map[string]any{"sub": "carol", "iss": other}, trusted, false},
		{nil, other, true},
	} {
		if got := mayAct(of(trusted, tt.mayAct), of(tt.actor, nil)); got != tt.want {
			t.Errorf("%v, by one of %s: %t", tt.mayAct, tt.actor, got)
		}
	}
}
