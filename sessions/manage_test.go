package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/pebblestore"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
	"authsidecar/sessions/storetest"
)

// ofUser decides by the user of the session.
type ofUser string

func (o ofUser) Holds(in *sessions.RuleInput) bool { return in.UserID == string(o) }
func (ofUser) Claims() ([]string, bool)            { return nil, false }
func (ofUser) PerSession() bool                    { return true }

// managed is a world whose callers with the scope "admin" may manage everything,
// and those with the scope "bob" what is of the user bob.
func managed(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.managedReload()
	return w
}

func (w *world) managedReload() {
	w.reload(func(m *sessions.Manager) {
		m.IDSecret = []byte("0123456789abcdef0123456789abcdef")
		m.Manage = []sessions.Rule{
			{Name: "admin", From: provider, When: sessions.HasScope("admin")},
			{Name: "of bob", From: provider, When: both{sessions.HasScope("bob"), ofUser("bob")}},
			{Name: "elsewhere", From: "https://other.example.com", When: sessions.HasScope("openid")},
		}
	})
}

// worlds are two: in the second one no rule looks at sessions, so that who is no
// manager is known from the caller alone.
func worlds(t *testing.T, play func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("any may be a manager of some", func(t *testing.T) { play(t, managed(t)) })
	t.Run("who is no manager is none", func(t *testing.T) {
		w := managed(t)
		w.manager.Manage = w.manager.Manage[:1]
		play(t, w)
	})
}

// both holds where its parts do.
type both [2]sessions.Condition

func (b both) Holds(in *sessions.RuleInput) bool { return b[0].Holds(in) && b[1].Holds(in) }
func (both) Claims() ([]string, bool)            { return nil, true }
func (b both) PerSession() bool                  { return b[0].PerSession() || b[1].PerSession() }

func scoped(name, scope string) *sessions.Caller {
	return person(name, sessions.Claims{"scope": scope})
}

// service is a caller who is no user.
func service(name, scope string) *sessions.Caller {
	c := scoped(name, scope)
	c.User = false
	return c
}

func (w *world) rights(c *sessions.Caller) *sessions.Rights {
	w.t.Helper()
	rights, err := w.manager.RightsOf(c, victim)
	must(w.t, err)
	return rights
}

func (w *world) revokeAll(c *sessions.Caller, f sessions.Filter, dryRun bool) sessions.Revocation {
	w.t.Helper()
	got, err := w.manager.RevokeAll(w.t.Context(), w.rights(c), f, "", dryRun)
	must(w.t, err)
	return got
}

// wantRevoked expects what RevokeAll says. Whether to go on from there is in tests of
// its own.
func (w *world) wantRevoked(c *sessions.Caller, f sessions.Filter, dryRun bool, want sessions.Revocation) {
	w.t.Helper()
	got := w.revokeAll(c, f, dryRun)
	if got.Next = ""; got != want {
		w.t.Errorf("revoked %+v, want %+v", got, want)
	}
}

func (w *world) cutoffs() []revocation.Cutoff {
	w.t.Helper()
	all, err := w.store.(revocation.Store).Cutoffs(w.t.Context(), issuer)
	must(w.t, err)
	return all
}

func (w *world) sweepCutoffs(limit, want int) {
	w.t.Helper()
	ended, err := w.watch().SweepCutoffs(w.t.Context(), w.manager, limit)
	must(w.t, err)
	if ended != want {
		w.t.Errorf("swept %d rows of %d, want %d", ended, limit, want)
	}
}

// many makes n sessions of a user, each a millisecond after the other.
func (w *world) many(c *sessions.Caller, user string, n int) []*sessions.Grant {
	w.t.Helper()
	grants := make([]*sessions.Grant, n)
	for i := range grants {
		grants[i] = w.create(c, user)
		w.now = w.now.Add(time.Millisecond)
	}
	return grants
}

// ended counts the sessions whose rows are ended.
func (w *world) ended(grants []*sessions.Grant) (n int) {
	w.t.Helper()
	for _, g := range grants {
		if row := w.row(g); !row.RevokedAt.IsZero() {
			if row.EndReason != sessions.EndRevoked {
				w.t.Errorf("session ended %q", row.EndReason)
			}
			n++
		}
	}
	return n
}

// listed returns the ids of all pages, in order, and how long each page was.
func (w *world) listed(c *sessions.Caller, f sessions.Filter, limit int) (ids []string, pages []int) {
	w.t.Helper()
	for cursor := ""; ; {
		page, err := w.manager.List(w.t.Context(), w.rights(c), f, cursor, limit)
		must(w.t, err)
		pages = append(pages, len(page.Sessions))
		for i := range page.Sessions {
			ids = append(ids, page.Sessions[i].ID)
		}
		if cursor = page.Next; cursor == "" {
			return ids, pages
		}
		if len(pages) > 1000 {
			w.t.Fatal("paging does not end")
		}
	}
}

func (w *world) wantListed(c *sessions.Caller, f sessions.Filter, want ...*sessions.Grant) {
	w.t.Helper()
	ids, _ := w.listed(c, f, 3)
	wanted := make([]string, len(want))
	for i, g := range want {
		wanted[i] = g.Session.ID
	}
	if slices.Sort(ids); !slices.Equal(ids, slices.Sorted(slices.Values(wanted))) {
		w.t.Errorf("%s lists %d sessions %v, want %d %v", c.Subject, len(ids), ids, len(wanted), wanted)
	}
}

// over expects that a session is over for everybody: it is neither refreshed, nor
// seen, nor anybody's.
func (w *world) over(g *sessions.Grant, owner *sessions.Caller) {
	w.t.Helper()
	w.refused(g.RefreshToken, victim, event.Denied, "session revoked")
	if _, err := w.manager.Get(w.t.Context(), w.rights(owner), g.Session.ID); !errors.Is(err, sessions.ErrNotFound) {
		w.t.Errorf("Get: %v, want ErrNotFound", err)
	}
	if err := w.manager.Revoke(w.t.Context(), w.rights(owner), g.Session.ID); !errors.Is(err, sessions.ErrNotFound) {
		w.t.Errorf("Revoke: %v, want ErrNotFound", err)
	}
	if _, err := w.manager.Current(w.t.Context(), &sessions.RefreshRequest{Token: g.RefreshToken, IP: maker}); !errors.Is(err, sessions.ErrGrant) {
		w.t.Errorf("Current: %v, want ErrGrant", err)
	}
	own := ourToken(g)
	if _, err := w.manager.CurrentOf(w.t.Context(), own); !errors.Is(err, sessions.ErrNotFound) {
		w.t.Errorf("CurrentOf: %v, want ErrNotFound", err)
	}
}

// ourToken is the holder of an access token of ours.
func ourToken(g *sessions.Grant) *sessions.Caller {
	return &sessions.Caller{
		Principal: sessions.Principal{Issuer: issuer, Subject: g.Session.UserID}, Own: true, SessionID: g.Session.ID, SessionCreated: g.Session.CreatedAt,
		Acting: g.Session.Impersonation,
	}
}

var carol = sessions.Principal{Issuer: provider, Subject: "carol"}

func TestRevokeAll_ByWhoMayEndAllOfIt(t *testing.T) {
	alice, desk, admin := person("alice", nil), scoped("carol", "desk"), service("robot", "admin")
	tests := []struct {
		name   string
		by     *sessions.Caller
		filter sessions.Filter
		maker  *sessions.Caller // of the sessions that end
	}{
		{"the user", alice, sessions.Filter{User: "alice"}, alice},
		{"the user, about impersonations of him", alice, sessions.Filter{User: "alice"}, desk},
		{"the user, with a token of ours", ourToken(&sessions.Grant{Session: sessions.Session{UserID: "alice", ID: "x"}}), sessions.Filter{User: "alice"}, alice},
		{"the actor", desk, sessions.Filter{Actor: &carol}, desk},
		{"the actor, about impersonations", desk, sessions.Filter{Actor: &carol, Impersonations: true}, desk},
		{"a manager, about a user", admin, sessions.Filter{User: "alice"}, alice},
		{"a manager, about an actor", admin, sessions.Filter{Actor: &carol}, desk},
		{"a manager, about impersonations", admin, sessions.Filter{Impersonations: true}, desk},
		{"a manager, about all of it at once", admin, sessions.Filter{User: "alice", Actor: &carol, Impersonations: true}, desk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { playRevokeAll(t, tt.by, tt.filter, tt.maker) })
	}
}

func playRevokeAll(t *testing.T, by *sessions.Caller, filter sessions.Filter, maker *sessions.Caller) {
	t.Helper()
	const n, counted = 290, 100
	w := managed(t)
	grants := w.many(maker, "alice", n)
	others := []*sessions.Grant{w.create(person("bob", nil), "bob"), w.create(scoped("dave", "desk"), "bob")}
	if filter.Impersonations && filter.Actor == nil {
		others = others[:1]
		must(t, w.manager.Revoke(t.Context(), w.rights(person("bob", nil)), w.lastID()))
	}
	w.wantRevoked(by, filter, true, sessions.Revocation{Revoked: n})
	if ended := w.ended(grants); ended != 0 || len(w.cutoffs()) != 0 {
		t.Fatalf("a dry run ended %d sessions, with %d cutoffs", ended, len(w.cutoffs()))
	}
	w.refresh(grants[0].RefreshToken, victim, event.Refreshed)
	grants[0] = w.create(maker, "alice")

	at := w.now
	w.wantRevoked(by, filter, false, sessions.Revocation{Revoked: counted, More: true})
	all := w.cutoffs()
	if len(all) != 1 || !all[0].At.Equal(at) || all[0].User != filter.User || all[0].Impersonations != filter.Impersonations {
		t.Fatalf("cutoffs are %+v", all)
	}
	if (all[0].Actor == nil) != (filter.Actor == nil) || all[0].Actor != nil && *all[0].Actor != *filter.Actor {
		t.Fatalf("the cutoff is of the actor %v", all[0].Actor)
	}
	if ended := w.ended(grants[1:]); ended != 0 {
		t.Fatalf("the answer waited for %d rows", ended)
	}
	for _, g := range grants[:5] {
		w.over(g, person("alice", nil))
	}
	w.over(grants[n-1], person("alice", nil))
	w.wantListed(service("robot", "admin"), sessions.Filter{User: "alice"})
	w.wantRevoked(by, filter, true, sessions.Revocation{})
	w.wantRevoked(by, filter, false, sessions.Revocation{})

	w.now = w.now.Add(time.Millisecond)
	later := w.create(maker, "alice")
	w.playSweep(grants, n)
	later = w.refresh(later.RefreshToken, victim, event.Refreshed)
	w.wantLive(later)
	for _, g := range others {
		w.wantLive(g)
	}
}

// lastID is the session that the last event is about.
func (w *world) lastID() string { return w.last().Session.ID }

// playSweep ends what the first step left, in three managers one after the other.
func (w *world) playSweep(grants []*sessions.Grant, left int) {
	w.t.Helper()
	before := w.ended(grants)
	w.sweepCutoffs(100, 100)
	if ended := w.ended(grants) - before; ended != 100 {
		w.t.Errorf("a step of 100 ended %d", ended)
	}
	w.managedReload()
	if row := w.row(grants[1]); row.Live(w.now) {
		if _, err := w.manager.Get(w.t.Context(), w.rights(person("alice", nil)), grants[1].Session.ID); err != nil {
			w.t.Errorf("before the cutoffs are loaded: %v; this is not about loading them", err)
		}
	}
	must(w.t, w.watch().LoadCutoffs(w.t.Context(), issuer))
	w.over(grants[1], person("alice", nil))
	w.sweepCutoffs(100, 100)
	w.managedReload()
	must(w.t, w.watch().LoadCutoffs(w.t.Context(), issuer))
	w.sweepCutoffs(100, left-199) // and the one that was made anew
	w.sweepCutoffs(100, 0)
	if len(w.cutoffs()) != 1 {
		w.t.Errorf("%d cutoffs right after the sweep, want 1", len(w.cutoffs()))
	}
}

// Whoever ends as many as one page has gets the number of them, and their rows are revoked
// by them, before the answer; where a row cannot be revoked the answer is no success.
func TestRevokeAll_EndsTheRowsOfOnePageBeforeItAnswers(t *testing.T) {
	for _, failing := range []int{0, 37} {
		w := managed(t)
		alice := person("alice", nil)
		grants := w.many(alice, "alice", 100)
		w.events = nil
		if failing > 0 {
			w.manager.Store = &breaking{Store: w.store, id: grants[failing].Session.ID}
		}
		got, err := w.manager.RevokeAll(t.Context(), w.rights(alice), sessions.Filter{User: "alice"}, "", false)
		ended := w.ended(grants)
		if len(w.cutoffs()) != 1 || len(w.events) != ended || got.Revoked != ended {
			t.Errorf("%d cutoffs, %d events, %d rows; said to be %d", len(w.cutoffs()), len(w.events), ended, got.Revoked)
		}
		for _, e := range w.events {
			if e.Kind != event.Revoked || e.By != alice.Principal || e.IP != victim {
				t.Errorf("%s by %v from %s", e.Kind, e.By, e.IP)
			}
		}
		switch {
		case failing == 0 && (err != nil || ended != 100 || got.More):
			t.Errorf("%+v, %d rows: %v", got, ended, err)
		case failing > 0 && (!errors.Is(err, sessions.ErrUnavailable) || ended == 100 || !got.More):
			t.Errorf("with a fault: %+v, %d rows: %v", got, ended, err)
		}
		w.manager.Store = w.store
		for _, g := range grants {
			w.over(g, alice) // by the cutoff
		}
	}
}

// breaking fails to write one row.
type breaking struct {
	sessions.Store
	id string
}

func (b *breaking) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	if key.ID == b.id {
		return sessions.Session{}, sessions.ErrUnavailable
	}
	return b.Store.Update(ctx, key, fn)
}

// The cutoff stays for as long as an access token of before may live, and until
// its rows are ended.
func TestSweepCutoffs_DropsWhatIsDone(t *testing.T) {
	const retention = 2 * time.Hour
	alice := person("alice", nil)
	w := managed(t)
	w.many(alice, "alice", 110)
	at := w.now
	w.wantRevoked(alice, sessions.Filter{User: "alice"}, false, sessions.Revocation{Revoked: 100, More: true})

	w.now = at.Add(retention + time.Hour)
	w.sweepCutoffs(109, 109)
	if len(w.cutoffs()) != 1 {
		t.Fatal("the cutoff was dropped before its rows were ended")
	}
	w.now = at.Add(retention - time.Millisecond)
	w.sweepCutoffs(9, 1)
	if len(w.cutoffs()) != 1 {
		t.Fatal("the cutoff was dropped before the access tokens were over")
	}
	w.sweepCutoffs(9, 0)
	w.now = at.Add(retention)
	w.sweepCutoffs(9, 0)
	if len(w.cutoffs()) != 0 {
		t.Error("the cutoff is still there")
	}
	w.sweepCutoffs(9, 0)
}

// The steps are bounded over all cutoffs, not for each of them.
func TestSweepCutoffs_BoundsAllTogether(t *testing.T) {
	w := managed(t)
	admin := service("robot", "admin")
	for _, user := range []string{"alice", "bob"} {
		w.many(person(user, nil), user, 101)
		w.wantRevoked(admin, sessions.Filter{User: user}, false, sessions.Revocation{Revoked: 100, More: true})
	}
	for _, want := range []int{80, 80, 42, 0} {
		w.sweepCutoffs(80, want)
	}
}

// A store without cutoffs ends what it can, and says that there is more.
func TestRevokeAll_WithoutCutoffs(t *testing.T) {
	alice := person("alice", nil)
	w := managed(t)
	w.use(struct{ sessions.Store }{w.store})
	w.many(alice, "alice", 1003)
	for _, want := range []sessions.Revocation{{Revoked: 1000, More: true}, {Revoked: 3}, {}} {
		w.wantRevoked(alice, sessions.Filter{User: "alice"}, false, want)
	}
	w.sweepCutoffs(9, 0)
	if len(w.cutoffs()) != 0 {
		t.Error("a cutoff came from nowhere")
	}
}

// Where the answer differs from one session to the next, each is decided.
func TestRevokeAll_ByARuleThatDiffersPerSession(t *testing.T) {
	w := managed(t)
	desk, by := scoped("carol", "desk"), service("robot", "bob")
	of := make(map[string]*sessions.Grant)
	for _, user := range []string{"alice", "bob", "dave"} {
		of[user] = w.create(desk, user)
	}
	own := w.create(person("bob", nil), "bob")
	w.wantRevoked(by, sessions.Filter{User: "alice"}, false, sessions.Revocation{})
	w.wantRevoked(by, sessions.Filter{Actor: &carol}, true, sessions.Revocation{Revoked: 1})
	w.wantRevoked(by, sessions.Filter{Impersonations: true}, false, sessions.Revocation{Revoked: 1})
	if len(w.cutoffs()) != 0 {
		t.Errorf("%d cutoffs, where each session is decided by itself", len(w.cutoffs()))
	}
	w.over(of["bob"], person("bob", nil))
	for _, g := range []*sessions.Grant{of["alice"], of["dave"], own} {
		w.wantLive(g)
	}
	w.wantRevoked(by, sessions.Filter{User: "bob"}, false, sessions.Revocation{Revoked: 1})
	w.over(own, person("bob", nil))
	if len(w.cutoffs()) != 0 {
		t.Errorf("%d cutoffs by a rule that differs", len(w.cutoffs()))
	}
}

// Who may end nothing of it ends nothing, and leaves no cutoff.
func TestRevokeAll_OfOthers(t *testing.T) {
	dave := sessions.Principal{Issuer: provider, Subject: "dave"}
	namesake := sessions.Principal{Issuer: "https://other.example.com", Subject: "carol"}
	tests := []struct {
		name   string
		by     *sessions.Caller
		filter sessions.Filter
	}{
		{"a user, about another", person("bob", nil), sessions.Filter{User: "alice"}},
		{"a user, about an actor", person("bob", nil), sessions.Filter{Actor: &carol}},
		{"a user, about impersonations", person("bob", nil), sessions.Filter{Impersonations: true}},
		{"an actor, about another", scoped("dave", "desk"), sessions.Filter{Actor: &carol}},
		{"an actor, about a user", scoped("dave", "desk"), sessions.Filter{User: "alice"}},
		{"an actor, about another's of a user", scoped("dave", "desk"), sessions.Filter{User: "alice", Actor: &carol}},
		{"a service with the user's name", service("alice", "openid"), sessions.Filter{User: "alice"}},
		{"an actor's namesake of another issuer", &sessions.Caller{Principal: namesake}, sessions.Filter{Actor: &carol}},
		{"a user's namesake of another issuer", &sessions.Caller{
			Principal: sessions.Principal{Issuer: "https://other.example.com", Subject: "alice"},
		}, sessions.Filter{User: "alice"}},
		{"a manager of another issuer", &sessions.Caller{
			Principal: sessions.Principal{Issuer: "https://third.example.com", Subject: "x"}, Scopes: []string{"admin", "openid"},
		}, sessions.Filter{User: "alice"}},
		{"nobody's actor", person("bob", nil), sessions.Filter{Actor: &dave}},
	}
	for _, tt := range tests {
		worlds(t, func(t *testing.T, w *world) {
			t.Log(tt.name)
			own, made := w.create(person("alice", nil), "alice"), w.create(scoped("carol", "desk"), "alice")
			w.wantRevoked(tt.by, tt.filter, true, sessions.Revocation{})
			w.wantRevoked(tt.by, tt.filter, false, sessions.Revocation{})
			w.wantListed(tt.by, tt.filter)
			w.wantLive(own)
			w.wantLive(made)
			if len(w.cutoffs()) != 0 {
				t.Errorf("%d cutoffs", len(w.cutoffs()))
			}
		})
	}
}

// A filter that selects others' sessions too ends those that are the caller's.
func TestRevokeAll_OfOthersToo(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		alice, desk, dave := person("alice", nil), scoped("carol", "desk"), scoped("dave", "desk")
		ofAlice, ofBob, byDave := w.create(desk, "alice"), w.create(desk, "bob"), w.create(dave, "alice")
		own := w.create(alice, "alice")
		w.wantListed(alice, sessions.Filter{Actor: &carol}, ofAlice)
		w.wantRevoked(dave, sessions.Filter{User: "alice", Actor: &carol}, false, sessions.Revocation{})
		w.wantRevoked(alice, sessions.Filter{Actor: &carol}, false, sessions.Revocation{Revoked: 1})
		w.over(ofAlice, alice)
		again := w.create(desk, "alice")
		w.wantRevoked(desk, sessions.Filter{User: "alice"}, false, sessions.Revocation{Revoked: 1})
		w.over(again, alice)
		once := w.create(desk, "alice")
		w.wantRevoked(desk, sessions.Filter{User: "alice", Actor: &carol}, false, sessions.Revocation{Revoked: 1})
		w.over(once, alice)
		for _, g := range []*sessions.Grant{ofBob, byDave, own} {
			w.wantLive(g)
		}
		if n := len(w.cutoffs()); n != 0 {
			t.Errorf("%d cutoffs: too much, or more than one for each caller", n)
		}
	})
}

func TestRevokeAll_Forbidden(t *testing.T) {
	w := managed(t)
	g := w.create(person("alice", nil), "alice")
	for _, by := range []*sessions.Caller{person("alice", nil), service("robot", "admin")} {
		for _, dryRun := range []bool{false, true} {
			if got, err := w.manager.RevokeAll(t.Context(), w.rights(by), sessions.Filter{}, "", dryRun); !errors.Is(err, sessions.ErrForbidden) || got.Revoked != 0 {
				t.Errorf("%s with an empty filter: %d, %v, want ErrForbidden", by.Subject, got.Revoked, err)
			}
		}
	}
	for _, by := range []*sessions.Caller{person("alice", nil), service("robot", "admin"), ourToken(g)} {
		by.Acting = true
		if rights, err := w.manager.RightsOf(by, victim); rights != nil || !errors.Is(err, sessions.ErrForbidden) {
			t.Errorf("%s, acting: %v, want ErrForbidden", by.Subject, err)
		}
	}
	w.wantLive(g)
}

// A cutoff that cannot be stored ends nothing: the answer would not be true.
func TestRevokeAll_WhereTheCutoffCannotBeStored(t *testing.T) {
	w := managed(t)
	alice := person("alice", nil)
	g := w.create(alice, "alice")
	w.use(failing{w.store.(*storetest.Memory)})
	got, err := w.manager.RevokeAll(t.Context(), w.rights(alice), sessions.Filter{User: "alice"}, "", false)
	if !errors.Is(err, sessions.ErrUnavailable) || got.Revoked != 0 {
		t.Errorf("revoked %+v, %v", got, err)
	}
	w.refresh(g.RefreshToken, victim, event.Refreshed)
	if _, err := w.watch().SweepCutoffs(t.Context(), w.manager, 10); !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("sweeping: %v", err)
	}
	if err := w.watch().LoadCutoffs(t.Context(), issuer); !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("loading: %v", err)
	}
}

// failing keeps no cutoff.
type failing struct{ *storetest.Memory }

func (failing) AddCutoff(context.Context, revocation.Cutoff) (revocation.Cutoff, error) {
	return revocation.Cutoff{}, sessions.ErrUnavailable
}

func (failing) Cutoffs(context.Context, string) ([]revocation.Cutoff, error) {
	return nil, rowcodec.ErrNewer
}

// A request that is repeated does not bring back what a cutoff ended, though the
// row is as it was.
func TestRevokeAll_AnIdempotencyKeyBringsNothingBack(t *testing.T) {
	w := managed(t)
	desk := scoped("carol", "desk")
	req := &sessions.CreateRequest{Caller: desk, UserID: "alice", IdempotencyKey: "k"}
	first, err := w.manager.Create(t.Context(), req)
	must(t, err)
	w.now = w.now.Add(time.Millisecond)
	w.many(desk, "alice", 100)
	if _, err := w.manager.Create(t.Context(), req); err != nil {
		t.Fatalf("repeating it: %v", err)
	}
	w.wantRevoked(desk, sessions.Filter{Actor: &carol}, false, sessions.Revocation{Revoked: 100, More: true})
	w.wantLive(first) // in its row
	if grant, err := w.manager.Create(t.Context(), req); grant != nil || !errors.Is(err, sessions.ErrIdempotencySpent) {
		t.Errorf("repeating it: %v, want ErrIdempotencySpent", err)
	}
}

// A user does not fill the store with cutoffs. A manager leaves one for each user, also
// for those of whom nothing is found.
func TestRevokeAll_CutoffsDoNotPileUp(t *testing.T) {
	w := managed(t)
	alice := person("alice", nil)
	for range 20 {
		g := w.create(alice, "alice")
		w.wantRevoked(alice, sessions.Filter{User: "alice"}, false, sessions.Revocation{Revoked: 1})
		w.over(g, alice)
		w.now = w.now.Add(time.Millisecond)
	}
	for i := range 20 {
		actor := sessions.Principal{Issuer: provider, Subject: fmt.Sprint(i)}
		w.wantRevoked(alice, sessions.Filter{User: "alice", Actor: &actor}, false, sessions.Revocation{})
		w.wantRevoked(alice, sessions.Filter{User: "alice", Impersonations: true}, false, sessions.Revocation{})
	}
	w.sweepCutoffs(100, 0)
	if n := len(w.cutoffs()); n != 1 {
		t.Errorf("%d cutoffs of one user, want 1", n)
	}
	for i := range 20 {
		w.wantRevoked(service("robot", "admin"), sessions.Filter{User: fmt.Sprint(i % 5)}, false, sessions.Revocation{})
	}
	w.sweepCutoffs(100, 0)
	if n := len(w.cutoffs()); n != 6 {
		t.Errorf("%d cutoffs, want one of each of 6 users", n)
	}
}

// Who revokes finds what is there, and ends what is not found: a row may be on its way,
// and an access token outlives its row.
func TestRevokeAll_ThatFindsNothingEndsAccessTokensAllTheSame(t *testing.T) {
	w := managed(t)
	alice := person("alice", nil)
	g := w.create(alice, "alice")
	w.use(nothing{w.store.(*storetest.Memory)})
	w.wantRevoked(alice, sessions.Filter{User: "alice"}, false, sessions.Revocation{})
	if ended, err := w.manager.Revoked(t.Context(), ourToken(g)); !ended || err != nil {
		t.Errorf("the access token is good (%v)", err)
	}
	if n := len(w.cutoffs()); n != 1 {
		t.Errorf("%d cutoffs, want 1", n)
	}
	w.now = w.now.Add(-time.Hour)
	later := w.create(alice, "alice")
	if ended, err := w.manager.Revoked(t.Context(), ourToken(later)); ended || err != nil {
		t.Errorf("the access token of one that came later is over (%v)", err)
	}
}

// nothing lists nothing.
type nothing struct{ *storetest.Memory }

func (nothing) List(context.Context, sessions.Query) (sessions.Page, error) {
	return sessions.Page{}, nil
}

// Whoever shares the store learns of a cutoff with the next sweep.
func TestSweepCutoffs_LearnsOfOthers(t *testing.T) {
	w := managed(t)
	alice := person("alice", nil)
	grants := w.many(alice, "alice", 105)
	first := w.manager
	w.managedReload()
	must(t, w.watch().LoadCutoffs(t.Context(), issuer))
	second := w.manager
	w.manager = first
	w.wantRevoked(alice, sessions.Filter{User: "alice"}, false, sessions.Revocation{Revoked: 100, More: true})
	w.manager = second
	w.sweepCutoffs(2, 2)
	w.over(grants[0], alice)
	w.sweepCutoffs(200, 103)
}

// Covers H10.
func TestManage_ForeignSessionsAreNotFound(t *testing.T) {
	w := managed(t)
	own, made := w.create(person("alice", nil), "alice"), w.create(scoped("carol", "desk"), "alice")
	tests := []struct {
		name      string
		by        *sessions.Caller
		own, made bool
	}{
		{"the user", person("alice", nil), true, true},
		{"the user, with a token of ours", ourToken(own), true, true},
		{"the actor", scoped("carol", "desk"), false, true},
		{"the actor, whose scope is gone", person("carol", nil), false, true},
		{"a manager", service("robot", "admin"), true, true},
		{"another user", person("bob", nil), false, false},
		{"another actor", scoped("dave", "desk"), false, false},
		{"a manager of others", service("robot", "bob"), false, false},
		{"a service with the user's name", service("alice", ""), false, false},
		{"the actor's namesake", &sessions.Caller{Principal: sessions.Principal{Issuer: "https://other.example.com", Subject: "carol"}}, false, false},
		{"another user, with a token of ours", &sessions.Caller{
			Principal: sessions.Principal{Issuer: issuer, Subject: "bob"}, Own: true, SessionID: own.Session.ID,
		}, false, false},
		{"an own token of the actor's name", &sessions.Caller{
			Principal: sessions.Principal{Issuer: issuer, Subject: "carol"}, Own: true, SessionID: made.Session.ID,
		}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rights := w.rights(tt.by)
			for g, may := range map[*sessions.Grant]bool{own: tt.own, made: tt.made} {
				s, err := w.manager.Get(t.Context(), rights, g.Session.ID)
				if may && (err != nil || s.ID != g.Session.ID) || !may && (!errors.Is(err, sessions.ErrNotFound) || s.ID != "") {
					t.Errorf("Get, impersonation %t: %v", g.Session.Impersonation, err)
				}
				if may {
					continue
				}
				if err := w.manager.Revoke(t.Context(), rights, g.Session.ID); !errors.Is(err, sessions.ErrNotFound) {
					t.Errorf("Revoke, impersonation %t: %v", g.Session.Impersonation, err)
				}
				w.wantLive(g)
			}
			if _, err := w.manager.Get(t.Context(), rights, "nobody's"); !errors.Is(err, sessions.ErrNotFound) {
				t.Errorf("Get of an unknown one: %v", err)
			}
		})
	}
	must(t, w.manager.Revoke(t.Context(), w.rights(scoped("carol", "desk")), made.Session.ID))
	w.wantEnded(made, sessions.EndRevoked)
	w.wantLive(own)
}

// A session that is over is nobody's, whatever ended it.
func TestManage_WhatIsOverIsNotFound(t *testing.T) {
	w := managed(t)
	alice := person("alice", nil)
	g := w.create(alice, "alice", time.Minute)
	w.now = w.now.Add(time.Minute)
	for _, by := range []*sessions.Caller{alice, service("robot", "admin")} {
		if _, err := w.manager.Get(t.Context(), w.rights(by), g.Session.ID); !errors.Is(err, sessions.ErrNotFound) {
			t.Errorf("%s: %v", by.Subject, err)
		}
		w.wantListed(by, sessions.Filter{User: "alice"})
		w.wantRevoked(by, sessions.Filter{User: "alice"}, false, sessions.Revocation{})
	}
}

func TestList_JudgesEachRow(t *testing.T) {
	w := managed(t)
	alice, desk, dave := person("alice", nil), scoped("carol", "desk"), scoped("dave", "desk")
	ofAlice, ofBob := w.create(desk, "alice"), w.create(desk, "bob")
	davesAlice, davesBob := w.create(dave, "alice"), w.create(dave, "bob")
	own, bobs := w.create(alice, "alice"), w.create(person("bob", nil), "bob")
	davesName := sessions.Principal{Issuer: provider, Subject: "dave"}
	tests := []struct {
		name   string
		by     *sessions.Caller
		filter sessions.Filter
		want   []*sessions.Grant
	}{
		{"the user, of himself", alice, sessions.Filter{}, []*sessions.Grant{own, ofAlice, davesAlice}},
		{"the user, by name", alice, sessions.Filter{User: "alice"}, []*sessions.Grant{own, ofAlice, davesAlice}},
		{"the user, of impersonations of himself", alice, sessions.Filter{User: "alice", Impersonations: true}, []*sessions.Grant{ofAlice, davesAlice}},
		{"the user, of one actor", alice, sessions.Filter{User: "alice", Actor: &carol}, []*sessions.Grant{ofAlice}},
		{"the user, of one actor alone", alice, sessions.Filter{Actor: &carol}, []*sessions.Grant{ofAlice}},
		{"the user, of another", alice, sessions.Filter{User: "bob"}, nil},
		{"the actor, of himself", desk, sessions.Filter{Actor: &carol}, []*sessions.Grant{ofAlice, ofBob}},
		{"the actor, of a user", desk, sessions.Filter{User: "alice"}, []*sessions.Grant{ofAlice}},
		{"the actor, of another", desk, sessions.Filter{Actor: &davesName}, nil},
		{"an actor, of another's of a user", dave, sessions.Filter{User: "alice", Actor: &carol}, nil},
		{"an actor who is no user", service("carol", "desk"), sessions.Filter{}, []*sessions.Grant{ofAlice, ofBob}},
		{"an actor who is no user, of impersonations", service("carol", "desk"), sessions.Filter{Impersonations: true}, []*sessions.Grant{ofAlice, ofBob}},
		{"a manager of bob, of bob", service("robot", "bob"), sessions.Filter{User: "bob"}, []*sessions.Grant{bobs, ofBob, davesBob}},
		{"a manager of bob, of alice", service("robot", "bob"), sessions.Filter{User: "alice"}, nil},
		{"a manager of bob, of an actor", service("robot", "bob"), sessions.Filter{Actor: &carol}, []*sessions.Grant{ofBob}},
		{"a manager of bob, of impersonations", service("robot", "bob"), sessions.Filter{Impersonations: true}, []*sessions.Grant{ofBob, davesBob}},
		{"a manager of bob, who is an actor", scoped("carol", "bob"), sessions.Filter{Impersonations: true}, []*sessions.Grant{ofAlice, ofBob, davesBob}},
		{"a manager, of impersonations", service("robot", "admin"), sessions.Filter{Impersonations: true}, []*sessions.Grant{ofAlice, ofBob, davesAlice, davesBob}},
		{"a manager, of a user", service("robot", "admin"), sessions.Filter{User: "alice"}, []*sessions.Grant{own, ofAlice, davesAlice}},
		{"a manager, of nobody", service("robot", "admin"), sessions.Filter{}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			w.wantListed(tt.by, tt.filter, tt.want...)
			if slices.Contains(tt.by.Scopes, "bob") {
				return
			}
			w.manager.Manage = w.manager.Manage[:1] // no rule looks at sessions
			defer w.managedReload()
			w.wantListed(tt.by, tt.filter, tt.want...)
		})
	}
}

// Rows that the caller may not see cost pages, not sessions.
func TestList_GoesOnWhereItSeesLittle(t *testing.T) {
	w := managed(t)
	desk := scoped("carol", "desk")
	first := w.create(desk, "bob")
	w.many(desk, "alice", 60)
	last := w.create(desk, "bob")
	ids, pages := w.listed(service("robot", "bob"), sessions.Filter{Impersonations: true}, 2)
	if want := []string{last.Session.ID, first.Session.ID}; !slices.Equal(ids, want) {
		t.Errorf("listed %v, want %v", ids, want)
	}
	if len(pages) < 2 {
		t.Errorf("pages %v: one request read all", pages)
	}
}

func TestList_TenThousandSessionsOfOneUser(t *testing.T) {
	const n, page, writers = 10_000, 100, 100
	w := managed(t)
	store, err := pebblestore.Open(pebblestore.Options{Dir: filepath.Join(t.TempDir(), "store"), Now: func() time.Time { return w.now }})
	must(t, err)
	defer func() { must(t, store.Close()) }()
	w.use(store)
	alice := person("alice", nil)
	row := w.create(alice, "alice").Session
	want := []string{row.ID}
	for i := range n - 1 {
		want = append(want, fmt.Sprintf("id-%05d", i))
	}
	var all sync.WaitGroup
	for first := range writers {
		all.Go(func() {
			for i := first + 1; i < n; i += writers {
				row := row
				row.ID = want[i]
				row.CreatedAt = row.CreatedAt.Add(time.Duration(i/3) * time.Millisecond) // some at the same time
				if _, created, _, err := store.Create(t.Context(), row); err != nil || !created {
					t.Errorf("created %t: %v", created, err)
				}
			}
		})
	}
	all.Wait()
	ids, pages := w.listed(alice, sessions.Filter{}, page)
	slices.Sort(want)
	if slices.Sort(ids); !slices.Equal(ids, want) {
		t.Errorf("%d of %d sessions are listed, or not each once", len(ids), len(want))
	}
	if len(pages) != n/page || slices.Min(pages) != page {
		t.Errorf("%d pages of %d to %d, want %d of %d", len(pages), slices.Min(pages), slices.Max(pages), n/page, page)
	}
}
