package identity

import (
	"errors"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule/config"
)

func TestMiddleware_WhoPassesAndWhoIsRefused(t *testing.T) {
	bare, required := config.Identity{}, config.Identity{Require: true}
	cookie := config.Identity{Cookie: "session"}
	requiredCookie := config.Identity{Cookie: "session", Require: true}
	callers := config.Identity{AcceptCallers: true}
	exempt := config.Identity{Require: true, Exempt: []string{"/public/*"}}
	shadow := config.Identity{Shadow: true}
	login := config.Identity{Require: true, Login: "/login", Cookie: "session"}
	const sameSite, page = "same-origin", "navigate"
	for _, c := range []struct {
		name     string
		identity config.Identity
		what     string
		headers  []string // OWN, IMP, OVER and CALLER stand for tokens
		want     string
	}{
		{"nobody", bare, "GET /", nil, "nobody"},
		{"nobody, where somebody is required", required, "GET /", nil, "401 missing_token"},
		{"a forged header", bare, "GET /", []string{"X_Auth_User", "root"}, "nobody"},
		{"a user", required, "POST /", []string{"Authorization", "Bearer OWN"}, "alice +Authorization"},
		{"an impersonated user", required, "POST /", []string{"Authorization", "Bearer IMP"}, "alice by desk +Authorization"},
		{"a session that is over", bare, "GET /", []string{"Authorization", "Bearer OVER"}, "401 invalid_token"},
		{"two credentials", bare, "GET /", []string{"Authorization", "Bearer OWN", "Authorization", "Bearer OWN"}, "401 invalid_token"},
		{"a token of ours as a password", bare, "GET /", []string{"Authorization", "Basic OWN"}, "401 missing_token"},
		{"the app's own credential", bare, "GET /", []string{"Authorization", "Basic eDp5"}, "nobody +Authorization"},
		{"the app's own credential, where somebody is required", required, "GET /", []string{"Authorization", "Basic eDp5"}, "401 missing_token"},
		{"the app's own token", bare, "GET /", []string{"Authorization", "Bearer a.b.c"}, "nobody +Authorization"},
		{"the app's own token, where somebody is required", required, "GET /", []string{"Authorization", "Bearer a.b.c"}, "401 invalid_token"},
		{"a preflight", required, "OPTIONS /", []string{"Origin", "https://a.example.com", "Access-Control-Request-Method", "PUT"}, "nobody"},

		{"a cookie", cookie, "GET /", []string{"Cookie", "session=OWN"}, "alice +Cookie"},
		{"a cookie, where none is configured", bare, "GET /", []string{"Cookie", "session=OWN"}, "nobody +Cookie"},
		{"a cookie that changes something, from this site", cookie, "POST /", []string{"Cookie", "session=OWN", "Sec-Fetch-Site", sameSite}, "alice +Cookie"},
		{"a cookie that changes something, from anywhere", cookie, "POST /", []string{"Cookie", "session=OWN"}, "403 cross_origin"},
		{"a cookie beside a token of ours", cookie, "GET /", []string{"Cookie", "session=OWN", "Authorization", "Basic OWN"}, "401 invalid_token"},
		{"a cookie beside the app's own credential", cookie, "GET /", []string{"Cookie", "session=OWN", "Authorization", "Basic eDp5"}, "alice +Authorization +Cookie"},
		{"a good bearer token beside a cookie", cookie, "GET /", []string{"Cookie", "session=IMP", "Authorization", "Bearer OWN"}, "alice +Authorization"},
		{"a cookie that is over", cookie, "GET /", []string{"Cookie", "session=OVER"}, "nobody"},
		{"a cookie that is over and changes something", cookie, "POST /", []string{"Cookie", "session=OVER", "Sec-Fetch-Site", sameSite}, "401 session_over"},
		{"a cookie that is over, where somebody is required", requiredCookie, "GET /", []string{"Cookie", "session=OVER"}, "401 session_over"},
		{"the app's own cookie of that name", cookie, "GET /", []string{"Cookie", "session=1"}, "nobody +Cookie"},
		{"a cookie that is over before a good one", cookie, "GET /", []string{"Cookie", "session=OVER; session=OWN"}, "alice +Cookie"},
		{"a cookie that is over behind a good one", cookie, "GET /", []string{"Cookie", "session=OWN; session=OVER"}, "alice +Cookie"},
		{"two good cookies", cookie, "GET /", []string{"Cookie", "session=OWN; session=IMP"}, "401 invalid_token"},

		{"a caller, who is nobody", bare, "GET /", []string{"Authorization", "Bearer CALLER"}, "nobody +Authorization"},
		{"a caller who is a user", callers, "GET /", []string{"Authorization", "Bearer CALLER"}, "bob +Authorization"},
		{"a caller by the header of their issuer", callers, "GET /", []string{"X-Idp-Token", "CALLER"}, "bob"},
		{"a caller by that header, where it is not accepted", bare, "GET /", []string{"X-Idp-Token", "CALLER"}, "nobody"},
		{"a caller by that header who changes something", callers, "POST /", []string{"X-Idp-Token", "CALLER"}, "403 cross_origin"},
		{"a session of ours beside that header", callers, "GET /", []string{"X-Idp-Token", "CALLER", "Authorization", "Bearer OWN"}, "alice +Authorization"},

		{"nobody, on an exempt path", exempt, "GET /public/x", nil, "nobody"},
		{"nobody, beside an exempt path", exempt, "GET /private", nil, "401 missing_token"},
		{"a session that is over, on an exempt path", exempt, "GET /public/x", []string{"Authorization", "Bearer OVER"}, "nobody"},
		{"nobody, in shadow mode", shadow, "GET /", nil, "nobody"},
		{"a session that is over, in shadow mode", shadow, "GET /", []string{"Authorization", "Bearer OVER"}, "nobody"},
		{"a user, of whom the app is told nothing in shadow mode", shadow, "GET /", []string{"Authorization", "Bearer OWN"}, "nobody +Authorization"},

		{"a person who may sign in", login, "GET /", []string{"Sec-Fetch-Mode", page}, "302  /login"},
		{"a program that may not", login, "GET /", nil, "401 missing_token"},
		{"a person whose session is over", login, "GET /", []string{"Sec-Fetch-Mode", page, "Cookie", "session=OVER"}, "302  /login"},
		{"a person with two sessions, which signing in does not mend", login, "GET /", []string{"Cookie", "session=OWN; session=IMP"}, "401 invalid_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.identity, config.Impersonation{})
			if got := s.outcome(c.what, s.tokens(c.headers)...); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			s = newSiteOf(t, c.identity, config.Impersonation{}, littleMemory)
			headers := s.tokens(c.headers)
			for time := range 3 {
				if got := s.outcome(c.what, headers...); got != c.want {
					t.Errorf("where little of a token is remembered, request %d: %s, want %s", time+1, got, c.want)
				}
			}
		})
	}
}

// While the store is not open, nobody can tell whether a token of ours is good; what is no
// such token is as ever.
func TestMiddleware_WhileTheStoreIsNotOpen(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"nobody", nil, "nobody"},
		{"a user", []string{"Authorization", "Bearer OWN"}, "503 unavailable"},
		{"a caller", []string{"Authorization", "Bearer CALLER"}, "503 unavailable"},
		{"a caller by the header of their issuer", []string{"X-Idp-Token", "CALLER"}, "503 unavailable"},
		{"the app's own token", []string{"Authorization", "Bearer a.b.c"}, "nobody +Authorization"},
	} {
		s := newSite(t, config.Identity{AcceptCallers: true}, config.Impersonation{})
		s.closed = errors.New("down")
		if got := s.outcome("GET /", s.tokens(c.headers)...); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestMiddleware_KeepsImpersonatedSessionsFrom(t *testing.T) {
	s := newSite(t, config.Identity{}, config.Impersonation{ReadOnly: true, Deny: []string{"/billing/*"}})
	for _, c := range []struct{ what, token, want string }{
		{"GET /home", "IMP", "alice by desk +Authorization"},
		{"GET /billing/pay", "IMP", "403 deny"},
		{"GET /home//x", "IMP", "403 path_variant"},
		{"POST /home", "IMP", "403 read_only"},
		{"GET /billing/pay", "OWN", "alice +Authorization"},
		{"POST /home//x", "OWN", "alice +Authorization"},
	} {
		if got := s.outcome(c.what, s.tokens([]string{"Authorization", "Bearer " + c.token})...); got != c.want {
			t.Errorf("%s with %s: %s, want %s", c.what, c.token, got, c.want)
		}
	}
	if lines := s.logs.FilterMessage("session refused").Len(); lines != 3 {
		t.Errorf("%d lines in the audit, want one for each refusal", lines)
	}
}

// What an impersonated session changes is one line in the audit, with the status that it got.
func TestMiddleware_RecordsWhatAnImpersonatedSessionDoes(t *testing.T) {
	s := newSite(t, config.Identity{}, config.Impersonation{})
	for _, what := range []string{"GET /home", "POST /home"} {
		for _, token := range []string{"OWN", "IMP"} {
			s.ask(what, s.tokens([]string{"Authorization", "Bearer " + token})...)
		}
	}
	lines := s.logs.FilterMessage("session acted").All()
	if len(lines) != 1 || lines[0].ContextMap()["method"] != "POST" || lines[0].ContextMap()["actor"] == nil {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
}

// What error routes get, of which one may lead to the app, says nothing of whoever was refused,
// nor of somebody whom the app does not want.
func TestMiddleware_LeavesNothingOfARefusedRequestToErrorRoutes(t *testing.T) {
	accepting, bare := config.Identity{AcceptCallers: true, Cookie: "session"}, config.Identity{}
	for _, c := range []struct {
		name     string
		identity config.Identity
		token    string
		answer   int
		kept     bool // the token
		told     bool // who it is
	}{
		{"a user whom the app refuses", bare, "Bearer OWN", http.StatusForbidden, false, false},
		{"a caller whom the app refuses", accepting, "Bearer CALLER", http.StatusForbidden, false, false},
		{"the app's own token", bare, "Bearer CALLER", http.StatusForbidden, true, false},
		{"the app's own credential", accepting, "Basic eDp5", http.StatusForbidden, true, false},
		{"a user, where the app is down", bare, "Bearer OWN", http.StatusBadGateway, true, true},
		{"a caller, where the app is down", accepting, "Bearer CALLER", http.StatusBadGateway, true, true},
		{"an impersonated user, where the app is down", bare, "Bearer IMP", http.StatusBadGateway, false, false},
	} {
		s := newSite(t, c.identity, config.Impersonation{})
		s.answer = caddyhttp.Error(c.answer, errors.New("no"))
		w := s.ask("GET /", s.tokens([]string{"Authorization", c.token})...)
		left := s.app.Header // the same one that error routes have
		if kept := left.Get("Authorization") != ""; w.Code != c.answer || kept != c.kept {
			t.Errorf("%s: %d, the token is there: %t", c.name, w.Code, kept)
		}
		if told := left.Get("X-Auth-User") != ""; told != c.told {
			t.Errorf("%s: who it is is there: %t", c.name, told)
		}
	}
}

// Two blocks of a site each decide; what the first one decided stays.
func TestMiddleware_WhatABlockBeforeDecidedStays(t *testing.T) {
	for _, c := range []struct{ name, cookies, want string }{
		{"the first knows them", "a=OWN", "alice +Cookie"},
		{"the second knows them", "b=OWN", "alice +Cookie"},
		{"both know the same", "a=OWN; b=OWN", "alice +Cookie"},
		{"each knows another", "a=OWN; b=IMP", "400 two_identities"},
		{"the second refuses theirs", "a=OWN; b=OVER", "alice +Cookie"},
		{"neither knows them", "c=1", "nobody +Cookie"},
	} {
		s := newSite(t, config.Identity{Cookie: "a"}, config.Impersonation{})
		second := s.m.Config
		second.Identity = &config.Identity{Cookie: "b", Headers: s.m.Headers}
		s.behind = New(second)
		if got := s.outcome("GET /", s.tokens([]string{"Cookie", c.cookies})...); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Shadow mode leaves the app its headers, but none that lets an impersonated session evade deny.
func TestMiddleware_InShadowModeDenySeesThePathThatTheAppSees(t *testing.T) {
	denying := config.Impersonation{Deny: []string{"/billing/*"}}
	for _, c := range []struct {
		name, token   string
		impersonation config.Impersonation
		kept          bool
	}{
		{"an impersonated session", "IMP", denying, false},
		{"an impersonated session from which nothing is kept", "IMP", config.Impersonation{}, true},
		{"a user's own session", "OWN", denying, true},
	} {
		s := newSite(t, config.Identity{Shadow: true}, c.impersonation)
		s.ask("GET /home", s.tokens([]string{"Authorization", "Bearer " + c.token, "X-Original-URL", "/billing/pay"})...)
		if kept := s.app.Header.Get("X-Original-URL") != ""; kept != c.kept {
			t.Errorf("%s: the header is there: %t", c.name, kept)
		}
	}
}
