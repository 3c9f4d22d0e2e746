package sessions_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"authsidecar/sessions"
)

// The session of client "gateway", which has to authenticate, beside that of a public one.
func clientSessions(t *testing.T) (m *sessions.Manager, gateway, app *sessions.Grant) {
	t.Helper()
	m = newManager(t, start())
	m.Clients = map[string]bool{"gateway": true, "app": true}
	m.Minter.Confidential = map[string]bool{"gateway": true}
	grant := func(client string) *sessions.Grant {
		g, err := m.Create(t.Context(), &sessions.CreateRequest{Caller: caller("alice"), UserID: "alice", ClientID: client, ClientAuthenticated: client == "gateway"})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	return m, grant("gateway"), grant("app")
}

// Covers O3.
func TestRefresh_ASessionIsBoundToItsClient(t *testing.T) {
	m, gateway, app := clientSessions(t)
	for _, tt := range []struct {
		name, token, client string
		want                error
	}{
		{"another client's, who presents a confidential one's", gateway.RefreshToken, "app", sessions.ErrOtherClient},
		{"another client's, who presents a public one's", app.RefreshToken, "gateway", sessions.ErrOtherClient},
		{"nobody's, of a confidential client", gateway.RefreshToken, "", sessions.ErrClientAuth},
	} {
		req := &sessions.RefreshRequest{Token: tt.token, Client: tt.client}
		if _, err := m.Refresh(t.Context(), req); !errors.Is(err, tt.want) || errors.Is(err, sessions.ErrGrant) != (tt.client != "") {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	// Nothing was rotated, and nothing was revoked: the same tokens are good for their clients.
	for _, tt := range []struct{ token, client string }{{gateway.RefreshToken, "gateway"}, {app.RefreshToken, "app"}} {
		grant, err := m.Refresh(t.Context(), &sessions.RefreshRequest{Token: tt.token, Client: tt.client})
		if err != nil || grant.Session.Generation != 1 {
			t.Fatalf("%s: %v", tt.client, err)
		}
	}
}

func TestRefresh_OfAPublicClientNeedsTheTokenAlone(t *testing.T) {
	m, _, app := clientSessions(t)
	if _, err := m.Refresh(t.Context(), &sessions.RefreshRequest{Token: app.RefreshToken}); err != nil {
		t.Error(err)
	}
}

func TestRefresh_AClientThatIsNoMoreEndsItsSessions(t *testing.T) {
	m, gateway, _ := clientSessions(t)
	clear(m.Clients)
	clear(m.Minter.Confidential)
	if _, err := m.Refresh(t.Context(), &sessions.RefreshRequest{Token: gateway.RefreshToken}); !errors.Is(err, sessions.ErrGrant) {
		t.Errorf("%v, want ErrGrant", err)
	}
}

// A caller whose own client has the name of one that authenticates may have a session for it; when
// that client is no more, its token still needs the client.
func TestRefresh_ATokenThatNeedsItsClientNeedsItForever(t *testing.T) {
	m, _, _ := clientSessions(t)
	who := caller("alice")
	who.ClientID = "gateway"
	grant, err := m.Create(t.Context(), &sessions.CreateRequest{Caller: who, UserID: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	clear(m.Clients)
	clear(m.Minter.Confidential)
	if _, err := m.Refresh(t.Context(), &sessions.RefreshRequest{Token: grant.RefreshToken}); !errors.Is(err, sessions.ErrGrant) {
		t.Errorf("%v, want ErrGrant", err)
	}
}

func TestCreate_NobodyIsAClientThatAuthenticatesByNamingIt(t *testing.T) {
	m, _, _ := clientSessions(t)
	m.Policy.Allow = []sessions.Rule{{Name: "gateway", From: caller("x").Issuer, When: byClient("gateway")}}
	for _, user := range []string{"alice", "bob"} {
		req := &sessions.CreateRequest{Caller: caller("alice"), UserID: user, ClientID: "gateway"}
		if _, err := m.Create(t.Context(), req); !errors.Is(err, sessions.ErrClient) {
			t.Errorf("for %s: %v, want ErrClient", user, err)
		}
		req.ClientAuthenticated = true
		if _, err := m.Create(t.Context(), req); err != nil {
			t.Errorf("for %s, by the client: %v", user, err)
		}
	}
}

// Who reports their client to a manager is known by a rule, of their own issuer and of claims that
// were read; nothing of what others say is kept.
func TestCreate_WhoseClientIsReportedIsARulesToAllow(t *testing.T) {
	m := newManager(t, start())
	m.ReportClient = []sessions.Rule{
		{Name: "scope client:report", From: idpIssuer, When: sessions.HasScope("client:report")},
		{Name: "scope act", From: "https://other.example.com", When: sessions.HasScope("act")},
	}
	reported := func(by *sessions.Caller, user string) *sessions.CreateRequest {
		return &sessions.CreateRequest{
			Caller: by, UserID: user, IP: "10.0.0.5", UserAgent: "backend/1",
			ReportedIP: netip.MustParseAddr("::ffff:203.0.113.7"), ReportedAgent: "Mozilla/5.0\n(" + strings.Repeat("x", 300),
		}
	}
	grant, err := m.Create(t.Context(), reported(caller("backend", "act", "client:report"), "alice"))
	if err != nil {
		t.Fatal(err)
	}
	s := &grant.Session
	if s.IP != "203.0.113.7" || s.ReportedBy != "10.0.0.5" || s.RequestIP() != "10.0.0.5" || len(s.UserAgent) != 255 || !strings.HasPrefix(s.UserAgent, "Mozilla/5.0?(x") {
		t.Errorf("%q by %q, %q", s.IP, s.ReportedBy, s.UserAgent)
	}
	nowhere := reported(caller("backend", "act", "client:report"), "alice")
	nowhere.IP = "" // by a Unix socket
	if grant, err = m.Create(t.Context(), nowhere); err != nil || grant.Session.ReportedBy != "unknown" {
		t.Errorf("by a request without an address: %v, %q", err, grant.Session.ReportedBy)
	}
	for _, tt := range []struct {
		name, user string
		by         *sessions.Caller
		want       error
	}{
		{"by a rule of another issuer", "alice", caller("backend", "act"), sessions.ErrReport},
		{"by a user", "alice", caller("alice"), sessions.ErrReport},
		{"where the policy says no", "bob", caller("alice", "client:report"), sessions.ErrDenied},
	} {
		if _, err := m.Create(t.Context(), reported(tt.by, tt.user)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// The client is part of the request that a key stands for.
func TestCreate_AKeyIsGoodForOneReportedClient(t *testing.T) {
	m := newManager(t, start())
	m.ReportClient = m.Policy.Allow
	create := func(ip, agent string) error {
		req := &sessions.CreateRequest{Caller: caller("backend", "act"), UserID: "alice", IP: "10.0.0.5", IdempotencyKey: "one", ReportedAgent: agent}
		if ip != "" {
			req.ReportedIP = netip.MustParseAddr(ip)
		}
		_, err := m.Create(t.Context(), req)
		return err
	}
	for _, tt := range []struct {
		ip, agent string
		want      error
	}{
		{"203.0.113.7", "a", nil},
		{"203.0.113.7", "a", nil},
		{"::ffff:203.0.113.7", "a", nil},
		{"203.0.113.8", "a", sessions.ErrIdempotencyMismatch},
		{"203.0.113.7", "b", sessions.ErrIdempotencyMismatch},
		{"", "", sessions.ErrIdempotencyMismatch},
	} {
		if err := create(tt.ip, tt.agent); !errors.Is(err, tt.want) {
			t.Errorf("%q, %q: %v, want %v", tt.ip, tt.agent, err, tt.want)
		}
	}
}

// byClient holds where the client is that one.
type byClient string

func (c byClient) Holds(in *sessions.RuleInput) bool { return in.ClientID == string(c) }
func (byClient) Claims() ([]string, bool)            { return nil, false }
func (byClient) PerSession() bool                    { return true }

// Who asks about a token is not who presented it.
func TestIntrospect_AnOldTokenRevokesNothing(t *testing.T) {
	m, gateway, _ := clientSessions(t)
	use := func(token string) (*sessions.Grant, error) {
		return m.Refresh(t.Context(), &sessions.RefreshRequest{Token: token, Client: "gateway"})
	}
	second, err := use(gateway.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	third, err := use(second.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	old := &sessions.RefreshRequest{Token: gateway.RefreshToken, Client: "gateway"}
	if _, err := m.Introspect(t.Context(), old); !errors.Is(err, sessions.ErrGrant) {
		t.Errorf("an old token: %v, want ErrGrant", err)
	}
	if s, err := m.Introspect(t.Context(), &sessions.RefreshRequest{Token: third.RefreshToken, Client: "gateway"}); err != nil || s.ID != third.Session.ID {
		t.Errorf("the live token: %v", err)
	}
	if _, err := m.Current(t.Context(), old); !errors.Is(err, sessions.ErrGrant) { // and presenting it does
		t.Errorf("%v, want ErrGrant", err)
	}
	if _, err := use(third.RefreshToken); !errors.Is(err, sessions.ErrGrant) {
		t.Errorf("after the reuse: %v, want ErrGrant", err)
	}
}

func TestCurrent_AnotherClientsTokenIsRefusedAndNothingHappensToIt(t *testing.T) {
	m, gateway, _ := clientSessions(t)
	if _, err := m.Current(t.Context(), &sessions.RefreshRequest{Token: gateway.RefreshToken, Client: "app"}); !errors.Is(err, sessions.ErrOtherClient) {
		t.Errorf("%v, want ErrOtherClient", err)
	}
	for _, client := range []string{"gateway", ""} {
		if _, err := m.Current(t.Context(), &sessions.RefreshRequest{Token: gateway.RefreshToken, Client: client}); err != nil {
			t.Errorf("by %q: %v", client, err)
		}
	}
}

func TestRefresh_WhatWeDidNotSignIsForged(t *testing.T) {
	m, gateway, _ := clientSessions(t)
	other, _, _ := clientSessions(t)
	for _, token := range []string{"", "x", gateway.AccessToken, gateway.RefreshToken + "x"} {
		if _, err := m.Refresh(t.Context(), &sessions.RefreshRequest{Token: token, Client: "gateway"}); !errors.Is(err, sessions.ErrForged) {
			t.Errorf("%.10q: %v, want ErrForged", token, err)
		}
	}
	// Honest users have such tokens where a key was replaced.
	if _, err := other.Refresh(t.Context(), &sessions.RefreshRequest{Token: gateway.RefreshToken, Client: "gateway"}); !errors.Is(err, sessions.ErrGrant) || errors.Is(err, sessions.ErrForged) {
		t.Errorf("of another's key: %v, want ErrGrant and not ErrForged", err)
	}
}
