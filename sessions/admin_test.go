package sessions_test

import (
	"errors"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
)

var byAdmin = sessions.Principal{Subject: "admin"}

// Covers O12.
func TestOperator_SeesAndEndsWhatHeNames(t *testing.T) {
	desk := service("carol", "desk")
	tests := []struct {
		name   string
		filter sessions.Filter
		want   int
	}{
		{"of a user, of both kinds", sessions.Filter{User: "alice"}, 3},
		{"of another user", sessions.Filter{User: "bob"}, 1},
		{"by an actor", sessions.Filter{Actor: &desk.Principal}, 2},
		{"by an actor, of a user", sessions.Filter{Actor: &desk.Principal, User: "bob"}, 1},
		{"all impersonations", sessions.Filter{Impersonations: true}, 2},
		{"of nobody", sessions.Filter{User: "dave"}, 0},
		{"all, which are listed and not revoked", sessions.Filter{}, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := managed(t)
			w.many(person("alice", nil), "alice", 2)
			w.create(desk, "alice")
			w.create(desk, "bob")
			operator := w.manager.Operator()
			page, err := w.manager.List(t.Context(), operator, test.filter, "", 10)
			must(t, err)
			if len(page.Sessions) != test.want {
				t.Errorf("%d sessions, want %d", len(page.Sessions), test.want)
			}
			w.events = nil
			for _, dryRun := range []bool{true, false} {
				got, err := w.manager.RevokeAll(t.Context(), operator, test.filter, "", dryRun)
				if test.filter.Empty() {
					if !errors.Is(err, sessions.ErrForbidden) {
						t.Errorf("error %v", err)
					}
					test.want = 0
					continue
				}
				must(t, err)
				if want := (sessions.Revocation{Revoked: test.want}); got != want {
					t.Errorf("%+v, want %+v", got, want)
				}
			}
			if len(w.events) != test.want {
				t.Errorf("%d events, want %d", len(w.events), test.want)
			}
			for _, e := range w.events {
				if e.Kind != event.Revoked || e.By != byAdmin {
					t.Errorf("event %s by %v", e.Kind, e.By)
				}
			}
		})
	}
}

func TestOperator_EndsMoreThanAPageAtOnce(t *testing.T) {
	w := managed(t)
	w.manager.MaxPerUser = 0
	grants := w.many(person("alice", nil), "alice", 250)
	got, err := w.manager.RevokeAll(t.Context(), w.manager.Operator(), sessions.Filter{User: "alice"}, "", false)
	must(t, err)
	if want := (sessions.Revocation{Revoked: 100, More: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, g := range []*sessions.Grant{grants[0], grants[249]} {
		w.refused(g.RefreshToken, victim, event.Denied, "")
	}
	w.events = nil
	w.managedReload() // what is swept later, too, is in the log as he did it
	must(t, w.watch().LoadCutoffs(t.Context(), issuer))
	w.sweepCutoffs(500, 250)
	for _, e := range w.events {
		if e.By != byAdmin {
			t.Fatalf("swept by %v", e.By)
		}
	}
}

func TestOperator_EndsOne(t *testing.T) {
	w := managed(t)
	g := w.create(person("alice", nil), "alice")
	must(t, w.manager.Revoke(t.Context(), w.manager.Operator(), g.Session.ID))
	w.wantEnded(g, sessions.EndRevoked)
	if got := w.last().By; got != byAdmin {
		t.Errorf("by %v", got)
	}
	for _, id := range []string{g.Session.ID, "unknown"} {
		if err := w.manager.Revoke(t.Context(), w.manager.Operator(), id); !errors.Is(err, sessions.ErrNotFound) {
			t.Errorf("%s: error %v", id, err)
		}
	}
}
