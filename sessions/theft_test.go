package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest"
)

const (
	issuer    = "https://app.example.com"
	provider  = "https://idp.example.com"
	refreshes = issuer + "/auth/sessions"
	accessTTL = 10 * time.Minute
	grace     = 30 * time.Second

	victim = "192.0.2.1"
	thief  = "203.0.113.9"
	maker  = "198.51.100.7" // where the session was created from
)

// A world is a manager on a store of its own, with a clock that stands still.
type world struct {
	t          *testing.T
	now        time.Time
	store      sessions.Store
	keys       *keyring.Keyring
	refreshKey *jose.PrivateKey
	manager    *sessions.Manager
	mu         sync.Mutex
	events     []sessions.Event
}

// newWorld lets users have sessions for themselves, and callers with the scope
// "desk" or the claim dept=support for others.
func newWorld(t *testing.T, change ...func(*sessions.Manager)) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 5, 6, 7, 8, 9, 123e6, time.UTC), keys: keyring.New()}
	w.store = &storetest.Memory{Clock: func() time.Time { return w.now }}
	w.refreshKey = generate(t, jose.EdDSA)
	must(t, w.keys.Refresh.Set([]keyring.Record{{Key: w.refreshKey}}))
	must(t, w.keys.Access.Set([]keyring.Record{{Key: generate(t, jose.ES256)}}))
	w.reload(change...)
	return w
}

// reload is what a new configuration does: another manager of the same store.
func (w *world) reload(change ...func(*sessions.Manager)) {
	w.manager = &sessions.Manager{
		Realm: issuer, Store: w.store, Grace: grace, Trusted: trusting(sessions.Trust{Name: provider, Users: true}),
		Policy: &sessions.Policy{AllowSelf: true, Allow: []sessions.Rule{
			{Name: "scope desk", From: provider, When: sessions.HasScope("desk")},
			{Name: "claim dept", From: provider, When: sessions.HasClaim{Name: "/org/dept", Value: "support"}},
		}},
		Minter: &sessions.Minter{
			Issuer: issuer, RefreshAudience: refreshes, AccessAudience: []string{issuer}, AccessTTL: accessTTL, Keys: w.keys,
		},
		Own:           sessions.Lifetimes{TTL: 30 * 24 * time.Hour, MaxTTL: 365 * 24 * time.Hour, Idle: 14 * 24 * time.Hour},
		Impersonation: sessions.Lifetimes{TTL: time.Hour, MaxTTL: 8 * time.Hour, Idle: 15 * time.Minute},
		Observer:      onEvent{do: w.happened},
	}
	w.use(w.store)
	for _, do := range change {
		do(w.manager)
	}
}

// happened keeps an event: sessions that are ended together report them together.
func (w *world) happened(e *sessions.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, *e)
}

// use gives the manager another store, and what knows its revocations.
func (w *world) use(store sessions.Store) {
	w.manager.Store, w.manager.Revocations = store, &revocation.Watcher{Store: store}
}

func (w *world) watch() *revocation.Watcher { return w.manager.Revocations.(*revocation.Watcher) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func generate(t *testing.T, alg jose.Algorithm) *jose.PrivateKey {
	t.Helper()
	key, err := jose.Generate(alg)
	must(t, err)
	return key
}

// person is a caller who is a user.
func person(name string, claims sessions.Claims) *sessions.Caller {
	return &sessions.Caller{
		Principal: sessions.Principal{Issuer: provider, Subject: name}, ClientID: "app", User: true, Claims: claims, Scopes: claims.Scopes(),
	}
}

// create makes a session for a user and expects it.
func (w *world) create(caller *sessions.Caller, user string, life ...time.Duration) *sessions.Grant {
	w.t.Helper()
	req := sessions.CreateRequest{Caller: caller, UserID: user, IP: maker}
	if len(life) > 0 {
		req.Lifetime = &life[0]
	}
	grant, err := w.manager.Create(w.t.Context(), &req)
	must(w.t, err)
	return grant
}

func (w *world) try(token, from string) (*sessions.Grant, error) {
	read, err := w.manager.Minter.ReadRefresh(token)
	inCookie := err == nil && read.Cookies
	return w.manager.Refresh(w.t.Context(), &sessions.RefreshRequest{Token: token, Cookies: inCookie, IP: from})
}

// refresh expects success, of that kind.
func (w *world) refresh(token, from string, kind event.Kind) *sessions.Grant {
	w.t.Helper()
	grant, err := w.try(token, from)
	if err != nil {
		w.t.Fatalf("refresh from %s: %v", from, err)
	}
	if e := w.last(); e.Kind != kind || e.IP != from || e.Err != nil {
		w.t.Fatalf("refresh from %s: event %s from %s (%v), want %s", from, e.Kind, e.IP, e.Err, kind)
	}
	return grant
}

// refused expects that a refresh token is good for nothing.
func (w *world) refused(token, from string, kind event.Kind, why string) {
	w.t.Helper()
	grant, err := w.try(token, from)
	if grant != nil || !errors.Is(err, sessions.ErrGrant) {
		w.t.Fatalf("refresh from %s: %v, want ErrGrant", from, err)
	}
	e := w.last()
	if e.Kind != kind || e.IP != from || !errors.Is(e.Err, sessions.ErrGrant) || !strings.Contains(e.Err.Error(), why) {
		w.t.Fatalf("refresh from %s: event %s from %s (%v), want %s of %q", from, e.Kind, e.IP, e.Err, kind, why)
	}
}

func (w *world) last() *sessions.Event { return &w.events[len(w.events)-1] }

// row is the session as it is stored.
func (w *world) row(g *sessions.Grant) sessions.Session {
	w.t.Helper()
	row, err := w.store.Get(w.t.Context(), g.Session.Key())
	must(w.t, err)
	return row
}

func (w *world) wantEnded(g *sessions.Grant, reason sessions.EndReason) {
	w.t.Helper()
	if row := w.row(g); row.EndReason != reason || !row.RevokedAt.Equal(w.now) {
		w.t.Errorf("session ended %q at %v, want %q now", row.EndReason, row.RevokedAt, reason)
	}
}

func (w *world) wantLive(g *sessions.Grant) {
	w.t.Helper()
	if row := w.row(g); !row.Live(w.now) {
		w.t.Errorf("session ended %q", row.EndReason)
	}
}

// stolen is a session ten generations deep, whose live refresh token is now with
// the victim and with the thief.
func (w *world) stolen() *sessions.Grant {
	w.t.Helper()
	grant := w.create(person("alice", nil), "alice")
	for range 10 {
		w.now = w.now.Add(accessTTL)
		grant = w.refresh(grant.RefreshToken, victim, event.Refreshed)
	}
	w.now = w.now.Add(accessTTL)
	return grant
}

// wantCaught expects that somebody presents a token that the other one has used:
// the session is over for both, and the event names both.
func (w *world) wantCaught(token, from, rotatedFrom string, live *sessions.Grant) {
	w.t.Helper()
	w.refused(token, from, event.Reuse, "used before")
	if e := w.last(); e.Session.RotatedFrom != rotatedFrom || e.Session.IP != maker || e.Session.ID != live.Session.ID {
		w.t.Errorf("event names %s, %s and %s", e.IP, e.Session.RotatedFrom, e.Session.IP)
	}
	w.wantEnded(live, sessions.EndReuse)
	w.refused(live.RefreshToken, victim, event.Denied, "session revoked")
	w.refused(live.RefreshToken, thief, event.Denied, "session revoked")
	w.refused(token, from, event.Denied, "session revoked")
}

// As soon as the two refresh further apart than grace, whoever comes second ends
// the session.
func TestTheft_FurtherApartThanGrace(t *testing.T) {
	for _, order := range []struct{ first, second string }{{thief, victim}, {victim, thief}} {
		for _, apart := range []time.Duration{grace, grace + time.Millisecond, accessTTL, 24 * time.Hour} {
			t.Run(fmt.Sprintf("%s first, the other %s later", order.first, apart), func(t *testing.T) {
				w := newWorld(t)
				shared := w.stolen()
				next := w.refresh(shared.RefreshToken, order.first, event.Refreshed)
				w.now = w.now.Add(apart)
				w.wantCaught(shared.RefreshToken, order.second, order.first, next)
			})
		}
	}
}

// Within grace the second gets what the first got; it shows, since it comes from
// another address, and is caught as soon as they are further apart.
func TestTheft_WithinGraceAndThenNot(t *testing.T) {
	for _, order := range []struct{ first, second string }{{thief, victim}, {victim, thief}} {
		for _, apart := range []time.Duration{0, time.Millisecond, grace - time.Millisecond} {
			for _, swapped := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s first, the other %s later, swapped %t", order.first, apart, swapped), func(t *testing.T) {
					w := newWorld(t)
					shared := w.stolen()
					next := w.refresh(shared.RefreshToken, order.first, event.Refreshed)
					w.now = w.now.Add(apart)
					same := w.refresh(shared.RefreshToken, order.second, event.Retried)
					if same.RefreshToken != next.RefreshToken {
						t.Fatal("a second branch of the session exists")
					}
					if e := w.last(); e.IP == e.Session.RotatedFrom || e.Session.RotatedFrom != order.first {
						t.Errorf("the event does not show the two addresses: %s, %s", e.IP, e.Session.RotatedFrom)
					}
					first, second := order.first, order.second
					if swapped {
						first, second = second, first
					}
					w.now = w.now.Add(accessTTL)
					live := w.refresh(next.RefreshToken, first, event.Refreshed)
					w.now = w.now.Add(grace)
					w.wantCaught(same.RefreshToken, second, first, live)
				})
			}
		}
	}
}

// Who is two generations ahead of the other is caught at once, within grace too.
func TestTheft_TwoGenerationsApart(t *testing.T) {
	for _, order := range []struct{ first, second string }{{thief, victim}, {victim, thief}} {
		t.Run(order.first+" twice", func(t *testing.T) {
			w := newWorld(t)
			shared := w.stolen()
			next := w.refresh(shared.RefreshToken, order.first, event.Refreshed)
			next = w.refresh(next.RefreshToken, order.first, event.Refreshed)
			w.wantCaught(shared.RefreshToken, order.second, order.first, next)
		})
	}
}

// A token of any generation ends the session, however deep.
func TestTheft_OfAnOldToken(t *testing.T) {
	for back := 1; back <= 10; back++ {
		t.Run(fmt.Sprintf("%d generations back", back), func(t *testing.T) {
			w := newWorld(t)
			chain := []*sessions.Grant{w.create(person("alice", nil), "alice")}
			for range 10 {
				w.now = w.now.Add(accessTTL)
				chain = append(chain, w.refresh(chain[len(chain)-1].RefreshToken, victim, event.Refreshed))
			}
			w.now = w.now.Add(accessTTL)
			w.wantCaught(chain[10-back].RefreshToken, thief, victim, chain[10])
		})
	}
}

// The limit: a thief who always comes within grace of the victim shares the
// session. Nothing ends it; each time an event names both.
func TestTheft_AlwaysWithinGraceIsShared(t *testing.T) {
	for _, order := range []struct{ first, second string }{{thief, victim}, {victim, thief}} {
		t.Run(order.first+" first", func(t *testing.T) {
			w := newWorld(t)
			mine := w.stolen()
			theirs := mine
			for range 10 {
				mine = w.refresh(mine.RefreshToken, order.first, event.Refreshed)
				w.now = w.now.Add(grace - time.Millisecond)
				theirs = w.refresh(theirs.RefreshToken, order.second, event.Retried)
				if e := w.last(); e.Session.RotatedFrom != order.first || e.IP != order.second {
					t.Errorf("the event names %s and %s", e.Session.RotatedFrom, e.IP)
				}
				if mine.RefreshToken != theirs.RefreshToken {
					t.Fatal("a second branch of the session exists")
				}
				w.now = w.now.Add(accessTTL)
			}
			w.wantLive(mine)
			if slices.ContainsFunc(w.events, func(e sessions.Event) bool { return e.Kind == event.Reuse }) {
				t.Error("the limit is none any more: say so in the documentation")
			}
		})
	}
}

func TestTheft_GraceZeroClosesIt(t *testing.T) {
	for _, order := range []struct{ first, second string }{{thief, victim}, {victim, thief}} {
		t.Run(order.first+" first", func(t *testing.T) {
			w := newWorld(t, func(m *sessions.Manager) { m.Grace = 0 })
			shared := w.stolen()
			next := w.refresh(shared.RefreshToken, order.first, event.Refreshed)
			w.wantCaught(shared.RefreshToken, order.second, order.first, next)
		})
	}
}

// A client whose answer got lost gets it again, byte for byte; its access token
// is a fresh one that counts from the transition.
// Covers S2.
func TestRetry_IsTheSameSuccessor(t *testing.T) {
	w := newWorld(t)
	first := w.create(person("alice", nil), "alice")
	w.now = w.now.Add(time.Minute)
	at := w.now
	lost := w.refresh(first.RefreshToken, victim, event.Refreshed)
	before := w.row(first)
	for _, later := range []time.Duration{0, 0, time.Millisecond, grace - time.Millisecond} {
		w.now = at.Add(later)
		again := w.refresh(first.RefreshToken, victim, event.Retried)
		if again.RefreshToken != lost.RefreshToken {
			t.Error("a retry got another successor")
		}
		if again.AccessToken == lost.AccessToken {
			t.Error("a retry got the same access token, and so the same jti")
		}
		if want := at.Add(accessTTL); !again.AccessExpires.Equal(want) || !again.Now.Equal(w.now) {
			t.Errorf("%v after the transition: access token until %v at %v, want %v", later, again.AccessExpires, again.Now, want)
		}
		if after := w.row(first); after.Generation != before.Generation || !after.RotatedAt.Equal(at) {
			t.Errorf("a retry changed the row: %+v", after)
		}
	}
	w.now = at.Add(grace)
	w.wantCaught(first.RefreshToken, victim, victim, lost)
}

// A refused token costs no look at the store.
func TestForged_IsRefusedBeforeTheStore(t *testing.T) {
	w := newWorld(t)
	real := w.create(person("alice", nil), "alice")
	counted := &counting{Store: w.store}
	w.use(counted) // and w.row looks at the store behind it
	own := w.refreshKey
	claims := claimsOf(t, real.RefreshToken)
	other := generate(t, jose.EdDSA)
	sign := func(key *jose.PrivateKey, kid, typ, claims string) string {
		token, err := key.Sign(fmt.Appendf(nil, `{"alg":%q,"kid":%q,"typ":%q}`, key.Algorithm(), kid, typ), []byte(claims))
		must(t, err)
		return token
	}
	mine := func(old, new string) string {
		if !strings.Contains(claims, old) {
			t.Fatalf("no %s in %s", old, claims)
		}
		return sign(own, own.ID(), keyring.RefreshTokenType, strings.Replace(claims, old, new, 1))
	}
	parts := strings.Split(real.RefreshToken, ".")
	tampered := claimsPart(strings.Replace(claims, `"sub":"alice"`, `"sub":"bob"`, 1))
	for name, token := range map[string]string{
		"nothing":                    "",
		"rubbish":                    "rubbish",
		"another key":                sign(other, other.ID(), keyring.RefreshTokenType, claims),
		"another key under our kid":  sign(other, own.ID(), keyring.RefreshTokenType, claims),
		"no kid":                     sign(own, "", keyring.RefreshTokenType, claims),
		"type at+jwt":                sign(own, own.ID(), keyring.AccessTokenType, claims),
		"type JWT":                   sign(own, own.ID(), "JWT", claims),
		"type RT+JWT":                sign(own, own.ID(), "RT+JWT", claims),
		"another audience":           mine(`"aud":"`+refreshes+`"`, `"aud":"`+issuer+`"`),
		"a list of audiences":        mine(`"aud":"`+refreshes+`"`, `"aud":["`+refreshes+`"]`),
		"another issuer":             mine(`"iss":"`+issuer+`"`, `"iss":"https://other.example.com"`),
		"a generation that is none":  mine(`"gen":0`, `"gen":-1`),
		"a secret that is too short": mine(`"rnd":"`, `"rnd":"","x":"`),
		"a tampered payload":         parts[0] + "." + tampered + "." + parts[2],
		"no signature":               parts[0] + "." + parts[1] + ".",
		"half of it":                 real.RefreshToken[:len(real.RefreshToken)/2],
		"the access token":           real.AccessToken,
		"the refresh key's access":   sign(own, own.ID(), keyring.AccessTokenType, claimsOf(t, real.AccessToken)),
	} {
		t.Run(name, func(t *testing.T) {
			before := w.row(real)
			counted.calls.Store(0)
			_, err := w.try(token, thief)
			if !errors.Is(err, sessions.ErrGrant) {
				t.Fatalf("%v, want ErrGrant", err)
			}
			if token != "" && (strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "alice")) {
				t.Errorf("the error holds the token: %v", err)
			}
			if n := counted.calls.Load(); n != 0 {
				t.Errorf("%d looks at the store", n)
			}
			if after := w.row(real); after.Generation != before.Generation || !after.RevokedAt.IsZero() {
				t.Error("it touched the session that it names")
			}
		})
	}
	counted.calls.Store(0)
	w.refresh(real.RefreshToken, victim, event.Refreshed)
	if counted.calls.Load() != 1 {
		t.Errorf("a good token costs %d looks at the store, want 1: is nothing counted?", counted.calls.Load())
	}
}

// counting counts what does I/O.
type counting struct {
	sessions.Store
	calls atomic.Int64
}

func (c *counting) Create(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
	c.calls.Add(1)
	return c.Store.Create(ctx, row)
}

func (c *counting) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	c.calls.Add(1)
	return c.Store.Get(ctx, key)
}

func (c *counting) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	c.calls.Add(1)
	return c.Store.Update(ctx, key, fn)
}

func (c *counting) List(ctx context.Context, q sessions.Query) (sessions.Page, error) {
	c.calls.Add(1)
	return c.Store.List(ctx, q)
}

func (c *counting) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (int, error) {
	c.calls.Add(1)
	return c.Store.Sweep(ctx, limit, over)
}

// A store that does not answer ends nothing: the same token works later.
func TestRefresh_AStoreFaultIsNoVerdict(t *testing.T) {
	w := newWorld(t)
	grant := w.create(person("alice", nil), "alice")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.manager.Refresh(ctx, &sessions.RefreshRequest{Token: grant.RefreshToken, IP: victim})
	if !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, sessions.ErrGrant) || w.last().Kind != event.Failed {
		t.Fatalf("%v, event %s: want ErrUnavailable", err, w.last().Kind)
	}
	w.refresh(grant.RefreshToken, victim, event.Refreshed)
}

// Nor do keys that are missing: the rotation is stored by then, and the same token gets its
// successor when the keys are back.
func TestRefresh_WithoutAKeyToSignIsNoVerdict(t *testing.T) {
	w := newWorld(t)
	grant := w.create(person("alice", nil), "alice")
	must(t, w.keys.Access.Set(nil))
	got, err := w.try(grant.RefreshToken, victim)
	if got != nil || !errors.Is(err, keyring.ErrNoKey) || errors.Is(err, sessions.ErrGrant) {
		t.Errorf("got %v, %v", got, err)
	}
	if e := w.last(); e.Kind != event.Failed || !errors.Is(e.Err, keyring.ErrNoKey) {
		t.Errorf("event %s: %v", e.Kind, e.Err)
	}
	must(t, w.keys.Access.Set([]keyring.Record{{Key: generate(t, jose.ES256)}}))
	w.refresh(grant.RefreshToken, victim, event.Retried)
}

// Nor does it when somebody asks for the session that a token is of, or signs out with it.
func TestCurrent_AStoreFaultIsNoVerdict(t *testing.T) {
	w := newWorld(t)
	grant := w.create(person("alice", nil), "alice")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := &sessions.RefreshRequest{Token: grant.RefreshToken, IP: victim}
	if _, err := w.manager.Current(ctx, req); !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, sessions.ErrGrant) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	if row, err := w.manager.Current(t.Context(), req); err != nil || row.ID != grant.Session.ID {
		t.Errorf("session %q, %v", row.ID, err)
	}
	w.use(new(storetest.Memory)) // emptied
	if _, err := w.manager.Current(t.Context(), req); !errors.Is(err, sessions.ErrGrant) || errors.Is(err, sessions.ErrForged) {
		t.Errorf("%v, want that the session is unknown", err)
	}
}

// A thief who asks whether a copied token is still good gives themselves away.
func TestTheft_ProbingWithAUsedTokenRevokesTheSession(t *testing.T) {
	for _, c := range []struct {
		name string
		used func(w *world) (*sessions.Grant, string)
		kind event.Kind
	}{
		{"the token before, after the grace period", func(w *world) (*sessions.Grant, string) {
			first := w.create(person("alice", nil), "alice")
			live := w.refresh(first.RefreshToken, victim, event.Refreshed)
			w.now = w.now.Add(grace)
			return live, first.RefreshToken
		}, event.Reuse},
		{"a token two generations old", func(w *world) (*sessions.Grant, string) {
			first := w.create(person("alice", nil), "alice")
			second := w.refresh(first.RefreshToken, victim, event.Refreshed)
			return w.refresh(second.RefreshToken, victim, event.Refreshed), first.RefreshToken
		}, event.Reuse},
		{"a token that is ahead of a store that lost writes", func(w *world) (*sessions.Grant, string) {
			first := w.create(person("alice", nil), "alice")
			before := w.row(first)
			ahead := w.refresh(first.RefreshToken, victim, event.Refreshed)
			_, err := w.store.Update(w.t.Context(), before.Key(), func(sessions.Session, time.Time) (sessions.Session, bool) { return before, true })
			must(w.t, err)
			return first, ahead.RefreshToken
		}, event.StoreBehind},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			live, used := c.used(w)
			if _, err := w.manager.Current(t.Context(), &sessions.RefreshRequest{Token: used, IP: thief}); !errors.Is(err, sessions.ErrGrant) {
				t.Fatalf("%v, want ErrGrant", err)
			}
			if e := w.last(); e.Kind != c.kind || e.IP != thief {
				t.Errorf("event %s from %s, want %s", e.Kind, e.IP, c.kind)
			}
			w.refused(live.RefreshToken, victim, event.Denied, "revoked")
		})
	}
}

// What proves nothing changes nothing.
func TestTheft_ProbingWithAGoodTokenChangesNothing(t *testing.T) {
	w := newWorld(t)
	first := w.create(person("alice", nil), "alice")
	second := w.refresh(first.RefreshToken, victim, event.Refreshed)
	before := w.row(second)
	for _, token := range []string{first.RefreshToken, second.RefreshToken} {
		if _, err := w.manager.Current(t.Context(), &sessions.RefreshRequest{Token: token, IP: victim}); err != nil {
			t.Error(err)
		}
	}
	if after := w.row(second); after.Generation != before.Generation || !after.RevokedAt.IsZero() {
		t.Errorf("%+v became %+v", before, after)
	}
	w.refresh(second.RefreshToken, victim, event.Refreshed)
}
