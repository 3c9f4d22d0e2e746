package sessions_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/event"
)

// inCookies makes a session whose tokens live in cookies.
func (w *world) inCookies() *sessions.Grant {
	w.t.Helper()
	grant, err := w.manager.Create(w.t.Context(), &sessions.CreateRequest{Caller: person("alice", nil), UserID: "alice", Cookies: true, IP: maker})
	must(w.t, err)
	return grant
}

// holder is who asks with the access token of a grant, on a node of its own.
func (w *world) holder(grant *sessions.Grant) *sessions.Caller {
	w.t.Helper()
	verifier, err := bearer.New(bearer.Config{Issuers: []bearer.Issuer{{
		Name: issuer, Keys: w.keys.Access, Audiences: []string{issuer}, Own: true, Now: func() time.Time { return w.now },
	}}})
	must(w.t, err)
	caller, err := verifier.VerifyOwn(w.t.Context(), grant.AccessToken)
	must(w.t, err)
	return caller
}

// A browser that lost the answer comes back with the old pair whenever it likes; it is reuse
// once an access token showed that the answer arrived, and grace passed.
func TestConfirm_TheTokenBeforeIsGoodUntilItsSuccessorArrived(t *testing.T) {
	w := newWorld(t)
	first := w.inCookies()
	w.now = w.now.Add(accessTTL)
	lost := w.refresh(first.RefreshToken, victim, event.Refreshed)
	w.now = w.now.Add(13 * 24 * time.Hour)
	late := w.refresh(first.RefreshToken, victim, event.Retried)
	if late.Session.Generation != lost.Session.Generation || late.Session.Secret != lost.Session.Secret {
		t.Fatal("a second branch of the session exists")
	}
	if want := w.now.Add(accessTTL); !late.AccessExpires.Equal(want) || !late.Session.RotatedAt.Equal(w.now) {
		t.Errorf("an access token until %v, want %v: the browser has to work with it", late.AccessExpires, want)
	}
	w.now = w.now.Add(grace/2 - time.Millisecond)
	if again := w.refresh(first.RefreshToken, victim, event.Retried); again.RefreshToken != late.RefreshToken {
		t.Error("soon after, a retry is not the same, byte for byte")
	}
	caller := w.holder(late)
	if !caller.Unconfirmed() || caller.Generation != 1 {
		t.Fatalf("of generation %d, unconfirmed %t", caller.Generation, caller.Unconfirmed())
	}
	must(t, w.manager.Confirm(t.Context(), caller))
	if row := w.row(first); caller.Unconfirmed() || row.Confirmed != 1 || !row.ConfirmedAt.Equal(w.now) {
		t.Errorf("generation %d was confirmed at %v, and unconfirmed is %t", row.Confirmed, row.ConfirmedAt, caller.Unconfirmed())
	}
	w.now = w.now.Add(grace - time.Millisecond)
	w.refresh(first.RefreshToken, victim, event.Retried)
	w.now = w.now.Add(time.Millisecond)
	w.wantCaught(first.RefreshToken, thief, victim, late)
}

// Sessions that live elsewhere keep the grace period, and their access tokens say no generation.
func TestConfirm_ConcernsSessionsInCookiesAlone(t *testing.T) {
	w := newWorld(t)
	first := w.create(person("alice", nil), "alice")
	w.now = w.now.Add(accessTTL)
	second := w.refresh(first.RefreshToken, victim, event.Refreshed)
	caller := w.holder(second)
	if _, has := caller.Claims["gen"]; has || caller.Unconfirmed() || caller.Generation != 0 {
		t.Errorf("the access token says generation %v", caller.Claims["gen"])
	}
	must(t, w.manager.Confirm(t.Context(), caller))
	if row := w.row(first); row.Cookies || row.Confirmed != 0 || !row.ConfirmedAt.IsZero() {
		t.Errorf("%+v was confirmed", row)
	}
	w.now = w.now.Add(grace)
	w.wantCaught(first.RefreshToken, thief, victim, second)
}

// Nothing came before the first generation.
func TestConfirm_TheFirstGenerationNeedsNone(t *testing.T) {
	w := newWorld(t)
	counted := &counting{Store: w.store}
	w.use(counted)
	caller := w.holder(w.inCookies())
	counted.calls.Store(0)
	if caller.Claims["gen"] != int64(0) || caller.Unconfirmed() {
		t.Errorf("generation %v, unconfirmed %t", caller.Claims["gen"], caller.Unconfirmed())
	}
	if err := w.manager.Confirm(t.Context(), caller); err != nil || counted.calls.Load() != 0 {
		t.Errorf("%v, %d calls of the store", err, counted.calls.Load())
	}
}

// An access token of a generation that is not the live one proves nothing about that.
func TestConfirm_AnOldAccessTokenConfirmsNothing(t *testing.T) {
	w := newWorld(t)
	first := w.inCookies()
	second := w.refresh(first.RefreshToken, victim, event.Refreshed)
	third := w.refresh(second.RefreshToken, victim, event.Refreshed)
	must(t, w.manager.Confirm(t.Context(), w.holder(second)))
	if row := w.row(first); row.Confirmed != 0 {
		t.Errorf("generation %d is confirmed", row.Confirmed)
	}
	w.now = w.now.Add(accessTTL)
	if again := w.refresh(second.RefreshToken, victim, event.Retried); again.Session.Generation != third.Session.Generation {
		t.Errorf("generation %d", again.Session.Generation)
	}
}

// A page makes many requests at once: the store is told once, and again after it failed.
func TestConfirm_IsOneWriteForManyRequestsAndAnotherAfterAFault(t *testing.T) {
	w := newWorld(t)
	counted := &counting{Store: w.store}
	w.use(counted)
	first := w.inCookies()
	caller := w.holder(w.refresh(first.RefreshToken, victim, event.Refreshed))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.manager.Confirm(ctx, caller); !errors.Is(err, sessions.ErrUnavailable) || !caller.Unconfirmed() {
		t.Errorf("%v, unconfirmed %t", err, caller.Unconfirmed())
	}
	counted.calls.Store(0)
	var requests sync.WaitGroup
	for range 50 {
		requests.Go(func() {
			if err := w.manager.Confirm(t.Context(), caller); err != nil {
				t.Error(err)
			}
		})
	}
	requests.Wait()
	if row := w.row(first); row.Confirmed != 1 || counted.calls.Load() != 1 {
		t.Errorf("generation %d is confirmed after %d calls", row.Confirmed, counted.calls.Load())
	}
}

// Who confirms learns that the session is over.
func TestConfirm_OfASessionThatIsOverIsNoError(t *testing.T) {
	w := newWorld(t)
	first := w.inCookies()
	second := w.refresh(first.RefreshToken, victim, event.Refreshed)
	swept := w.holder(second)
	caller := w.holder(second)
	_, err := w.store.Update(t.Context(), first.Session.Key(), func(row sessions.Session, now time.Time) (sessions.Session, bool) {
		row.RevokedAt, row.EndReason = now, sessions.EndRevoked
		return row, true
	})
	must(t, err)
	must(t, w.manager.Confirm(t.Context(), caller))
	if row := w.row(first); row.Confirmed != 0 || row.EndReason != sessions.EndRevoked {
		t.Errorf("%+v", row)
	}
	w.now = w.now.Add(365 * 24 * time.Hour)
	if n, err := w.store.Sweep(t.Context(), 10, nil); n != 1 || err != nil {
		t.Fatalf("%d swept, %v", n, err)
	}
	must(t, w.manager.Confirm(t.Context(), swept))
}

// What comes too late, or is there already, is left out of an answer: see Rotation.
func TestOutdated_IsAGrantThatWouldTakeTheBrowserBack(t *testing.T) {
	w := newWorld(t)
	first := w.inCookies()
	w.now = w.now.Add(accessTTL)
	grant := w.refresh(first.RefreshToken, victim, event.Refreshed)
	at := w.now
	for _, tt := range []struct {
		name   string
		change func(*sessions.Session)
		after  time.Duration
		want   bool
	}{
		{"at once", nil, 0, false},
		{"after an eighth of the life of its access token", nil, accessTTL / 8, false},
		{"later", nil, accessTTL/8 + 1, true},
		{"rotated again", func(s *sessions.Session) { s.Generation++ }, 0, true},
		{"arrived with another answer", func(s *sessions.Session) { s.Confirmed = s.Generation }, 0, true},
		{"the generation before arrived", func(s *sessions.Session) { s.Confirmed = s.Generation - 1 }, 0, false},
		{"revoked", func(s *sessions.Session) { s.RevokedAt = at }, 0, true},
	} {
		row := w.row(grant)
		if tt.change != nil {
			tt.change(&row)
		}
		if got := grant.Outdated(&row, at.Add(tt.after)); got != tt.want {
			t.Errorf("%s: outdated %t", tt.name, got)
		}
	}
	if row := w.row(first); !first.Outdated(&row, at) {
		t.Error("the first generation is not outdated by the second")
	}
	other := w.inCookies()
	if row := w.row(other); other.Outdated(&row, w.now) {
		t.Error("the first generation is outdated, though none came before it")
	}
}

// The same request for tokens in the body is another one.
func TestConfirm_ARepeatedCreateIsOfTheSameKind(t *testing.T) {
	w := newWorld(t)
	request := sessions.CreateRequest{Caller: person("alice", nil), UserID: "alice", IdempotencyKey: "k", Cookies: true}
	grant, err := w.manager.Create(t.Context(), &request)
	must(t, err)
	again, err := w.manager.Create(t.Context(), &request)
	must(t, err)
	if !grant.Session.Cookies || again.Session.ID != grant.Session.ID {
		t.Errorf("%+v, and then %+v", grant.Session, again.Session)
	}
	request.Cookies = false
	if _, err := w.manager.Create(t.Context(), &request); !errors.Is(err, sessions.ErrIdempotencyMismatch) {
		t.Errorf("%v, want ErrIdempotencyMismatch", err)
	}
}

// A copy of a cookie is good in a cookie: elsewhere its session would go on where no rule of cookies
// holds. The other way round nobody gets a session into a browser that was not made for one.
func TestRefresh_TokensOfCookiesAreGoodThereAlone(t *testing.T) {
	w := newWorld(t)
	w.manager.Clients = map[string]bool{"app": true}
	inCookie, plain := w.inCookies(), w.create(person("alice", nil), "alice")
	for name, req := range map[string]*sessions.RefreshRequest{
		"of a cookie, in a body":     {Token: inCookie.RefreshToken},
		"of a cookie, by its client": {Token: inCookie.RefreshToken, Client: inCookie.Session.ClientID},
		"of no cookie, in one":       {Token: plain.RefreshToken, Cookies: true},
	} {
		req.IP = thief
		grant, err := w.manager.Refresh(t.Context(), req)
		if grant != nil || !errors.Is(err, sessions.ErrGrant) || errors.Is(err, sessions.ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.refresh(inCookie.RefreshToken, victim, event.Refreshed) // nothing happened to them
	w.refresh(plain.RefreshToken, victim, event.Refreshed)
}
