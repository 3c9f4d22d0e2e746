package sessions_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
)

const linkTTL = time.Minute

// linking is a world that hands sessions over by links.
func linking(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.linkingReload()
	return w
}

func (w *world) linkingReload() {
	w.managedReload()
	w.manager.LinkTTL = linkTTL
}

func linkRequest() *sessions.CreateRequest {
	return &sessions.CreateRequest{Caller: scoped("carol", "desk"), UserID: "alice", Reason: "ticket", Link: true, ReturnTo: "/orders", IP: maker}
}

// link makes a pending session of alice for carol.
func (w *world) link() *sessions.Grant {
	w.t.Helper()
	grant, err := w.manager.Create(w.t.Context(), linkRequest())
	must(w.t, err)
	return grant
}

func (w *world) open(code string) *sessions.Grant {
	w.t.Helper()
	grant, err := w.manager.Open(w.t.Context(), &sessions.OpenRequest{Code: code, IP: victim})
	must(w.t, err)
	return grant
}

// wantNoLink expects that a code opens nothing, nor shows what it would open.
func (w *world) wantNoLink(req *sessions.OpenRequest, want error, why string) {
	w.t.Helper()
	if _, err := w.manager.Linked(w.t.Context(), req); !errors.Is(err, want) || !strings.Contains(err.Error(), why) {
		w.t.Errorf("shown: %v, want %v (%s)", err, want, why)
	}
	grant, err := w.manager.Open(w.t.Context(), req)
	if grant != nil || !errors.Is(err, want) || !strings.Contains(err.Error(), why) {
		w.t.Errorf("opened: %v, want %v (%s)", err, want, why)
	}
}

func TestPending_CreateGivesALinkAndNoTokens(t *testing.T) {
	w := linking(t)
	grant := w.link()
	if grant.RefreshToken != "" || grant.AccessToken != "" || !grant.AccessExpires.IsZero() {
		t.Error("a pending session has tokens")
	}
	row := w.row(grant)
	if !strings.HasPrefix(grant.Link, row.ID+".") || row.Pending == nil || row.Pending.Life != time.Hour || row.Pending.ReturnTo != "/orders" {
		t.Errorf("link %q of %+v", grant.Link, row.Pending)
	}
	if !row.ExpiresAt.Equal(w.now.Add(linkTTL)) || !grant.Session.ExpiresAt.Equal(row.ExpiresAt) {
		t.Errorf("the link is good until %v", row.ExpiresAt)
	}
	if e := w.last(); e.Kind != event.Created || e.Session.Pending == nil {
		t.Errorf("event %s of %+v", e.Kind, e.Session.Pending)
	}
}

func TestPending_ALifeBeginsWhenItIsOpened(t *testing.T) {
	w := linking(t)
	before := w.link()
	w.now = w.now.Add(linkTTL - time.Millisecond)
	grant := w.open(before.Link)
	if got := grant.Session; !got.ExpiresAt.Equal(w.now.Add(time.Hour)) || !got.RotatedAt.Equal(w.now) || got.Pending != nil || got.Generation != 1 || !got.Cookies ||
		!got.CreatedAt.Equal(before.Session.CreatedAt) || got.Secret == before.Session.Secret || got.RotatedFrom != victim || got.IP != maker {
		t.Errorf("opened %+v", got)
	}
	if grant.AccessToken == "" || grant.ReturnTo != "/orders" || grant.Link != "" || !grant.AccessExpires.Equal(w.now.Add(accessTTL)) {
		t.Error("an opened session has no tokens")
	}
	if e := w.last(); e.Kind != event.Opened || e.IP != victim || e.By != (sessions.Principal{}) || e.Session.Actor.Subject != "carol" {
		t.Errorf("event %s from %s by %v", e.Kind, e.IP, e.By)
	}
	w.now = w.now.Add(accessTTL)
	w.refresh(grant.RefreshToken, victim, event.Refreshed)
}

func TestPending_ALinkIsLookedAtWithoutOpeningIt(t *testing.T) {
	w := linking(t)
	grant := w.link()
	events := len(w.events)
	for range 3 {
		row, err := w.manager.Linked(t.Context(), &sessions.OpenRequest{Code: grant.Link})
		if err != nil || row.UserID != "alice" || row.Actor.Subject != "carol" || row.Reason != "ticket" || row.Pending.Life != time.Hour {
			t.Fatalf("%+v, %v", row, err)
		}
	}
	if len(w.events) != events {
		t.Error("looking at a link is an event")
	}
	w.open(grant.Link)
}

func TestPending_IsOpenedOnce(t *testing.T) {
	w := linking(t)
	grant := w.link()
	opened := w.open(grant.Link)
	w.wantNoLink(&sessions.OpenRequest{Code: grant.Link, IP: thief}, sessions.ErrLink, "opened before")
	if e := w.last(); e.Kind != event.Denied || e.IP != thief || e.Session.UserID != "alice" {
		t.Errorf("event %s from %s of %q", e.Kind, e.IP, e.Session.UserID)
	}
	w.wantLive(opened)
}

func TestPending_OfTwoNodesOneOpensIt(t *testing.T) {
	w := linking(t)
	w.manager.Observer = nil
	second := linking(t).manager
	second.Store, second.Revocations, second.Observer, second.Minter = w.manager.Store, w.manager.Revocations, nil, w.manager.Minter
	for range 50 {
		code := w.link().Link
		var won atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				node := []*sessions.Manager{w.manager, second}[i%2]
				grant, err := node.Open(context.Background(), &sessions.OpenRequest{Code: code})
				switch {
				case err == nil && grant.AccessToken != "":
					won.Add(1)
				case !errors.Is(err, sessions.ErrLink):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("%d opened one link", n)
		}
	}
}

func TestPending_ALinkThatIsOverOpensNothing(t *testing.T) {
	for _, tt := range []struct {
		name, why string
		do        func(*world, *sessions.Grant)
	}{
		{"after its time", "expired", func(w *world, _ *sessions.Grant) { w.now = w.now.Add(linkTTL) }},
		{"swept", "unknown", func(w *world, _ *sessions.Grant) {
			w.now = w.now.Add(linkTTL)
			n, err := w.store.Sweep(w.t.Context(), 10, nil)
			if must(w.t, err); n != 1 {
				w.t.Errorf("swept %d", n)
			}
		}},
		{"revoked by its actor", "session revoked", func(w *world, g *sessions.Grant) {
			must(w.t, w.manager.Revoke(w.t.Context(), w.rights(scoped("carol", "desk")), g.Session.ID))
		}},
		{"revoked by a cutoff of its actor", "session revoked", func(w *world, g *sessions.Grant) {
			must(w.t, w.watch().AddCutoff(w.t.Context(), issuer, sessions.Filter{Actor: &g.Session.Actor}, g.Session.Actor))
		}},
		{"revoked by a cutoff of its user", "session revoked", func(w *world, g *sessions.Grant) {
			must(w.t, w.watch().AddCutoff(w.t.Context(), issuer, sessions.Filter{User: "alice"}, g.Session.Actor))
		}},
		{"denied by today's policy", "policy", func(w *world, _ *sessions.Grant) { w.manager.Policy = &sessions.Policy{AllowSelf: true} }},
		{"of an issuer that is trusted no more", "policy", func(w *world, _ *sessions.Grant) { w.manager.Trusted = nil }},
		{"made with another secret", "its code is wrong", func(w *world, _ *sessions.Grant) { w.manager.IDSecret = make([]byte, 32) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := linking(t)
			grant := w.link()
			tt.do(w, grant)
			w.wantNoLink(&sessions.OpenRequest{Code: grant.Link, IP: victim}, sessions.ErrLink, tt.why)
			if err := w.last().Err; err != nil && strings.Contains(err.Error(), grant.Link) {
				t.Error("the log has the code")
			}
		})
	}
}

func TestPending_TodaysNoEndsIt(t *testing.T) {
	w := linking(t)
	grant := w.link()
	w.manager.Policy = &sessions.Policy{Protect: []string{"alice"}, Allow: w.manager.Policy.Allow}
	if _, err := w.manager.Open(t.Context(), &sessions.OpenRequest{Code: grant.Link, IP: victim}); !errors.Is(err, sessions.ErrLink) {
		t.Error(err)
	}
	w.wantEnded(grant, sessions.EndPolicy)
	if e := w.last(); e.Kind != event.Revoked || e.IP != victim {
		t.Errorf("event %s from %s", e.Kind, e.IP)
	}
}

// ACutoff between creation and opening ends what was opened, whoever heard of it when.
func TestPending_TheOrderIsThatOfItsCreation(t *testing.T) {
	w := linking(t)
	grant := w.open(w.link().Link)
	must(t, w.watch().AddCutoff(t.Context(), issuer, sessions.Filter{User: "alice"}, grant.Session.Actor))
	w.refused(grant.RefreshToken, victim, event.Denied, "revoked")
}

func TestPending_ACodeIsNotGuessed(t *testing.T) {
	w := linking(t)
	first, second := w.link(), w.link()
	id, mac, _ := strings.Cut(first.Link, ".")
	_, other, _ := strings.Cut(second.Link, ".")
	codes := []string{
		"", ".", id, id + ".", "." + mac, mac, id + "." + other, id + "." + mac + "A", id + "." + mac[:21], id + "." + mac + "=", " " + first.Link,
		id + "." + strings.Repeat("A", 22), strings.Repeat("x", 100) + "." + mac, first.Link + "." + mac,
	}
	for i := range mac {
		flipped := byte('A')
		if mac[i] == flipped {
			flipped = 'B'
		}
		codes = append(codes, id+"."+mac[:i]+string(flipped)+mac[i+1:])
	}
	for _, code := range codes {
		w.wantNoLink(&sessions.OpenRequest{Code: code, IP: thief}, sessions.ErrLink, "")
	}
	w.manager.Realm = "https://other.example.com"
	w.wantNoLink(&sessions.OpenRequest{Code: first.Link, IP: thief}, sessions.ErrLink, "unknown")
	w.manager.Realm = issuer
	w.open(first.Link)
}

// Whoever makes up codes of no session writes nothing, into the audit neither, which everybody can
// reach that way. A wrong code of a session is told.
func TestPending_CodesOfNoSessionAreNotRecorded(t *testing.T) {
	w := linking(t)
	grant := w.link()
	before := len(w.events)
	for _, id := range []string{strings.Repeat("A", 22), "x"} {
		w.wantNoLink(&sessions.OpenRequest{Code: id + "." + strings.Repeat("A", 22), IP: thief}, sessions.ErrLink, "unknown")
	}
	if len(w.events) != before {
		t.Errorf("%d events", len(w.events)-before)
	}
	w.wantNoLink(&sessions.OpenRequest{Code: grant.Session.ID + "." + strings.Repeat("A", 22), IP: thief}, sessions.ErrLink, "its code is wrong")
	if e := w.last(); e.Kind != event.Denied || e.IP != thief || e.Session.ID != grant.Session.ID {
		t.Errorf("event %s from %s", e.Kind, e.IP)
	}
}

func TestPending_AFaultIsNoVerdict(t *testing.T) {
	w := linking(t)
	grant := w.link()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.manager.Open(ctx, &sessions.OpenRequest{Code: grant.Link})
	if !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, sessions.ErrLink) || w.last().Kind != event.Failed {
		t.Errorf("%v, %s", err, w.last().Kind)
	}
	w.open(grant.Link)
}

// Nobody has a token of a pending session. One that is made from its row is good for nothing.
func TestPending_NoTokenOfItIsAny(t *testing.T) {
	for name, make := range map[string]func(*testing.T) *world{
		"by the transition": newWorldOf, "in one step": func(t *testing.T) *world { t.Helper(); w, _ := newRotating(t); return w },
	} {
		t.Run(name, func(t *testing.T) {
			w := make(t)
			w.linkingReload()
			grant := w.link()
			token, err := w.manager.Minter.Refresh(&grant.Session)
			must(t, err)
			w.refused(token, thief, event.Denied, "not opened")
			for name, ask := range map[string]func(context.Context, *sessions.RefreshRequest) (sessions.Session, error){
				"current": w.manager.Current, "introspect": w.manager.Introspect,
			} {
				if _, err := ask(t.Context(), &sessions.RefreshRequest{Token: token}); !errors.Is(err, sessions.ErrGrant) {
					t.Errorf("%s: %v", name, err)
				}
			}
			holder := &sessions.Caller{Principal: sessions.Principal{Issuer: issuer, Subject: "alice"}, Own: true, SessionID: grant.Session.ID}
			if _, err := w.manager.CurrentOf(t.Context(), holder); !errors.Is(err, sessions.ErrNotFound) {
				t.Errorf("current of an access token: %v", err)
			}
			w.open(grant.Link)
			w.refused(token, thief, event.Reuse, "used before")
		})
	}
}

func newWorldOf(t *testing.T) *world { t.Helper(); return newWorld(t) }

func TestPending_ItsUserDoesNotSeeItBeforeItIsOpened(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		w.manager.LinkTTL = linkTTL
		grant := w.link()
		sees := map[*sessions.Caller]bool{
			scoped("alice", ""): false, scoped("dave", "desk"): false, scoped("carol", "desk"): true, service("root", "admin"): true,
		}
		for who, want := range sees {
			w.wantSees(who, grant.Session.ID, want)
		}
		w.open(grant.Link)
		sees = map[*sessions.Caller]bool{scoped("alice", ""): true, scoped("dave", "desk"): false, scoped("carol", "desk"): true}
		for who, want := range sees {
			w.wantSees(who, grant.Session.ID, want)
		}
	})
}

// wantSees expects that a caller sees the session, by its id and in a listing, or neither.
func (w *world) wantSees(who *sessions.Caller, id string, want bool) {
	w.t.Helper()
	_, err := w.manager.Get(w.t.Context(), w.rights(who), id)
	if (err == nil) != want {
		w.t.Errorf("%s gets the session: %v", who.Subject, err)
	}
	for _, f := range []sessions.Filter{{User: "alice"}, {Impersonations: true}} {
		page, err := w.manager.List(w.t.Context(), w.rights(who), f, "", 10)
		if must(w.t, err); (len(page.Sessions) == 1) != want {
			w.t.Errorf("%s lists %d sessions", who.Subject, len(page.Sessions))
		}
	}
}

func TestPending_CountsForTheLimitOnceItIsOpened(t *testing.T) {
	w := linking(t)
	w.manager.MaxPerUser = 2
	desk := scoped("carol", "desk")
	live := []*sessions.Grant{w.create(desk, "alice")}
	w.now = w.now.Add(time.Second)
	live = append(live, w.create(desk, "alice"))
	var links []*sessions.Grant
	for range 3 {
		w.now = w.now.Add(time.Second)
		links = append(links, w.link())
	}
	for _, grant := range live {
		w.wantLive(grant)
	}
	w.now = w.now.Add(time.Second)
	live = append(live, w.create(desk, "alice"))
	w.wantEnded(live[0], sessions.EndReplaced) // by the third, not by links
	w.wantLive(live[1])
	w.now = w.now.Add(time.Second)
	opened := w.open(links[0].Link)
	w.wantEnded(live[1], sessions.EndReplaced)
	for _, grant := range []*sessions.Grant{live[2], opened, links[1], links[2]} {
		w.wantLive(grant)
	}
}

func TestPending_ARepeatedRequestGetsTheSameLink(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*world, *sessions.Grant, *sessions.CreateRequest)
		want   error
	}{
		{"at once", func(*world, *sessions.Grant, *sessions.CreateRequest) {}, nil},
		{"while the link is good", func(w *world, _ *sessions.Grant, _ *sessions.CreateRequest) { w.now = w.now.Add(linkTTL - 1e6) }, nil},
		{"after its time", func(w *world, _ *sessions.Grant, _ *sessions.CreateRequest) { w.now = w.now.Add(linkTTL) }, sessions.ErrIdempotencySpent},
		{"after it was opened", func(w *world, g *sessions.Grant, _ *sessions.CreateRequest) { w.open(g.Link) }, sessions.ErrIdempotencySpent},
		{"for its tokens", func(_ *world, _ *sessions.Grant, r *sessions.CreateRequest) { r.Link, r.ReturnTo = false, "" }, sessions.ErrIdempotencyMismatch},
		{"for tokens once it was opened", func(w *world, g *sessions.Grant, r *sessions.CreateRequest) {
			w.open(g.Link)
			r.Link, r.ReturnTo = false, ""
		}, sessions.ErrIdempotencyMismatch},
		{"to return elsewhere", func(_ *world, _ *sessions.Grant, r *sessions.CreateRequest) { r.ReturnTo = "/other" }, sessions.ErrIdempotencyMismatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := linking(t)
			request := linkRequest()
			request.IdempotencyKey = "k"
			first, err := w.manager.Create(t.Context(), request)
			must(t, err)
			tt.change(w, first, request)
			again, err := w.manager.Create(t.Context(), request)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if err == nil && (again.Link != first.Link || again.AccessToken != "" || w.last().Kind != event.Repeated) {
				t.Errorf("%q again, not %q", again.Link, first.Link)
			}
		})
	}
}

// Where a person who signs in here made it, a link is good in a browser that they are signed in in.
func TestPending_APersonOpensTheirLinkThemselves(t *testing.T) {
	w := linking(t)
	w.manager.SignIn = provider
	own := func(name string) *sessions.Session { return &w.create(person(name, nil), name).Session }
	carol, dave := own("carol"), own("dave")
	acting := w.create(scoped("carol", "desk"), "alice").Session
	elsewhere := *carol
	elsewhere.Actor.Issuer = "https://other.example.com"
	grant := w.link()
	if row := w.row(grant); !row.Pending.ByActor {
		t.Fatal("anybody may open it")
	}
	for name, by := range map[string]*sessions.Session{"nobody": nil, "another person": dave, "an impersonation of theirs": &acting, "their namesake": &elsewhere} {
		t.Run(name, func(t *testing.T) {
			w.wantNoLink(&sessions.OpenRequest{Code: grant.Link, By: by, IP: thief}, sessions.ErrOpener, "")
			if e := w.last(); e.Kind != event.Denied || e.Session.Pending == nil {
				t.Errorf("event %s", e.Kind)
			}
		})
	}
	opened, err := w.manager.Open(t.Context(), &sessions.OpenRequest{Code: grant.Link, By: carol, IP: victim})
	if err != nil || opened.AccessToken == "" || w.last().By != carol.Actor {
		t.Errorf("opened by %v: %v", w.last().By, err)
	}
}

func TestPending_WhoeverHasALinkOfAMachineOpensIt(t *testing.T) {
	w := linking(t)
	machine := scoped("desk", "desk")
	machine.ClientID, machine.Claims["azp"] = "desk", "desk"
	request := linkRequest()
	request.Caller = machine
	for _, signIn := range []string{"", provider, "https://other.example.com"} {
		w.manager.SignIn = signIn
		grant, err := w.manager.Create(t.Context(), request)
		must(t, err)
		w.open(grant.Link)
	}
	w.manager.SignIn = "https://other.example.com"
	w.open(w.link().Link) // of a person who does not sign in here
}

// asking is an observer that is asked before anything happens.
type asking struct {
	sessions.Silent
	asked []event.Kind
	err   error
}

func (a *asking) Before(_ context.Context, kind event.Kind, s *sessions.Session) error {
	if kind == event.Opened && (s.ID == "" || s.Realm != issuer || s.IP != victim) {
		return errors.New("asked about nothing")
	}
	a.asked = append(a.asked, kind)
	return a.err
}

func TestPending_TheObserverIsAskedBeforeItIsOpened(t *testing.T) {
	w := linking(t)
	grant := w.link()
	observer := &asking{err: sessions.ErrUnavailable}
	w.manager.Observer = observer
	request := &sessions.OpenRequest{Code: grant.Link, IP: victim}
	if _, err := w.manager.Open(t.Context(), request); !errors.Is(err, sessions.ErrUnavailable) || len(observer.asked) != 1 || observer.asked[0] != event.Opened {
		t.Errorf("%v, asked %v", err, observer.asked)
	}
	observer.err = nil
	w.open(grant.Link)
}
