package sessions_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
)

func start() *clock { return &clock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)} }

func TestCreate_RepeatedRequests(t *testing.T) {
	const window = 5 * time.Minute
	short := 2 * time.Minute
	tests := []struct {
		name   string
		life   *time.Duration
		after  time.Duration
		change func(*testing.T, *sessions.Manager, *sessions.Grant, *sessions.CreateRequest)
		want   error
	}{
		{"at once", nil, 0, nil, nil},
		{"at the end of the window", nil, window, nil, nil},
		{"after the window", nil, window + time.Millisecond, nil, sessions.ErrIdempotencySpent},
		{"when the session is over", &short, short, nil, sessions.ErrIdempotencySpent},
		{"just before the session is over", &short, short - time.Millisecond, nil, nil},
		{"after a refresh", nil, 0, func(t *testing.T, m *sessions.Manager, g *sessions.Grant, _ *sessions.CreateRequest) {
			if _, err := m.Refresh(context.Background(), &sessions.RefreshRequest{Token: g.RefreshToken}); err != nil {
				t.Fatal(err)
			}
		}, sessions.ErrIdempotencySpent},
		{"after it was revoked", nil, 0, func(t *testing.T, m *sessions.Manager, g *sessions.Grant, _ *sessions.CreateRequest) {
			if err := m.SignOut(context.Background(), &g.Session, ""); err != nil {
				t.Fatal(err)
			}
		}, sessions.ErrIdempotencySpent},
		{"for another user", nil, 0, func(_ *testing.T, _ *sessions.Manager, _ *sessions.Grant, r *sessions.CreateRequest) {
			r.UserID = "bob"
		}, sessions.ErrIdempotencyMismatch},
		{"with another reason", nil, 0, func(_ *testing.T, _ *sessions.Manager, _ *sessions.Grant, r *sessions.CreateRequest) { r.Reason = "y" }, sessions.ErrIdempotencyMismatch},
		{"with another client", nil, 0, func(_ *testing.T, m *sessions.Manager, _ *sessions.Grant, r *sessions.CreateRequest) {
			m.Clients = map[string]bool{"y": true}
			r.ClientID = "y"
		}, sessions.ErrIdempotencyMismatch},
		{"with another life", nil, 0, func(_ *testing.T, _ *sessions.Manager, _ *sessions.Grant, r *sessions.CreateRequest) {
			r.Lifetime = &short
		}, sessions.ErrIdempotencyMismatch},
		{"when the policy says no", nil, 0, func(_ *testing.T, m *sessions.Manager, _ *sessions.Grant, _ *sessions.CreateRequest) {
			m.Policy = &sessions.Policy{AllowSelf: true}
		}, sessions.ErrDenied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := start()
			m := newManager(t, c)
			request := &sessions.CreateRequest{Caller: caller("carol", "act"), UserID: "alice", Reason: "x", Lifetime: tt.life, IdempotencyKey: "k"}
			first, err := m.Create(context.Background(), request)
			if err != nil {
				t.Fatal(err)
			}
			c.forward(tt.after)
			if tt.change != nil {
				tt.change(t, m, first, request)
			}
			again, err := m.Create(context.Background(), request)
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if err == nil && (again.RefreshToken != first.RefreshToken || again.Session.ID != first.Session.ID) {
				t.Error("the same request got another session")
			}
			if err != nil && again != nil {
				t.Error("an error came with tokens")
			}
		})
	}
}

func TestCreate_IdempotencyKeysAreTheCallersOwn(t *testing.T) {
	m := newManager(t, start())
	seen := make(map[string]string)
	for _, who := range []*sessions.Caller{
		caller("carol", "act"), caller("dave", "act"),
		{Principal: sessions.Principal{Issuer: "https://other.example.com", Subject: "carol"}, Scopes: []string{"act"}},
	} {
		m.Policy.Allow = append(m.Policy.Allow, sessions.Rule{From: who.Issuer, When: sessions.HasScope("act")})
		for _, key := range []string{"k", "kk"} {
			grant, err := m.Create(context.Background(), &sessions.CreateRequest{Caller: who, UserID: "alice", IdempotencyKey: key})
			if err != nil {
				t.Fatal(err)
			}
			name := who.Issuer + " " + who.Subject + " " + key
			if other, taken := seen[grant.Session.ID]; taken {
				t.Errorf("%s got the session of %s", name, other)
			}
			seen[grant.Session.ID] = name
		}
	}
}

func TestCreate_Lifetimes(t *testing.T) {
	ms := func(n int64) *time.Duration { d := time.Duration(n) * time.Millisecond; return &d }
	hour := time.Hour.Milliseconds()
	for _, tt := range []struct {
		name string
		by   *sessions.Caller
		life *time.Duration
		want time.Duration // 0: refused
	}{
		{"own, by default", caller("alice"), nil, 30 * 24 * time.Hour},
		{"own, shorter", caller("alice"), ms(1), time.Millisecond},
		{"own, the most", caller("alice"), ms(365 * 24 * hour), 365 * 24 * time.Hour},
		{"own, more than the most", caller("alice"), ms(365*24*hour + 1), 0},
		{"own, nothing", caller("alice"), ms(0), 0},
		{"own, less than nothing", caller("alice"), ms(-1), 0},
		{"impersonation, by default", caller("carol", "act"), nil, time.Hour},
		{"impersonation, the most", caller("carol", "act"), ms(8 * hour), 8 * time.Hour},
		{"impersonation, more than the most", caller("carol", "act"), ms(8*hour + 1), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start()
			m := newManager(t, c)
			grant, err := m.Create(context.Background(), &sessions.CreateRequest{Caller: tt.by, UserID: "alice", Lifetime: tt.life})
			if tt.want == 0 {
				if !errors.Is(err, sessions.ErrLifetime) {
					t.Errorf("error %v, want ErrLifetime", err)
				}
				return
			}
			if err != nil || !grant.Session.ExpiresAt.Equal(c.now.Add(tt.want)) {
				t.Errorf("ends at %v (%v), want %v from now", grant.Session.ExpiresAt, err, tt.want)
			}
			if grant.AccessExpires.After(grant.Session.ExpiresAt) {
				t.Error("the access token outlives the session")
			}
		})
	}
}

// onEvent is an observer that hears of events.
type onEvent struct {
	sessions.Silent
	do func(*sessions.Event)
}

func (o onEvent) Event(_ context.Context, e *sessions.Event) { o.do(e) }

func TestCreate_WhatTheRowKeepsOfTheRequest(t *testing.T) {
	m := newManager(t, start())
	var events []event.Kind
	m.Observer = onEvent{do: func(e *sessions.Event) { events = append(events, e.Kind) }}
	by := caller("carol", "act", "openid")
	by.ClientID = "desk"
	grant, err := m.Create(context.Background(), &sessions.CreateRequest{
		Caller: by, UserID: "alice", Reason: "ticket 4711", IP: "192.0.2.1", UserAgent: "evil\n\x1b[31m" + strings.Repeat("x", 300),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := grant.Session
	if s.Actor != by.Principal || s.ActorClient != "desk" || s.ClientID != "desk" || s.Reason != "ticket 4711" || s.IP != "192.0.2.1" || s.Rule != "scope act" {
		t.Errorf("row %+v", s)
	}
	if s.ActorClaims["scope"] != "act openid" || len(s.ActorClaims) != 1 {
		t.Errorf("claims %v, want those that the rule looks at", s.ActorClaims)
	}
	if len(s.UserAgent) > 255 || strings.ContainsAny(s.UserAgent, "\n\x1b") {
		t.Errorf("user agent %q", s.UserAgent)
	}
	if len(events) != 1 || events[0] != event.Created {
		t.Errorf("events %v", events)
	}
	for _, text := range []string{strings.Repeat("x", 501), "a\nb", "a\u202eb"} {
		request := &sessions.CreateRequest{Caller: by, UserID: "alice", Reason: text}
		if _, err := m.Create(context.Background(), request); !errors.Is(err, sessions.ErrText) {
			t.Errorf("reason %.10q: %v", text, err)
		}
	}
	if grant := mustCreate(t, m, caller("bob"), "bob"); grant.Session.ClientID != ourIssuer {
		t.Errorf("client %q of a caller without one, want our issuer", grant.Session.ClientID)
	}
}

func TestM6_M8_WhatIsMinted(t *testing.T) {
	m := newManager(t, start())
	hostile := `x":0,"admin`
	by := caller(hostile, "act")
	by.ClientID = hostile
	seen := make(map[string]bool)
	for range 200 {
		grant, err := m.Create(context.Background(), &sessions.CreateRequest{Caller: by, UserID: `</script>"\`, Reason: hostile})
		if err != nil {
			t.Fatal(err)
		}
		if raw, err := base64.RawURLEncoding.DecodeString(grant.Session.ID); err != nil || len(raw) != 16 {
			t.Fatalf("id %q is not 128 bits", grant.Session.ID)
		}
		for _, random := range []string{grant.Session.ID, string(grant.Session.Secret[:])} {
			if seen[random] {
				t.Fatal("a random value came twice")
			}
			seen[random] = true
		}
		checkClaims(t, grant.RefreshToken, "aud iss sub sid client_id gen rnd iat exp act", hostile)
		checkClaims(t, grant.AccessToken, "iss exp aud sub client_id iat jti sid sid_iat act reason", hostile)
	}
}

// checkClaims checks that a token has these claims and no others, and that what
// the caller chose stands in their values alone.
func checkClaims(t *testing.T, token, names, hostile string) {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(data, &claims); err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(names) {
		if _, ok := claims[name]; !ok {
			t.Errorf("no claim %s", name)
		}
	}
	act, _ := claims["act"].(map[string]any)
	if len(claims) != len(strings.Fields(names)) || claims["sub"] != `</script>"\` || claims["client_id"] != hostile || act["sub"] != hostile || len(act) != 2 {
		t.Errorf("claims %v", claims)
	}
}

func TestCreate_WhoseClientItIs(t *testing.T) {
	m := newManager(t, start())
	m.Clients = map[string]bool{"listed": true}
	for _, tt := range []struct {
		name, own, asked, want string
	}{
		{"the caller's own", "desk", "", "desk"},
		{"the caller's own, by name", "desk", "desk", "desk"},
		{"none", "", "", ourIssuer},
		{"none, and the default by name", "", ourIssuer, ourIssuer},
		{"a listed one", "desk", "listed", "listed"},
		{"a listed one, of a caller without", "", "listed", "listed"},
		{"another one", "desk", "console", ""},
		{"the default of others", "desk", ourIssuer, ""},
		{"another one, of a caller without", "", "console", ""},
	} {
		for _, by := range []*sessions.Caller{caller("alice"), caller("carol", "act")} {
			by.ClientID = tt.own
			grant, err := m.Create(t.Context(), &sessions.CreateRequest{Caller: by, UserID: "alice", ClientID: tt.asked})
			if tt.want == "" {
				if !errors.Is(err, sessions.ErrClient) {
					t.Errorf("%s: %v, want ErrClient", tt.name, err)
				}
				continue
			}
			if err != nil || grant.Session.ClientID != tt.want {
				t.Errorf("%s: %+v %v", tt.name, grant, err)
				continue
			}
			if _, err := m.Refresh(t.Context(), &sessions.RefreshRequest{Token: grant.RefreshToken}); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	}
}

func TestRefresh_AClientThatIsListedNoMoreEndsItsSessions(t *testing.T) {
	m := newManager(t, start())
	m.Clients = map[string]bool{"listed": true}
	grant, err := m.Create(t.Context(), &sessions.CreateRequest{Caller: caller("alice"), UserID: "alice", ClientID: "listed"})
	if err != nil {
		t.Fatal(err)
	}
	m.Clients = nil
	if _, err := m.Refresh(t.Context(), &sessions.RefreshRequest{Token: grant.RefreshToken}); !errors.Is(err, sessions.ErrGrant) {
		t.Errorf("%v, want ErrGrant", err)
	}
}
