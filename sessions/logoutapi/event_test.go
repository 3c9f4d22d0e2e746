package logoutapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"authsidecar/sessions/logout"
	"authsidecar/sessions/logoutapi"
)

func TestEvents_EachDoesWhatIsConfigured(t *testing.T) {
	for event, want := range map[string]struct {
		kind    string
		action  logout.Action
		account bool
	}{
		caep + "session-revoked":   {"session-revoked", logout.Revoke, false},
		caep + "credential-change": {"credential-change", logout.RevokeImpersonations, false},
		risc + "account-disabled":  {"account-disabled", logout.Revoke, true},
		risc + "account-purged":    {"account-purged", logout.Revoke, true},
		risc + "sessions-revoked":  {"sessions-revoked", logout.Log, false},
	} {
		t.Run(want.kind, func(t *testing.T) {
			w := newWorld(t)
			w.out.Logged = want.action == logout.Log
			w.want(w.push(w.sign("secevent+jwt", setClaims(event, object{"event_timestamp": now.Unix()}))), http.StatusAccepted, "")
			if len(w.notices) != 1 {
				t.Fatalf("noticed %+v", w.notices)
			}
			n := w.notices[0]
			if n.Kind != want.kind || n.Action != want.action || n.Account != want.account || n.Subject != "jane" || n.SID != "" || n.UserID != "jane" || n.JTI == "" || !n.At.Equal(now) {
				t.Errorf("noticed %+v", n)
			}
			if h := w.last(); h.Kind != want.kind || want.action == logout.Log != (h.Outcome == logoutapi.OutcomeLogged) {
				t.Errorf("heard %+v", h)
			}
		})
	}
}

// What does nothing here is acknowledged, or it would come again, and counted.
func TestEvents_OthersAreAcknowledged(t *testing.T) {
	for event, kind := range map[string]string{
		"https://schemas.openid.net/secevent/ssf/event-type/verification": logoutapi.KindVerification,
		"https://schemas.openid.net/secevent/sse/event-type/verification": logoutapi.KindVerification,
		risc + "account-enabled":            logoutapi.KindOther,
		caep + "device-compliance-change":   logoutapi.KindOther,
		"urn:ietf:params:scim:event:create": logoutapi.KindOther,
		"x":                                 logoutapi.KindOther,
	} {
		w := newWorld(t)
		w.want(w.push(w.sign("secevent+jwt", setClaims(event, object{"state": "VGhpcyBpcyBhbiBleGFtcGxl"}))), http.StatusAccepted, "")
		if h := w.last(); len(w.notices) != 0 || h.Kind != kind || h.Outcome != logoutapi.OutcomeIgnored || h.Issuer != idp {
			t.Errorf("%s: heard %+v, noticed %+v", event, h, w.notices)
		}
	}
}

func TestEvents_SubjectsAreReadInAllTheirForms(t *testing.T) {
	none := object{"sub_id": nil}
	for name, c := range map[string]struct {
		claims, payload object
		sub, sid, user  string
		named           string
	}{
		"iss_sub":                             {object{"sub_id": object{"format": "iss_sub", "iss": idp, "sub": "jane"}}, nil, "jane", "", "", "sub"},
		"iss_sub, another name of the issuer": {object{"sub_id": object{"format": "iss_sub", "iss": "idp.example.com", "sub": "jane"}}, nil, "jane", "", "", "sub"},
		"opaque":                              {object{"sub_id": object{"format": "opaque", "id": "jane"}}, nil, "jane", "", "", "sub"},
		"email, of an issuer that names callers so": {object{"iss": mail, "sub_id": object{"format": "email", "email": "jane@example.com"}}, nil, "", "", "jane@example.com", "email"},
		"email, of one that does not":               {object{"sub_id": object{"format": "email", "email": "jane@example.com"}}, nil, "", "", "", "email"},
		"complex, a user":                           {object{"sub_id": object{"format": "complex", "user": object{"format": "iss_sub", "iss": idp, "sub": "jane"}}}, nil, "jane", "", "", "sub"},
		"complex, a user and a session": {object{"sub_id": object{
			"format": "complex", "user": object{"format": "iss_sub", "iss": idp, "sub": "jane"}, "session": object{"format": "opaque", "id": "sid-1"},
		}}, nil, "jane", "sid-1", "", "sub and sid"},
		"complex, a session":                    {object{"sub_id": object{"format": "complex", "session": object{"format": "opaque", "id": "sid-1"}}}, nil, "", "sid-1", "", "sid"},
		"complex, a tenant":                     {object{"sub_id": object{"format": "complex", "tenant": object{"format": "opaque", "id": "t"}}}, nil, "", "", "", "complex"},
		"in the event, as drafts have it":       {none, object{"subject": object{"format": "iss_sub", "iss": idp, "sub": "jane"}}, "jane", "", "", "sub"},
		"in the event, as Google has it":        {none, object{"subject": object{"subject_type": "iss-sub", "iss": idp, "sub": "jane"}}, "jane", "", "", "sub"},
		"in the event, complex, as Okta has it": {none, object{"subject": object{"user": object{"format": "iss_sub", "iss": idp, "sub": "jane"}}}, "jane", "", "", "sub"},
		"sub of the token":                      {object{"sub_id": nil, "sub": "jane"}, nil, "jane", "", "", "sub"},
		"phone_number":                          {object{"sub_id": object{"format": "phone_number", "phone_number": "+1"}}, nil, "", "", "", "a subject of the format phone_number"},
		"a format of nobody":                    {object{"sub_id": object{"format": "<x>"}}, nil, "", "", "", "a subject of the format unknown"},
		"nothing":                               {none, nil, "", "", "", "no subject"},
		"a subject that is no text":             {object{"sub_id": object{"format": "iss_sub", "iss": idp, "sub": 7}}, nil, "", "", "", "iss_sub"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			payload := c.payload
			if payload == nil {
				payload = object{}
			}
			w.want(w.push(w.sign("secevent+jwt", with(setClaims(caep+"session-revoked", payload), c.claims))), http.StatusAccepted, "")
			h := w.last()
			if !strings.Contains(h.Named, c.named) {
				t.Errorf("named %q, not %q", h.Named, c.named)
			}
			if c.sub+c.sid+c.user == "" {
				if len(w.notices) != 0 || h.Outcome != logoutapi.OutcomeNothing {
					t.Errorf("noticed %+v, heard %+v", w.notices, h)
				}
				return
			}
			if len(w.notices) != 1 {
				t.Fatalf("noticed %+v", w.notices)
			}
			if n := w.notices[0]; n.Subject != c.sub || n.SID != c.sid || n.User != c.user {
				t.Errorf("noticed %+v", n)
			}
		})
	}
}

func TestEvents_ATokenThatBreaksARuleGetsTheCodeForIt(t *testing.T) {
	for name, c := range map[string]struct {
		typ    string
		claims object
		code   string
	}{
		"wrong aud":                   {"secevent+jwt", object{"aud": client}, "invalid_audience"},
		"no aud":                      {"secevent+jwt", object{"aud": nil}, "invalid_audience"},
		"wrong iss":                   {"secevent+jwt", object{"iss": "https://evil.example.com"}, "invalid_issuer"},
		"an issuer without events":    {"secevent+jwt", object{"iss": quiet}, "invalid_issuer"},
		"our own issuer":              {"secevent+jwt", object{"iss": ours}, "invalid_issuer"},
		"typ of a logout token":       {"logout+jwt", nil, "invalid_request"},
		"typ of an access token":      {"at+jwt", nil, "invalid_request"},
		"typ of Keycloak":             {"JWT", object{"typ": "Bearer"}, "invalid_request"},
		"no jti":                      {"secevent+jwt", object{"jti": nil}, "invalid_request"},
		"no iat":                      {"secevent+jwt", object{"iat": nil}, "invalid_request"},
		"iat in the future":           {"secevent+jwt", object{"iat": now.Add(time.Minute).Unix()}, "invalid_request"},
		"no events":                   {"secevent+jwt", object{"events": nil}, "invalid_request"},
		"empty events":                {"secevent+jwt", object{"events": object{}}, "invalid_request"},
		"a logout token":              {"JWT", object{"events": object{logoutURI: object{}}}, "invalid_request"},
		"a subject of another issuer": {"secevent+jwt", object{"sub_id": object{"format": "iss_sub", "iss": mail, "sub": "jane"}}, "invalid_request"},
		"a user of another issuer": {"secevent+jwt", object{"sub_id": object{
			"format": "complex", "user": object{"format": "iss_sub", "iss": mail, "sub": "jane"}, "session": object{"format": "opaque", "id": "1"},
		}}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			answer := w.push(w.sign(c.typ, with(setClaims(caep+"session-revoked", object{}), c.claims)))
			w.want(answer, http.StatusBadRequest, `{"err":"`+c.code+`","description":"`)
			if len(w.notices) != 0 || w.last().Outcome != logoutapi.OutcomeRefused || answer.Header().Get("Content-Language") != "en" {
				t.Errorf("noticed %+v, heard %+v", w.notices, w.last())
			}
		})
	}
	w := newWorld(t)
	forged := newWorld(t).sign("secevent+jwt", setClaims(caep+"session-revoked", object{}))
	w.want(w.push(forged), http.StatusBadRequest, `"err":"invalid_key"`)
	w.want(w.push("hello"), http.StatusBadRequest, `"err":"invalid_request"`)
	w.want(w.push(""), http.StatusBadRequest, `{"err":"invalid_request","description":"Send the token as the body, `)
}

func TestABodyThatEndsTooEarlyIsNotTakenForAnother(t *testing.T) {
	for path, media := range map[string]string{"/auth/sessions/events": "application/secevent+jwt", "/auth/sessions/backchannel-logout": "application/x-www-form-urlencoded"} {
		w := newWorld(t)
		r := httptest.NewRequest(http.MethodPost, path, iotest.ErrReader(io.ErrUnexpectedEOF))
		r.Header.Set("Content-Type", media)
		r.Header.Set("Authorization", "Bearer "+opened)
		w.want(w.serve(r), http.StatusBadRequest, `description":"The body ended too early, `)
	}
}

// A security event is never too old: those who could not deliver one send it again for days.
func TestEvents_AnOldEventCounts(t *testing.T) {
	w := newWorld(t)
	old := now.Add(-100 * 24 * time.Hour)
	w.want(w.push(w.sign("secevent+jwt", with(setClaims(caep+"session-revoked", object{}), object{"iat": old.Unix(), "exp": old.Unix()}))), http.StatusAccepted, "")
	if n := w.notices[0]; !n.At.Equal(old) {
		t.Errorf("noticed %+v", n)
	}
}

func TestEvents_ATransmitterPresentsItsToken(t *testing.T) {
	w := newWorld(t)
	token := w.sign("secevent+jwt", setClaims(caep+"session-revoked", object{}))
	for name, authorization := range map[string]string{"none": "", "another": "Bearer x", "basic": "Basic " + opened, "twice": "Bearer " + opened + " x"} {
		r := httptest.NewRequest(http.MethodPost, "/auth/sessions/events", strings.NewReader(token))
		r.Header.Set("Content-Type", "application/secevent+jwt")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		answer := w.serve(r)
		w.want(answer, http.StatusUnauthorized, `{"err":"authentication_failed"`)
		if !strings.HasPrefix(answer.Header().Get("WWW-Authenticate"), "Bearer") || len(w.notices) != 0 {
			t.Errorf("%s: %v", name, answer.Header())
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/auth/sessions/events", strings.NewReader(token))
	r.Header.Set("Content-Type", "application/jwt")
	r.Header.Set("Authorization", "Bearer "+opened)
	w.want(w.serve(r), http.StatusBadRequest, `{"err":"invalid_request"`)
}

// Several events of one token are each done.
func TestEvents_AllOfATokenAreTaken(t *testing.T) {
	w := newWorld(t)
	claims := with(setClaims("x", object{}), object{"events": object{risc + "account-disabled": object{"reason": "hijacking"}, caep + "session-revoked": object{}, "urn:x": object{}}})
	w.want(w.push(w.sign("secevent+jwt", claims)), http.StatusAccepted, "")
	if len(w.notices) != 2 || len(w.heard) != 3 {
		t.Errorf("noticed %+v, heard %+v", w.notices, w.heard)
	}
}
