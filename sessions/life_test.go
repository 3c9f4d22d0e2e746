package sessions_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
)

// claimsOf returns the payload of a token of ours.
func claimsOf(t *testing.T, token string) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	return string(data)
}

func claimsPart(claims string) string { return base64.RawURLEncoding.EncodeToString([]byte(claims)) }

// expiry returns "exp" of a token.
func expiry(t *testing.T, token string) time.Time {
	t.Helper()
	var claims struct {
		Expires int64 `json:"exp"`
	}
	must(t, json.Unmarshal([]byte(claimsOf(t, token)), &claims))
	return time.Unix(claims.Expires, 0)
}

// A moment is just before, at and just after a boundary.
var moments = []struct {
	name string
	off  time.Duration
	over bool
}{
	{"1 s before", -time.Second, false},
	{"1 ms before", -time.Millisecond, false},
	{"at it", 0, true},
	{"1 ms after", time.Millisecond, true},
	{"1 s after", time.Second, true},
}

// A session is over at its end, not before and not later: whichever end comes
// first.
// Covers M5.
func TestEnd_ToTheMillisecond(t *testing.T) {
	desk := person("carol", sessions.Claims{"scope": "desk"})
	tests := []struct {
		name string
		end  func(*world) (g *sessions.Grant, end time.Time, why string)
	}{
		{"own, idle", func(w *world) (*sessions.Grant, time.Time, string) {
			return w.create(person("alice", nil), "alice"), w.now.Add(14 * 24 * time.Hour), "idle too long"
		}},
		{"own, idle after a refresh", func(w *world) (*sessions.Grant, time.Time, string) {
			g := w.create(person("alice", nil), "alice")
			w.now = w.now.Add(7 * 24 * time.Hour)
			return w.refresh(g.RefreshToken, victim, event.Refreshed), w.now.Add(14 * 24 * time.Hour), "idle too long"
		}},
		{"own, absolute, refreshed often", func(w *world) (*sessions.Grant, time.Time, string) {
			g, end := w.create(person("alice", nil), "alice"), w.now.Add(30*24*time.Hour)
			for range 29 {
				w.now = w.now.Add(24 * time.Hour)
				g = w.refresh(g.RefreshToken, victim, event.Refreshed)
			}
			return g, end, "session expired"
		}},
		{"own, shortened by the request", func(w *world) (*sessions.Grant, time.Time, string) {
			return w.create(person("alice", nil), "alice", 90*time.Second), w.now.Add(90 * time.Second), "session expired"
		}},
		{"own, made longer by the request", func(w *world) (*sessions.Grant, time.Time, string) {
			g, end := w.create(person("alice", nil), "alice", 40*24*time.Hour), w.now.Add(40*24*time.Hour)
			for range 3 {
				w.now = w.now.Add(13 * 24 * time.Hour)
				g = w.refresh(g.RefreshToken, victim, event.Refreshed)
			}
			return g, end, "session expired"
		}},
		{"impersonation, idle", func(w *world) (*sessions.Grant, time.Time, string) {
			return w.create(desk, "alice"), w.now.Add(15 * time.Minute), "idle too long"
		}},
		{"impersonation, absolute", func(w *world) (*sessions.Grant, time.Time, string) {
			g, end := w.create(desk, "alice"), w.now.Add(time.Hour)
			for range 5 {
				w.now = w.now.Add(10 * time.Minute)
				g = w.refresh(g.RefreshToken, victim, event.Refreshed)
			}
			return g, end, "session expired"
		}},
		{"impersonation, shortened by the request", func(w *world) (*sessions.Grant, time.Time, string) {
			return w.create(desk, "alice", time.Minute), w.now.Add(time.Minute), "session expired"
		}},
	}
	for _, tt := range tests {
		for _, m := range moments {
			t.Run(tt.name+", "+m.name, func(t *testing.T) {
				w := newWorld(t)
				g, end, why := tt.end(w)
				w.now = end.Add(m.off)
				if m.over {
					w.refused(g.RefreshToken, victim, event.Denied, why)
					if row := w.row(g); row.EndReason != "" {
						t.Errorf("ended %q: it came to its end by itself", row.EndReason)
					}
					return
				}
				last := w.refresh(g.RefreshToken, victim, event.Refreshed)
				if last.AccessExpires.After(last.Session.End()) || expiry(t, last.AccessToken).After(last.Session.End()) {
					t.Errorf("the access token lives until %v, the session until %v", last.AccessExpires, last.Session.End())
				}
				if !last.Session.ExpiresAt.Equal(g.Session.ExpiresAt) {
					t.Error("a refresh moved the absolute end")
				}
			})
		}
	}
}

// A retry does not outlive the session either, though its transition was before.
func TestEnd_OfARetry(t *testing.T) {
	w := newWorld(t)
	g := w.create(person("alice", nil), "alice", time.Minute)
	w.now = g.Session.ExpiresAt.Add(-time.Millisecond)
	w.refresh(g.RefreshToken, victim, event.Refreshed)
	w.refresh(g.RefreshToken, victim, event.Retried)
	w.now = g.Session.ExpiresAt
	w.refused(g.RefreshToken, victim, event.Denied, "session expired")
}

// Covers M5.
func TestLifetime_AtItsLimits(t *testing.T) {
	callers := []struct {
		name   string
		caller *sessions.Caller
		most   time.Duration
	}{
		{"own", person("alice", nil), 365 * 24 * time.Hour},
		{"impersonation", person("carol", sessions.Claims{"scope": "desk"}), 8 * time.Hour},
	}
	for _, c := range callers {
		tests := []struct {
			name string
			ask  time.Duration
			want error
		}{
			{"less than nothing", -time.Millisecond, sessions.ErrLifetime},
			{"nothing", 0, sessions.ErrLifetime},
			{"1 ms", time.Millisecond, nil},
			{"1 ms less than the most", c.most - time.Millisecond, nil},
			{"the most", c.most, nil},
			{"1 ms more than the most", c.most + time.Millisecond, sessions.ErrLifetime},
			{"1 s more than the most", c.most + time.Second, sessions.ErrLifetime},
		}
		for _, tt := range tests {
			t.Run(c.name+", "+tt.name, func(t *testing.T) {
				w := newWorld(t)
				g, err := w.manager.Create(t.Context(), &sessions.CreateRequest{Caller: c.caller, UserID: "alice", Lifetime: &tt.ask})
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Fatalf("%v, want %v", err, tt.want)
				}
				if err == nil && !g.Session.ExpiresAt.Equal(w.now.Add(tt.ask)) {
					t.Errorf("lives until %v", g.Session.ExpiresAt)
				}
				if err == nil && expiry(t, g.AccessToken).After(g.Session.End()) {
					t.Errorf("its access token lives until %v", expiry(t, g.AccessToken))
				}
			})
		}
	}
}

// without holds for callers who do not have a claim.
type without string

func (w without) Holds(in *sessions.RuleInput) bool {
	_, has := in.Caller.Claims[string(w)]
	return !has
}
func (w without) Claims() ([]string, bool) { return []string{string(w)}, false }
func (without) PerSession() bool           { return false }

// A row of an earlier release does not say what was absent. What the rule looks at that
// allowed it was looked at then too; of all else nothing is known.
func TestPolicy_ARowOfAnEarlierRelease(t *testing.T) {
	for _, tt := range []struct {
		name  string
		allow sessions.Rule
		why   string
	}{
		{"by its own rule", sessions.Rule{Name: "scope desk", When: sessions.HasScope("desk")}, ""},
		{"by another rule that asks the same", sessions.Rule{Name: "desk", When: sessions.HasScope("desk")}, "no rule allows it by what was recorded"},
		{"by what is there", sessions.Rule{Name: "claim scp desk", When: sessions.HasClaim{Name: "scp", Value: "desk"}}, ""},
		{"by what is not there", sessions.Rule{Name: "x", When: without("contractor")}, "no rule allows it by what was recorded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			g := w.create(person("carol", sessions.Claims{"scp": "desk", "contractor": true}), "alice")
			_, err := w.store.Update(t.Context(), g.Session.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
				row.ActorAbsent = nil
				return row, true
			})
			must(t, err)
			tt.allow.From = provider
			w.reload(func(m *sessions.Manager) { m.Policy.Allow = []sessions.Rule{tt.allow} })
			if tt.why == "" {
				w.refresh(g.RefreshToken, victim, event.Refreshed)
				return
			}
			w.refused(g.RefreshToken, victim, event.Revoked, tt.why)
		})
	}
}

// At each refresh today's policy is asked with what the row recorded.
func TestPolicy_IsAskedAgain(t *testing.T) {
	desk := person("carol", sessions.Claims{"scope": "openid desk"})
	support := person("carol", sessions.Claims{"org": map[string]any{"dept": "support"}, "email": "carol@example.com"})
	self := person("alice", nil)
	tests := []struct {
		name   string
		caller *sessions.Caller
		change func(*sessions.Manager)
		why    string // "" where the session goes on
	}{
		{"nothing changed for the user", self, func(*sessions.Manager) {}, ""},
		{"nothing changed for a scope", desk, func(*sessions.Manager) {}, ""},
		{"nothing changed for a claim", support, func(*sessions.Manager) {}, ""},
		{"the rule is gone", desk, func(m *sessions.Manager) { m.Policy.Allow = m.Policy.Allow[1:] }, "no rule allows it"},
		{"another rule is gone", support, func(m *sessions.Manager) { m.Policy.Allow = m.Policy.Allow[1:] }, ""},
		{"all rules are gone, for the user", self, func(m *sessions.Manager) { m.Policy.Allow = nil }, ""},
		{"the rule is for another issuer now", desk, func(m *sessions.Manager) {
			for i := range m.Policy.Allow {
				m.Policy.Allow[i].From = "https://other.example.com"
			}
		}, "no rule allows it"},
		{"the rule asks for another value", support, func(m *sessions.Manager) {
			m.Policy.Allow[1].When = sessions.HasClaim{Name: "/org/dept", Value: "security"}
		}, "no rule allows it"},
		{"the rule asks for what was not recorded", support, func(m *sessions.Manager) {
			m.Policy.Allow[1].When = sessions.HasClaim{Name: "email", Value: "carol@example.com"}
		}, "no rule allows it by what was recorded"},
		{"the rule asks for what is not there, and was looked for", support, func(m *sessions.Manager) {
			m.Policy.Allow[1].When = without("scope")
		}, ""},
		{"the rule asks for what is not there, and was not looked for", desk, func(m *sessions.Manager) {
			m.Policy.Allow = []sessions.Rule{{From: provider, When: without("contractor")}}
		}, "no rule allows it by what was recorded"},
		{"another scope claim was not looked for", support, func(m *sessions.Manager) {
			m.Policy.Allow = []sessions.Rule{{From: provider, When: without("contractor")}, m.Policy.Allow[1]}
		}, ""},
		{"the user is protected now", desk, func(m *sessions.Manager) { m.Policy.Protect = []string{"ALI*"} }, "protected"},
		{"the user is protected now, from others", self, func(m *sessions.Manager) { m.Policy.Protect = []string{"alice"} }, ""},
		{"another user is protected now", desk, func(m *sessions.Manager) { m.Policy.Protect = []string{"root"} }, ""},
		{"the issuer is not trusted any more", desk, func(m *sessions.Manager) {
			m.Trusted = trusting(sessions.Trust{Name: "https://other.example.com", Users: true})
		}, "not trusted"},
		{"the user's issuer is not trusted any more", self, func(m *sessions.Manager) { m.Trusted = nil }, "not trusted"},
		{"the issuer's subjects are not our users any more", self, func(m *sessions.Manager) { m.Trusted = trusting(sessions.Trust{Name: provider}) }, "no rule allows it"},
		{"users may have no sessions any more", self, func(m *sessions.Manager) { m.Policy.AllowSelf = false }, "no rule allows it"},
		{"a reason is required now", desk, func(m *sessions.Manager) { m.Policy.RequireReason = true }, "a reason is required"},
		{"nothing is allowed any more", desk, func(m *sessions.Manager) { m.Policy = &sessions.Policy{} }, "no rule allows it"},
	}
	for _, tt := range tests {
		for _, retry := range []bool{false, true} {
			name := tt.name
			if retry {
				name += ", at a retry"
			}
			t.Run(name, func(t *testing.T) { playPolicy(t, tt.caller, tt.change, tt.why, retry) })
		}
	}
}

func playPolicy(t *testing.T, caller *sessions.Caller, change func(*sessions.Manager), why string, retry bool) {
	t.Helper()
	w := newWorld(t)
	g := w.create(caller, "alice")
	kind := event.Refreshed
	if retry {
		w.refresh(g.RefreshToken, victim, event.Refreshed)
		kind = event.Retried
	}
	w.now = w.now.Add(time.Second)
	w.reload(change)
	if why == "" {
		w.refresh(g.RefreshToken, victim, kind)
		w.wantLive(g)
		return
	}
	w.refused(g.RefreshToken, victim, event.Revoked, why)
	w.wantEnded(g, sessions.EndPolicy)
	if err := w.last().Err; !errors.Is(err, sessions.ErrDenied) && !errors.Is(err, sessions.ErrReasonRequired) {
		t.Errorf("%v does not say why", err)
	}
	w.reload() // the policy of before does not bring it back
	w.refused(g.RefreshToken, victim, event.Denied, "session revoked")
}

// A name that an earlier release accepted, and that none has today, ends the session: it
// would be refused with each of its access tokens.
func TestPolicy_ANameOfAnEarlierReleaseEndsItsSession(t *testing.T) {
	for name, change := range map[string]func(*sessions.Session){
		"of the user":  func(s *sessions.Session) { s.UserID += "\ufe0f" },
		"of the actor": func(s *sessions.Session) { s.Actor.Subject += "\u3164" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g := w.create(person("carol", sessions.Claims{"scope": "desk"}), "alice")
			row, err := w.store.Update(t.Context(), g.Session.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
				change(&row)
				return row, true
			})
			must(t, err)
			token, err := w.manager.Minter.Refresh(&row)
			must(t, err)
			w.refused(token, victim, event.Revoked, "user id is not acceptable")
			w.wantEnded(g, sessions.EndPolicy)
		})
	}
}

// A user's own session does not become somebody's impersonation because another
// rule would allow that.
func TestPolicy_AnOwnSessionStaysOne(t *testing.T) {
	w := newWorld(t)
	g := w.create(person("alice", sessions.Claims{"scope": "desk"}), "alice")
	w.reload(func(m *sessions.Manager) { m.Policy.AllowSelf = false })
	w.refused(g.RefreshToken, victim, event.Revoked, "no rule allows it")
	w.wantEnded(g, sessions.EndPolicy)
}

// The row keeps of the caller's claims what a rule looks at, and no more.
func TestPolicy_TheRowKeepsWhatRulesLookAt(t *testing.T) {
	w := newWorld(t)
	row := w.row(w.create(person("carol", sessions.Claims{
		"org": map[string]any{"dept": "support"}, "scope": "openid", "email": "carol@example.com", "name": "Carol",
	}), "alice"))
	if len(row.ActorClaims) != 2 || row.ActorClaims["org"] == nil || row.ActorClaims["scope"] != "openid" {
		t.Errorf("the row keeps %v", row.ActorClaims)
	}
}
