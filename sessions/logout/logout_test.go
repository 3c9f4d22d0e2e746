package logout_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
)

const (
	idp   = "https://idp.example.com"
	other = "https://other.example.com"
)

// epoch is when each test begins, by the clocks of the store and of the issuer.
var epoch = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// A world is a realm whose issuers say who signed out.
type world struct {
	*testing.T
	*sessions.Manager
	logouts *logout.Logouts
	watch   *revocation.Watcher
	now     time.Time
	events  []sessions.Event
	mu      sync.Mutex
	sessions.Silent
}

func newManager(store sessions.Store, now time.Time) *sessions.Manager {
	keys := keyring.New()
	for ring, algorithm := range map[*keyring.Ring]jose.Algorithm{keys.Refresh: jose.EdDSA, keys.Access: jose.ES256} {
		records, _, err := (&keyring.Schedule{Algorithm: algorithm}).Plan(nil, now)
		if err == nil {
			err = ring.Set(records)
		}
		if err != nil {
			panic(err)
		}
	}
	desk := sessions.HasScope("desk")
	return &sessions.Manager{
		Realm: "https://app.example.com", Store: store, Revocations: &revocation.Watcher{Store: store},
		Policy: &sessions.Policy{AllowSelf: true, Allow: []sessions.Rule{
			{Name: "desk", From: idp, When: desk}, {Name: "desk", From: other, When: desk},
		}},
		Trusted: func(issuer string) *sessions.Trust { return &sessions.Trust{Name: issuer, Users: true} },
		Minter: &sessions.Minter{
			Issuer: "https://app.example.com", RefreshAudience: "https://app.example.com/auth/sessions",
			AccessAudience: []string{"https://app.example.com"}, AccessTTL: 10 * time.Minute, Keys: keys,
		},
		Own:           sessions.Lifetimes{TTL: 24 * time.Hour, MaxTTL: 24 * time.Hour, Idle: 24 * time.Hour},
		Impersonation: sessions.Lifetimes{TTL: time.Hour, MaxTTL: time.Hour, Idle: time.Hour},
	}
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, now: epoch}
	store := &storetest.Memory{Clock: func() time.Time { return w.now }}
	w.watch = &revocation.Watcher{Store: store}
	w.Manager = newManager(store, epoch)
	w.Manager.Revocations, w.Manager.Observer = w.watch, w
	w.logouts = &logout.Logouts{Manager: w.Manager, Listens: func(trust string) bool { return trust == idp }}
	w.Manager.SignedOut = w.logouts.SignedOut
	return w
}

// Event hears what happened.
func (w *world) Event(_ context.Context, e *sessions.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, *e)
}

// token is a caller's token: who it names, and what else it says.
func token(issuer, subject string, claims sessions.Claims) *sessions.Caller {
	c := &sessions.Caller{Principal: sessions.Principal{Issuer: issuer, Subject: subject}, User: true, Claims: sessions.Claims{"sub": subject}}
	maps.Copy(c.Claims, claims)
	c.Scopes = c.Claims.Scopes()
	return c
}

func at(offset time.Duration) int64 { return epoch.Add(offset).Unix() }

func (w *world) create(c *sessions.Caller, user string) *sessions.Grant {
	w.Helper()
	grant, err := w.Create(w.Context(), &sessions.CreateRequest{Caller: c, UserID: user})
	if err != nil {
		w.Fatal(err)
	}
	return grant
}

// wantDenied expects that the caller gets no session.
func (w *world) wantDenied(c *sessions.Caller, user string) {
	w.Helper()
	if _, err := w.Create(w.Context(), &sessions.CreateRequest{Caller: c, UserID: user}); !errors.Is(err, sessions.ErrDenied) {
		w.Errorf("%v of %v may have a session: %v", c.Subject, c.Claims, err)
	}
}

// apply applies a notice of idp, as of epoch unless it says when.
func (w *world) apply(n logout.Notice) logout.Outcome {
	w.Helper()
	n.Kind, n.JTI, n.Issuer, n.Trust, n.Marked = "logout", "jti-1", idp, idp, 24*time.Hour
	if n.Issuers == nil {
		n.Issuers = []string{idp}
	}
	if n.Action == "" {
		n.Action = logout.Revoke
	}
	if n.At.IsZero() {
		n.At = epoch
	}
	out, err := w.logouts.Apply(w.Context(), &n)
	if err != nil {
		w.Fatal(err)
	}
	if out.Ended != out.Found {
		w.Errorf("found %d, ended %d", out.Found, out.Ended)
	}
	return out
}

// over reports whether a session is revoked: its refresh token, and its access tokens.
func (w *world) over(g *sessions.Grant) bool {
	w.Helper()
	_, err := w.Refresh(w.Context(), &sessions.RefreshRequest{Token: g.RefreshToken})
	revoked, asking := w.watch.Revoked(w.Context(), g.Session.Ref())
	if asking != nil || revoked != errors.Is(err, sessions.ErrGrant) {
		w.Fatalf("refreshing: %v; access tokens revoked: %t, %v", err, revoked, asking)
	}
	return revoked
}

// want expects which sessions are over, by their names.
func (w *world) want(all map[string]*sessions.Grant, over ...string) {
	w.Helper()
	for name, grant := range all {
		if got, want := w.over(grant), slices.Contains(over, name); got != want {
			w.Errorf("%s is over: %t", name, got)
		}
	}
}

// everyone are sessions of tokens of all kinds.
func (w *world) everyone() map[string]*sessions.Grant {
	before := at(-time.Minute)
	desk := sessions.Claims{"scope": "desk", "auth_time": before}
	sid := func(of sessions.Claims, sid string) sessions.Claims {
		all := sessions.Claims{"sid": sid, "auth_time": before}
		maps.Copy(all, of)
		return all
	}
	return map[string]*sessions.Grant{
		"own, sid 1":            w.create(token(idp, "alice", sid(nil, "1")), "alice"),
		"own, sid 2":            w.create(token(idp, "alice", sid(nil, "2")), "alice"),
		"own, no sid":           w.create(token(idp, "alice", sessions.Claims{"auth_time": before}), "alice"),
		"as actor, sid 1":       w.create(token(idp, "alice", sid(desk, "1")), "bob"),
		"as actor, sid 2":       w.create(token(idp, "alice", sid(desk, "2")), "bob"),
		"as actor, no sid":      w.create(token(idp, "alice", desk), "bob"),
		"another's":             w.create(token(idp, "bob", sid(nil, "3")), "bob"),
		"pairwise, sid 1":       w.create(token(idp, "pairwise-7", sid(desk, "1")), "carol"),
		"elsewhere, sid 1":      w.create(token(other, "alice", sid(nil, "1")), "alice"),
		"elsewhere, as actor":   w.create(token(other, "alice", sid(desk, "1")), "bob"),
		"impersonation of them": w.create(token(idp, "support", sid(desk, "9")), "alice"),
	}
}

func TestALogoutOfASessionEndsWhatItsTokensMade(t *testing.T) {
	w := newWorld(t)
	all := w.everyone()
	if out := w.apply(logout.Notice{SID: "1"}); out.Found != 3 {
		t.Errorf("found %d", out.Found)
	}
	w.want(all, "own, sid 1", "as actor, sid 1", "pairwise, sid 1")
}

func TestALogoutOfASessionAndASubjectEndsWhatHasNoSIDToo(t *testing.T) {
	w := newWorld(t)
	all := w.everyone()
	w.apply(logout.Notice{SID: "1", Subject: "alice"})
	w.want(all, "own, sid 1", "own, no sid", "as actor, sid 1", "as actor, no sid", "pairwise, sid 1")
}

func TestALogoutOfASubjectEndsAllThatTheyMade(t *testing.T) {
	w := newWorld(t)
	all := w.everyone()
	w.apply(logout.Notice{Subject: "alice"})
	w.want(all, "own, sid 1", "own, sid 2", "own, no sid", "as actor, sid 1", "as actor, sid 2", "as actor, no sid")
}

func TestTheEndOfAnAccountEndsImpersonationsOfItsUserToo(t *testing.T) {
	w := newWorld(t)
	all := w.everyone()
	w.apply(logout.Notice{Subject: "alice", Account: true, UserID: "alice"})
	w.want(all, "own, sid 1", "own, sid 2", "own, no sid", "as actor, sid 1", "as actor, sid 2", "as actor, no sid", "impersonation of them")
	later := w.create(token(idp, "support", sessions.Claims{"scope": "desk"}), "alice") // the policy's affair
	w.now = w.now.Add(2 * time.Minute)
	again := w.create(token(idp, "support", sessions.Claims{"scope": "desk"}), "alice")
	w.apply(logout.Notice{Subject: "alice", Account: true, UserID: "alice"})
	if !w.over(later) || w.over(again) {
		t.Error("a repeated event ends what began after it, or spares what began with it")
	}
}

// Where another claim names users, the account's user is known by their own sessions.
func TestTheUserOfAnAccountIsKnownByTheirSessions(t *testing.T) {
	w := newWorld(t)
	own := token(idp, "alice@example.com", sessions.Claims{"sub": "f:1"})
	all := map[string]*sessions.Grant{
		"own":                     w.create(own, "alice@example.com"),
		"impersonation of them":   w.create(token(idp, "support", sessions.Claims{"scope": "desk"}), "alice@example.com"),
		"of one who is called so": w.create(token(idp, "support", sessions.Claims{"scope": "desk"}), "f:1"),
	}
	w.apply(logout.Notice{Subject: "f:1", Account: true})
	w.want(all, "own", "impersonation of them")
}

func TestImpersonationsAloneCanEnd(t *testing.T) {
	w := newWorld(t)
	all := w.everyone()
	w.apply(logout.Notice{Subject: "alice", Action: logout.RevokeImpersonations, Account: true, UserID: "alice"})
	w.want(all, "as actor, sid 1", "as actor, sid 2", "as actor, no sid", "impersonation of them")
	w.wantDenied(token(idp, "alice", sessions.Claims{"scope": "desk", "iat": at(0)}), "bob")
	w.create(token(idp, "alice", sessions.Claims{"scope": "desk", "iat": at(0)}), "alice")
	w.create(token(idp, "alice", sessions.Claims{"scope": "desk", "iat": at(time.Second)}), "bob")
}

func TestALogTouchesNothing(t *testing.T) {
	w := newWorld(t)
	all := w.everyone()
	if out := w.apply(logout.Notice{Subject: "alice", SID: "1", Action: logout.Log}); !out.Logged || out.Found != 0 {
		t.Errorf("%+v", out)
	}
	w.want(all)
	w.create(token(idp, "alice", sessions.Claims{"iat": at(-time.Hour)}), "alice")
}

// user_claim names callers, and a logout token has "sub" all the same.
func TestALogoutFindsCallersWhomAnotherClaimNames(t *testing.T) {
	w := newWorld(t)
	all := map[string]*sessions.Grant{
		"own":                w.create(token(idp, "alice@example.com", sessions.Claims{"sub": "f:1"}), "alice@example.com"),
		"as actor":           w.create(token(idp, "alice@example.com", sessions.Claims{"sub": "f:1", "scope": "desk"}), "bob"),
		"of another account": w.create(token(idp, "f:1", sessions.Claims{"sub": "f:2"}), "f:1"),
	}
	w.apply(logout.Notice{Subject: "f:1"})
	w.want(all, "own", "as actor")
	w.wantDenied(token(idp, "alice@example.com", sessions.Claims{"sub": "f:1", "iat": at(0)}), "alice@example.com")
	w.create(token(idp, "f:1", sessions.Claims{"sub": "f:2", "iat": at(0)}), "f:1")
}

func TestAnEventCanNameCallersAsTheirClaimDoes(t *testing.T) {
	w := newWorld(t)
	all := map[string]*sessions.Grant{
		"own":      w.create(token(idp, "alice@example.com", sessions.Claims{"sub": "f:1"}), "alice@example.com"),
		"as actor": w.create(token(idp, "alice@example.com", sessions.Claims{"sub": "f:1", "scope": "desk"}), "bob"),
		"another":  w.create(token(idp, "bob@example.com", sessions.Claims{"sub": "f:2"}), "bob@example.com"),
	}
	w.apply(logout.Notice{User: "alice@example.com"})
	w.want(all, "own", "as actor")
	w.wantDenied(token(idp, "alice@example.com", sessions.Claims{"sub": "f:1", "iat": at(0)}), "alice@example.com")
}

// A pairwise "sub" is another for each client (OpenID Connect Core 1.0 section 8.1): the logout
// token has that of its client, and what is the same in both is the "sid".
func TestALogoutOfAPairwiseSubjectIsFoundByItsSID(t *testing.T) {
	w := newWorld(t)
	grant := w.create(token(idp, "sector-b-77", sessions.Claims{"sid": "1"}), "sector-b-77")
	if out := w.apply(logout.Notice{Subject: "sector-a-12"}); out.Found != 0 || w.over(grant) {
		t.Error("another subject is found")
	}
	if w.apply(logout.Notice{Subject: "sector-a-12", SID: "1"}); !w.over(grant) {
		t.Error("the session at the issuer is not found")
	}
	w.wantDenied(token(idp, "sector-b-77", sessions.Claims{"sid": "1"}), "sector-b-77")
}

func TestOtherNamesOfTheIssuerAreFound(t *testing.T) {
	w := newWorld(t)
	spelt := token("idp.example.com", "alice", sessions.Claims{"sid": "1"})
	spelt.Trust = idp
	grant := w.create(spelt, "alice")
	w.apply(logout.Notice{Subject: "alice", SID: "1", Issuers: []string{idp, "idp.example.com"}})
	if !w.over(grant) {
		t.Error("a session of the other spelling goes on")
	}
	w.wantDenied(spelt, "alice")
}

func TestATokenFromBeforeTheLogoutGetsNothing(t *testing.T) {
	w := newWorld(t)
	w.apply(logout.Notice{Subject: "alice", SID: "1"})
	w.apply(logout.Notice{Subject: "bob"})
	for name, c := range map[string]*sessions.Caller{
		"the sid":                            token(idp, "alice", sessions.Claims{"sid": "1", "auth_time": at(-1)}),
		"the sid, and newer":                 token(idp, "alice", sessions.Claims{"sid": "1", "auth_time": at(time.Hour)}),
		"the sid, of another":                token(idp, "carol", sessions.Claims{"sid": "1", "auth_time": at(time.Hour)}),
		"the subject, no sid, auth_time":     token(idp, "alice", sessions.Claims{"auth_time": at(0), "iat": at(time.Hour)}),
		"the subject, no sid, iat":           token(idp, "alice", sessions.Claims{"iat": at(0)}),
		"the subject, no sid, no times":      token(idp, "alice", nil),
		"all of the subject, another sid":    token(idp, "bob", sessions.Claims{"sid": "2", "iat": at(0)}),
		"all of the subject, no times":       token(idp, "bob", nil),
		"all of the subject, a text as time": token(idp, "bob", sessions.Claims{"auth_time": "soon", "iat": at(0)}),
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			w.wantDenied(c, c.Subject)
		})
	}
	w.T = t
	page, err := w.List(t.Context(), w.Operator(), sessions.Filter{User: "alice"}, "", 10)
	if err != nil || len(page.Sessions) != 0 {
		t.Errorf("there are %v, %v", page.Sessions, err)
	}
}

func TestASignInAfterTheLogoutWorksAtOnce(t *testing.T) {
	w := newWorld(t)
	w.apply(logout.Notice{Subject: "alice", SID: "1"})
	w.apply(logout.Notice{Subject: "bob"})
	for name, c := range map[string]*sessions.Caller{
		"another sid":              token(idp, "alice", sessions.Claims{"sid": "2", "auth_time": at(time.Second)}),
		"another sid, from before": token(idp, "alice", sessions.Claims{"sid": "2", "auth_time": at(-time.Hour)}),
		"no sid":                   token(idp, "alice", sessions.Claims{"auth_time": at(time.Second)}),
		"no sid, iat":              token(idp, "alice", sessions.Claims{"iat": at(time.Second)}),
		"all of the subject":       token(idp, "bob", sessions.Claims{"sid": "2", "iat": at(time.Second)}),
		"another issuer":           token(other, "bob", sessions.Claims{"sid": "1", "iat": at(-time.Hour)}),
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			grant := w.create(c, c.Subject)
			w.apply(logout.Notice{Subject: "alice", SID: "1"}) // once more
			w.apply(logout.Notice{Subject: "bob"})
			if w.over(grant) {
				t.Error("the same logout, repeated, ends what began after it")
			}
		})
	}
}

func TestMarksStayAsLongAsATokenMayBeGood(t *testing.T) {
	w := newWorld(t)
	w.apply(logout.Notice{Subject: "alice"})
	w.now = epoch.Add(24*time.Hour - time.Millisecond)
	w.wantDenied(token(idp, "alice", sessions.Claims{"iat": at(-1)}), "alice")
	w.now = epoch.Add(24 * time.Hour)
	w.create(token(idp, "alice", sessions.Claims{"iat": at(-1)}), "alice")
}

// A notice that comes late ends what came of sign-ins until its time, whenever the session began.
func TestALateNoticeIsAsOfItsTime(t *testing.T) {
	w := newWorld(t)
	w.now = epoch.Add(time.Hour)
	old := w.create(token(idp, "alice", sessions.Claims{"iat": at(0)}), "alice")
	fresh := w.create(token(idp, "alice", sessions.Claims{"iat": at(1)}), "alice")
	newer := w.create(token(idp, "alice", sessions.Claims{"iat": at(time.Minute)}), "alice")
	w.apply(logout.Notice{Subject: "alice"})
	if !w.over(old) || !w.over(fresh) || w.over(newer) {
		t.Errorf("over: %t %t %t", w.over(old), w.over(fresh), w.over(newer))
	}
}

// Rows of the release before have no time of the sign-in, and names in no index: they are found
// as users and actors.
func TestRowsOfTheReleaseBeforeAreFoundAsUsersAndActors(t *testing.T) {
	w := newWorld(t)
	grants := map[string]*sessions.Grant{
		"own":      w.create(token(idp, "alice", sessions.Claims{"sid": "1"}), "alice"),
		"as actor": w.create(token(idp, "alice", sessions.Claims{"sid": "1", "scope": "desk"}), "bob"),
	}
	w.logouts.Manager = newManager(forgetful{w.Store.(*storetest.Memory)}, epoch)
	w.logouts.Manager.Realm, w.logouts.Manager.Revocations = w.Realm, w.watch
	w.apply(logout.Notice{Subject: "alice", SID: "1"})
	w.want(grants, "own", "as actor")
}

// A forgetful store has no names of its rows.
type forgetful struct{ *storetest.Memory }

func (forgetful) Named(context.Context, string, string, func([]sessions.Session) error) error {
	return nil
}

// However many sessions somebody has, none is forgotten, and no more of them are read at once than a
// store gives.
func TestALogoutEndsAnyNumberOfSessions(t *testing.T) {
	w := newWorld(t)
	c := token(idp, "alice", sessions.Claims{"sid": "1", "iat": at(-1)})
	var grants []*sessions.Grant
	for range 2*logout.MaxRows + 7 {
		grants = append(grants, w.create(c, "alice"))
	}
	if out := w.apply(logout.Notice{SID: "1"}); out.Ended != len(grants) {
		t.Errorf("%d of %d ended", out.Ended, len(grants))
	}
	for _, grant := range grants {
		if !w.over(grant) {
			t.Fatalf("%s goes on", grant.Session.ID)
		}
	}
}

func TestASessionThatIsCreatedMeanwhileIsEndedOrRefused(t *testing.T) {
	w := newWorld(t)
	c := token(idp, "alice", sessions.Claims{"sid": "1", "iat": at(-1)})
	for round := range 50 {
		c.Claims["sid"] = fmt.Sprint("sid-", round)
		var grant *sessions.Grant
		var all sync.WaitGroup
		all.Go(func() { grant, _ = w.Create(t.Context(), &sessions.CreateRequest{Caller: c, UserID: "alice"}) })
		all.Go(func() { w.apply(logout.Notice{SID: fmt.Sprint("sid-", round)}) })
		all.Wait()
		if grant != nil && !w.over(grant) {
			t.Fatal("a session slipped through")
		}
	}
	page, err := w.List(t.Context(), w.Operator(), sessions.Filter{User: "alice"}, "", 100)
	if err != nil || len(page.Sessions) != 0 {
		t.Errorf("there are %d, %v", len(page.Sessions), err)
	}
}

// The audit names the issuer and its token.
func TestWhatEndsNamesTheIssuerAndItsToken(t *testing.T) {
	w := newWorld(t)
	w.create(token(idp, "alice", sessions.Claims{"sid": "1"}), "alice")
	w.apply(logout.Notice{SID: "1", IP: "192.0.2.9"})
	e := w.events[len(w.events)-1]
	if e.Kind != event.Revoked || e.By != (sessions.Principal{Issuer: idp}) || e.JTI != "jti-1" || e.IP != "192.0.2.9" || e.Session.EndReason != logout.EndLogout {
		t.Errorf("%+v", e)
	}
}

func TestMoreSessionsThanAPageEnd(t *testing.T) {
	w := newWorld(t)
	var all []*sessions.Grant
	for i := range 250 {
		all = append(all, w.create(token(idp, "ci", sessions.Claims{"scope": "desk", "iat": at(-1)}), fmt.Sprint("user-", i)))
	}
	if out := w.apply(logout.Notice{Subject: "ci"}); out.Ended != len(all) {
		t.Errorf("ended %d", out.Ended)
	}
	if out := w.apply(logout.Notice{Subject: "ci"}); out.Found != 0 {
		t.Errorf("found %d again", out.Found)
	}
}

// What the store cannot do is 503, and no logout that came to nothing.
func TestAStoreThatIsDownIsUnavailable(t *testing.T) {
	w := newWorld(t)
	n := logout.Notice{Trust: idp, Issuers: []string{idp}, Subject: "alice", Action: logout.Revoke, At: epoch}
	closed := new(storetest.Memory)
	_ = closed.Close()
	for _, store := range []sessions.Store{struct{ sessions.Store }{w.Store}, closed} { // the first takes no part
		w.Manager.Store = store
		if _, err := w.logouts.Apply(t.Context(), &n); !errors.Is(err, sessions.ErrUnavailable) {
			t.Errorf("%T: %v", store, err)
		}
	}
	_, err := w.Create(t.Context(), &sessions.CreateRequest{Caller: token(idp, "alice", nil), UserID: "alice"})
	if !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, sessions.ErrDenied) {
		t.Errorf("creating: %v", err)
	}
}

func TestRowsSayWhatTokensHad(t *testing.T) {
	w := newWorld(t)
	for _, c := range []*sessions.Caller{token(idp, "a", nil), token(idp, "b", sessions.Claims{"sid": "1"}), token(idp, "c", sessions.Claims{"sub": "f:3"})} {
		w.logouts.Created(idp, &w.create(c, c.Subject).Session)
	}
	if got := w.logouts.Seen(idp); got != (logout.Seen{Rows: 3, SID: 1, Subject: 1}) {
		t.Errorf("%+v", got)
	}
	if got := w.logouts.Seen(other); got != (logout.Seen{}) {
		t.Errorf("%+v", got)
	}
}

func TestNamesHideWhatTheyName(t *testing.T) {
	row := sessions.Session{Actor: sessions.Principal{Issuer: idp, Subject: "alice@example.com"}, ActorSub: "secret-sub", ActorSID: "secret-sid"}
	sid, sub := logout.Names(&row)
	if len(sid) != logout.NameSize || len(sub) != logout.NameSize || sid == sub || strings.Contains(sid+sub, "secret") {
		t.Errorf("%q %q", sid, sub)
	}
}
