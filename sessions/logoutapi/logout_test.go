package logoutapi_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/logoutapi"
)

// The good one is that of the standard (Back-Channel Logout 1.0 section 2.4).
func TestLogout_ATokenOfATrustedIssuerEndsWhatItNames(t *testing.T) {
	w := newWorld(t)
	w.want(w.post(w.sign("logout+jwt", logoutClaims())), http.StatusOK, "")
	want := logout.Notice{
		Kind: "backchannel-logout", JTI: "bWJq", Issuer: idp, Trust: idp, Issuers: []string{idp, "idp.example.com"},
		SID: "08a5019c-17e1-4977-8f42-65a12843ea02", Subject: "248289761001", At: now, Marked: 24*time.Hour + 30*time.Second,
		Action: logout.Revoke, UserID: "248289761001", IP: "192.0.2.9",
	}
	if len(w.notices) != 1 || !reflect.DeepEqual(w.notices[0], want) {
		t.Errorf("noticed %+v, not %+v", w.notices, want)
	}
	heard := w.last()
	if heard.Kind != "backchannel-logout" || heard.Issuer != idp || heard.JTI != "bWJq" || heard.Named != "sub and sid" || heard.Outcome != logoutapi.OutcomeRevoked || heard.Ended != 1 {
		t.Errorf("heard %+v", heard)
	}
}

func TestLogout_TokensThatAStandardAllowsAreTaken(t *testing.T) {
	for name, change := range map[string]struct {
		typ    string
		claims object
		sid    string
		sub    string
	}{
		"a session alone":                     {"logout+jwt", object{"sub": nil}, "08a5019c-17e1-4977-8f42-65a12843ea02", ""},
		"a subject alone":                     {"logout+jwt", object{"sid": nil}, "", "248289761001"},
		"typ JWT":                             {"JWT", nil, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
		"no typ":                              {"", nil, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
		"a media type":                        {"application/LOGOUT+JWT", nil, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
		"the typ of Keycloak, in the claims":  {"JWT", object{"typ": "Logout"}, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
		"one of several audiences":            {"logout+jwt", object{"aud": []string{"x", "other-client"}}, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
		"no exp, as of drafts":                {"logout+jwt", object{"exp": nil}, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
		"an iat of minutes ago":               {"logout+jwt", object{"iat": now.Add(-9 * time.Minute).Unix()}, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
		"a clock that is ahead by the leeway": {"logout+jwt", object{"iat": now.Add(30 * time.Second).Unix()}, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
		"members that we do not know":         {"logout+jwt", object{"trace_id": "123", "azp": "x"}, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
		"more events":                         {"logout+jwt", object{"events": object{logoutURI: object{}, "urn:x": object{"a": 1}}}, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
		"another name of the issuer":          {"logout+jwt", object{"iss": "idp.example.com"}, "08a5019c-17e1-4977-8f42-65a12843ea02", "248289761001"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.want(w.post(w.sign(change.typ, with(logoutClaims(), change.claims))), http.StatusOK, "")
			if len(w.notices) != 1 || w.notices[0].SID != change.sid || w.notices[0].Subject != change.sub {
				t.Errorf("noticed %+v", w.notices)
			}
		})
	}
}

// A tenant of an issuer is an issuer of its own.
func TestLogout_ATenantEndsWhatIsItsOwn(t *testing.T) {
	w := newWorld(t)
	tenant := "https://idp.example.com/tenants/t1"
	w.want(w.post(w.sign("logout+jwt", with(logoutClaims(), object{"iss": tenant}))), http.StatusOK, "")
	if n := w.notices[0]; n.Trust != tenant || len(n.Issuers) != 1 || n.Issuers[0] != tenant || n.UserID != "" {
		t.Errorf("noticed %+v", n)
	}
}

// The rules of Back-Channel Logout 1.0 section 2.6, each by a token that breaks it alone.
func TestLogout_ATokenThatBreaksARuleIsRefused(t *testing.T) {
	for name, change := range map[string]struct {
		typ    string
		claims object
		why    string
	}{
		"wrong aud":                        {"logout+jwt", object{"aud": "another-client"}, "aud"},
		"aud of a caller":                  {"logout+jwt", object{"aud": ours}, "aud"},
		"no aud":                           {"logout+jwt", object{"aud": nil}, "aud"},
		"aud of another type":              {"logout+jwt", object{"aud": object{client: true}}, "aud"},
		"wrong iss":                        {"logout+jwt", object{"iss": "https://evil.example.com"}, "trusted issuer"},
		"no iss":                           {"logout+jwt", object{"iss": nil}, "trusted issuer"},
		"an issuer that sends no logouts":  {"logout+jwt", object{"iss": quiet}, "no logout tokens are taken"},
		"an issuer that sends events only": {"logout+jwt", object{"iss": mail}, "no logout tokens are taken"},
		"our own issuer":                   {"logout+jwt", object{"iss": ours}, "trusted issuer"},
		"typ of an access token":           {"at+jwt", nil, "typ"},
		"typ of a security event":          {"secevent+jwt", nil, "typ"},
		"typ of a refresh token":           {"rt+jwt", nil, "typ"},
		"typ of Keycloak's ID tokens":      {"JWT", object{"typ": "ID"}, "typ"},
		"a nonce":                          {"logout+jwt", object{"nonce": "n-0S6_WzA2Mj"}, "nonce"},
		"a nonce that is null":             {"logout+jwt", nil, "nonce"},
		"an empty nonce":                   {"logout+jwt", object{"nonce": ""}, "nonce"},
		"no events":                        {"logout+jwt", object{"events": nil}, "event"},
		"wrong events":                     {"logout+jwt", object{"events": object{"http://schemas.openid.net/event/other": object{}}}, "event"},
		"events that are a list":           {"logout+jwt", object{"events": []string{logoutURI}}, "event"},
		"an event that is no object":       {"logout+jwt", object{"events": object{logoutURI: "yes"}}, "event"},
		"neither sub nor sid":              {"logout+jwt", object{"sub": nil, "sid": nil}, "neither"},
		"empty sub and sid":                {"logout+jwt", object{"sub": "", "sid": ""}, "neither"},
		"a sid that is a number":           {"logout+jwt", object{"sub": nil, "sid": 7}, "neither"},
		"a sub that is long":               {"logout+jwt", object{"sub": strings.Repeat("x", 256)}, "neither"},
		"no jti":                           {"logout+jwt", object{"jti": nil}, "jti"},
		"no iat":                           {"logout+jwt", object{"iat": nil}, "iat"},
		"iat that is text":                 {"logout+jwt", object{"iat": "now"}, "iat"},
		"old iat":                          {"logout+jwt", object{"iat": now.Add(-10*time.Minute - 31*time.Second).Unix()}, "iat"},
		"iat in the future":                {"logout+jwt", object{"iat": now.Add(31 * time.Second).Unix()}, "iat"},
		"expired":                          {"logout+jwt", object{"exp": now.Add(-30 * time.Second).Unix()}, "expired"},
		"exp that is text":                 {"logout+jwt", object{"exp": "later"}, "expired"},
		"an ID token": {"JWT", object{
			"events": nil, "nonce": "n-0S6_WzA2Mj", "auth_time": now.Unix(),
		}, "nonce"},
		"an access token": {"at+jwt", object{"events": nil, "scope": "openid", "client_id": client}, "typ"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			claims := with(logoutClaims(), change.claims)
			if name == "a nonce that is null" {
				claims["nonce"] = nil
			}
			w.want(w.post(w.sign(change.typ, claims)), http.StatusBadRequest, `{"error":"invalid_request","error_description":"`)
			if len(w.notices) != 0 {
				t.Errorf("noticed %+v", w.notices)
			}
			if h := w.last(); h.Outcome != logoutapi.OutcomeRefused || h.Err == nil || !strings.Contains(h.Err.Error(), change.why) {
				t.Errorf("heard %+v, not of %q", h, change.why)
			}
			if w.checks() != 0 {
				t.Error("a signature was looked at: forgers cost that much")
			}
		})
	}
}

func TestLogout_AForgedTokenIsRefused(t *testing.T) {
	w := newWorld(t)
	good := w.sign("logout+jwt", logoutClaims())
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	other := newWorld(t).sign("logout+jwt", logoutClaims())
	for name, token := range map[string]string{
		"alg none":              encode([]byte(`{"alg":"none","typ":"logout+jwt"}`)) + "." + parts[1] + ".",
		"alg none, with a kid":  encode([]byte(`{"alg":"none","kid":"`+w.keys[idp].ID()+`"}`)) + "." + parts[1] + "." + parts[2],
		"HS256 by nobody's key": encode([]byte(`{"alg":"HS256","kid":"`+w.keys[idp].ID()+`"}`)) + "." + parts[1] + "." + parts[2],
		"the key of another":    other,
		"the key of quiet":      parts[0] + "." + parts[1] + "." + strings.Split(w.sign("logout+jwt", with(logoutClaims(), object{"iss": quiet})), ".")[2],
		"another payload":       parts[0] + "." + encode([]byte(strings.Replace(decode(t, parts[1]), "248289761001", "248289761002", 1))) + "." + parts[2],
		"crit":                  encode([]byte(`{"alg":"ES256","crit":["x"],"x":1}`)) + "." + parts[1] + "." + parts[2],
		"encrypted":             good + ".x.y",
		"two parts":             parts[0] + "." + parts[1],
		"nothing":               "",
		"a text":                "hello",
		"a claim twice":         parts[0] + "." + encode([]byte(strings.Replace(decode(t, parts[1]), "{", `{"iss":"x",`, 1))) + "." + parts[2],
		"larger than any token": good + strings.Repeat("A", 1<<14),
		"larger than any body":  strings.Repeat("A", 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			answer := w.post(token)
			if name == "larger than any body" {
				w.want(answer, http.StatusRequestEntityTooLarge, `"error"`)
			} else {
				w.want(answer, http.StatusBadRequest, `{"error":"invalid_request"`)
			}
			if len(w.notices) != 0 {
				t.Errorf("noticed %+v", w.notices)
			}
		})
	}
}

func decode(t *testing.T, part string) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestLogout_ARepeatedTokenIsAnsweredLikeTheFirst(t *testing.T) {
	w := newWorld(t)
	token := w.sign("logout+jwt", logoutClaims())
	w.want(w.post(token), http.StatusOK, "")
	w.out = logout.Outcome{Repeated: true}
	w.want(w.post(token), http.StatusOK, "")
	if h := w.last(); h.Outcome != logoutapi.OutcomeRepeated {
		t.Errorf("heard %+v", h)
	}
}

func TestLogout_WhatMatchesNothingSaysSo(t *testing.T) {
	w := newWorld(t)
	w.out = logout.Outcome{}
	w.want(w.post(w.sign("logout+jwt", with(logoutClaims(), object{"sid": nil}))), http.StatusOK, "")
	if h := w.last(); h.Outcome != logoutapi.OutcomeNothing || h.Named != "sub" || h.Trust != idp {
		t.Errorf("heard %+v", h)
	}
}

// 503 is what those who push send again; 400 would be final.
func TestLogout_WhatCannotBeKnownNowIsUnavailable(t *testing.T) {
	w := newWorld(t)
	w.err = sessions.ErrUnavailable
	answer := w.post(w.sign("logout+jwt", logoutClaims()))
	w.want(answer, http.StatusServiceUnavailable, "temporarily_unavailable")
	if answer.Header().Get("Retry-After") != "1" || w.last().Outcome != logoutapi.OutcomeFailed {
		t.Errorf("%v %+v", answer.Header(), w.last())
	}
	w.err = errors.New("surprise")
	w.want(w.post(w.sign("logout+jwt", logoutClaims())), http.StatusInternalServerError, "server_error")
	w.want(w.push(w.sign("secevent+jwt", setClaims(caep+"session-revoked", object{}))), http.StatusInternalServerError, `"err":"server_error"`)
}

func TestLogout_RequestsOfAnotherFormAreRefused(t *testing.T) {
	w := newWorld(t)
	token := w.sign("logout+jwt", logoutClaims())
	form := url.Values{"logout_token": {token}}.Encode()
	for name, ask := range map[string]struct {
		method, path, media, body string
		status                    int
	}{
		"GET":               {"GET", "/auth/sessions/backchannel-logout?" + form, "", "", http.StatusMethodNotAllowed},
		"JSON":              {"POST", "/auth/sessions/backchannel-logout", "application/json", `{"logout_token":"` + token + `"}`, http.StatusBadRequest},
		"in the URL":        {"POST", "/auth/sessions/backchannel-logout?" + form, "application/x-www-form-urlencoded", "", http.StatusBadRequest},
		"twice":             {"POST", "/auth/sessions/backchannel-logout", "application/x-www-form-urlencoded", form + "&" + form, http.StatusBadRequest},
		"no token":          {"POST", "/auth/sessions/backchannel-logout", "application/x-www-form-urlencoded", "x=y", http.StatusBadRequest},
		"no form":           {"POST", "/auth/sessions/backchannel-logout", "application/x-www-form-urlencoded", "%zz", http.StatusBadRequest},
		"a trailing slash":  {"POST", "/auth/sessions/backchannel-logout/", "application/x-www-form-urlencoded", form, http.StatusNotFound},
		"a parameter of it": {"POST", "/auth/sessions/backchannel-logout;x", "application/x-www-form-urlencoded", form, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			r := httptest.NewRequest(ask.method, ask.path, strings.NewReader(ask.body))
			r.Header.Set("Content-Type", ask.media)
			answer := w.serve(r)
			w.want(answer, ask.status, `"error":"invalid_request"`)
			if allow := answer.Header().Get("Allow"); (ask.status == http.StatusMethodNotAllowed) != (allow == "POST") {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
	if len(w.notices) != 0 {
		t.Errorf("noticed %+v", w.notices)
	}
	w.T = t
	r := httptest.NewRequest(http.MethodPost, "/auth/sessions/backchannel-logout", strings.NewReader(form+"&state=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	w.want(w.serve(r), http.StatusOK, "") // other values are ignored (section 2.5)
}

// Where the keys of an issuer cannot be had, it is not known whether a token is good.
func TestLogout_KeysThatCannotBeHadAreUnavailable(t *testing.T) {
	w := newWorld(t)
	verifier, err := bearer.New(bearer.Config{Issuers: []bearer.Issuer{{Name: idp, Keys: noKeys{}, Audiences: []string{ours}}}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	w.api.Verifier = verifier
	w.want(w.post(w.sign("logout+jwt", logoutClaims())), http.StatusServiceUnavailable, "temporarily_unavailable")
	if h := w.last(); h.Outcome != logoutapi.OutcomeFailed {
		t.Errorf("heard %+v", h)
	}
}

type noKeys struct{ bearer.KeySource }

func (noKeys) Key(_ context.Context, _ string, _ jose.Algorithm) (*jose.Key, error) {
	return nil, bearer.ErrKeysUnavailable
}
func (noKeys) Version() uint64 { return 1 }

func TestIsFor_GoesByTheTypeAndThenByTheEvents(t *testing.T) {
	logout, event := object{"events": object{logoutURI: object{}}}, object{"events": object{"x": object{}}}
	for _, c := range []struct {
		typ            string
		claims         object
		logout, pushed bool
	}{
		{"logout+jwt", object{}, true, false},
		{"application/Logout+JWT", event, true, false},
		{"JWT", logout, true, false},
		{"", logout, true, false},
		{"secevent+jwt", object{}, false, true},
		{"secevent+jwt", logout, false, true},
		{"", event, false, true},
		{"jwt", event, false, true},
		{"at+jwt", event, false, false},
		{"rt+jwt", logout, false, false},
		{"", object{}, false, false},
		{"JWT", object{"events": "x"}, false, false},
	} {
		if logout, pushed := logoutapi.IsFor(c.typ, c.claims); logout != c.logout || pushed != c.pushed {
			t.Errorf("%q %v: %t %t", c.typ, c.claims, logout, pushed)
		}
	}
}

// The endpoints are there as far as an issuer uses them.
func TestOnlyWhatIsConfiguredIsServed(t *testing.T) {
	for name, c := range map[string]struct {
		of             *logoutapi.Listener
		logout, events bool
	}{
		"logouts": {&logoutapi.Listener{Clients: []string{client}}, true, false},
		"events":  {&logoutapi.Listener{Events: &logoutapi.Events{Audiences: []string{audience}}}, false, true},
		"nothing": {&logoutapi.Listener{}, false, false},
	} {
		api := logoutapi.New(logoutapi.Config{Path: "/auth/sessions", Listeners: map[string]*logoutapi.Listener{idp: c.of}})
		for path, want := range map[string]bool{logoutapi.LogoutPath: c.logout, logoutapi.EventsPath: c.events} {
			if got := api.Route(httptest.NewRequest(http.MethodPost, "/auth/sessions"+path, nil)).Owner != 0; got != want {
				t.Errorf("%s: %s is ours: %t", name, path, got)
			}
		}
	}
}
