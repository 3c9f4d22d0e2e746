package sessions_test

import (
	"errors"
	"testing"

	"authsidecar/sessions"
)

func TestV25_AMachineIsNoUser(t *testing.T) {
	for name, tt := range map[string]struct {
		subject string
		claims  sessions.Claims
		machine bool
	}{
		"a person":                             {"alice", sessions.Claims{"sub": "alice", "azp": "spa", "gty": "password", "idtyp": "user", "preferred_username": "alice"}, false},
		"a person of whom little is said":      {"alice", nil, false},
		"a client's own client_id":             {"desk", sessions.Claims{"client_id": "desk"}, true},
		"a client's own azp":                   {"desk", sessions.Claims{"client_id": "x", "azp": "desk"}, true},
		"a client's own cid, of Okta":          {"0oaSvc", sessions.Claims{"cid": "0oaSvc"}, true},
		"a client's own appid, of Entra ID v1": {"a-guid", sessions.Claims{"appid": "a-guid"}, true},
		"a client's number":                    {"1134", sessions.Claims{"azp": int64(1134)}, true},
		"another client's token":               {"alice", sessions.Claims{"client_id": "a", "azp": "b", "cid": "c", "appid": "d"}, false},
		"client credentials, of Auth0":         {"m2m", sessions.Claims{"gty": "client-credentials"}, true},
		"client credentials, of FusionAuth":    {"entity", sessions.Claims{"gty": []any{"client_credentials"}}, true},
		"other grants":                         {"alice", sessions.Claims{"gty": []any{"authorization_code", "refresh_token"}}, false},
		"an app, of Entra ID":                  {"oid", sessions.Claims{"idtyp": "app"}, true},
		"a subject of Auth0's clients":         {"M2Mid@clients", nil, true},
		"a subject that only mentions them":    {"x@clients.example.com", nil, false},
		"a subject of Keycloak's":              {"service-account-desk", nil, true},
		"a user name of Keycloak's":            {"7f3c-sa", sessions.Claims{"preferred_username": "service-account-desk"}, true},
		"an app, in other letters":             {"oid", sessions.Claims{"idtyp": "App"}, true},
		"client credentials, in capitals":      {"m2m", sessions.Claims{"gty": "CLIENT-CREDENTIALS"}, true},
		"a subject of clients, in capitals":    {"m2mid@CLIENTS", nil, true},
		"a service account, in capitals":       {"Service-Account-desk", nil, true},
		"a client's own, in other letters":     {"A-GUID", sessions.Claims{"appid": "a-guid"}, true},
		"a machine that goes by its email":     {"bot@example.com", sessions.Claims{"sub": "desk", "azp": "desk"}, true},
		"a person who goes by their email":     {"a@example.com", sessions.Claims{"sub": "alice", "azp": "spa"}, false},
		"a subject that is no text":            {"alice", sessions.Claims{"sub": map[string]any{}, "azp": map[string]any{}}, false},
		"no subject, and an empty client":      {"a@example.com", sessions.Claims{"sub": "", "azp": ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, start())
			by := &sessions.Caller{Principal: sessions.Principal{Issuer: idpIssuer, Subject: tt.subject}, User: true, Claims: tt.claims}
			if by.IsMachine() != tt.machine || by.IsUser() == tt.machine {
				t.Errorf("machine %t, user %t", by.IsMachine(), by.IsUser())
			}
			_, err := m.Create(t.Context(), &sessions.CreateRequest{Caller: by, UserID: tt.subject})
			if denied := errors.Is(err, sessions.ErrDenied); denied != tt.machine || !denied && err != nil {
				t.Errorf("self: %v", err)
			}
			rights, err := m.RightsOf(by, "")
			if err != nil {
				t.Fatal(err)
			}
			if rights.Over(&sessions.Session{UserID: tt.subject}) == tt.machine {
				t.Error("rights over the sessions of the user of that name")
			}
		})
	}
}

// A session of one's own stays that: the claims by which its holder was a person are not
// recorded.
func TestV25_WhoWasAPersonAtCreateIsOneAtRefresh(t *testing.T) {
	m := newManager(t, start())
	grant := mustCreate(t, m, caller("alice"), "alice")
	if _, err := m.Refresh(t.Context(), &sessions.RefreshRequest{Token: grant.RefreshToken}); err != nil {
		t.Error(err)
	}
}

// Nor does a rule's session become one's own, when the reload allows self.
func TestV25_WhoWasAMachineAtCreateIsOneAtRefresh(t *testing.T) {
	m := newManager(t, start())
	m.Policy.AllowSelf = false
	by := caller("alice", "act")
	by.Claims["gty"] = "client-credentials"
	grant := mustCreate(t, m, by, "alice")
	m.Policy.AllowSelf = true
	next, err := m.Refresh(t.Context(), &sessions.RefreshRequest{Token: grant.RefreshToken})
	if err != nil || !next.Session.Impersonation {
		t.Fatalf("%+v %v", next, err)
	}
	m.Policy.Allow = nil
	if _, err := m.Refresh(t.Context(), &sessions.RefreshRequest{Token: next.RefreshToken}); !errors.Is(err, sessions.ErrGrant) {
		t.Errorf("%v, want ErrGrant: no rule allows it, and self does not", err)
	}
}
