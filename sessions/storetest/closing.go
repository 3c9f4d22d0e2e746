package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"authsidecar/sessions"
)

func cancelled(s *suite) {
	row := s.create(s.session("one", "alice"))
	kept := s.cutoff("one")
	if Revocation.has(s.store) {
		s.addCutoff(kept)
	}
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	s.wantErrors(ctx, row.Key(), sessions.ErrUnavailable, context.Canceled)
	if Revocation.has(s.store) {
		s.wantCutoffs(realm, kept)
	}
	s.wantRow(s.get(row.Key()), row)
	s.wantAbsent(sessions.Key{Realm: realm, ID: "another"})
}

func closed(s *suite) {
	row := s.create(s.session("one", "alice"))
	s.close()
	s.wantErrors(s.Context(), row.Key(), sessions.ErrClosed, sessions.ErrUnavailable)
	if !s.store.Now().Equal(Epoch) {
		s.Error("a closed store has no clock")
	}
	s.close()
}

// closeWithin is for how long calls may go on while a store is being closed, and only bounds
// how long a broken one is waited for.
const closeWithin = 30 * time.Second

func closedUnderLoad(s *suite) {
	row := s.create(s.session("one", "alice"))
	ctx, cancel := context.WithTimeout(s.Context(), closeWithin)
	defer cancel()
	var acknowledged, stopped atomic.Int32
	var closed atomic.Bool
	Together(17, func(i int) {
		if i == 16 {
			defer closed.Store(true)
			for acknowledged.Load() < 20 && stopped.Load() == 0 {
				_ = s.get(row.Key())
			}
			s.close()
			return
		}
		for again := true; again; acknowledged.Add(1) {
			again = s.callWhileOpen(ctx, row.Key(), &closed)
		}
		stopped.Add(1)
	})
}

// callWhileOpen calls every method, and reports whether the store may still be open: all did
// what they should. Once it is closed none may.
func (s *suite) callWhileOpen(ctx context.Context, key sessions.Key, closed *atomic.Bool) bool {
	late := closed.Load()
	for name, err := range s.everything(s.Context(), key) {
		switch {
		case errors.Is(err, sessions.ErrClosed):
			return false
		case err != nil:
			s.Errorf("%s: %v", name, err)
			return false
		}
	}
	switch {
	case late:
		s.Error("calls go on after Close: none fails with ErrClosed")
	case ctx.Err() != nil:
		s.Errorf("calls go on for %v while Close waits: none fails with ErrClosed", closeWithin)
	default:
		return true
	}
	return false
}

// everything calls each method that takes a context, and returns the errors.
func (s *suite) everything(ctx context.Context, key sessions.Key) map[string]error {
	row := s.session("another", "alice")
	_, _, _, create := s.store.Create(ctx, row)
	_, get := s.store.Get(ctx, key)
	_, update := s.store.Update(ctx, key, func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
		row.Generation++
		return row, true
	})
	_, list := s.store.List(ctx, sessions.Query{Realm: realm, User: "alice", Limit: 1})
	_, sweep := s.store.Sweep(ctx, 1, nil)
	all := map[string]error{"Create": create, "Get": get, "Update": update, "List": list, "Sweep": sweep}
	maps.Copy(all, s.everyExtra(ctx))
	return all
}

// hostile are texts that a store may confuse.
var hostile = []string{
	"a", "ab", "a\x00", "a\x00b", "\x00", "a/", "a/b", "/", "a:b", "a%", "%00", "\xff", "a\xff", "\xff\xfe", "A", "a ", " ",
	"{a}", "a\nb", "ä", "a\u0308", "..", "*", "a*", "[a]", "\\", "'", strings.Repeat("x", 255), strings.Repeat("x", 254),
}

func hostileText(s *suite) {
	for _, id := range hostile {
		s.create(s.session(id, "of many"))
	}
	for i, user := range hostile {
		row := s.impersonation(fmt.Sprint("of user ", i), "u", "u")
		// JSON has no other bytes than UTF-8: keys may hold any, rows do not.
		row.UserID, row.Actor.Subject = strings.ToValidUTF8(user, "?"), strings.ToValidUTF8(user, "?")
		s.create(row)
		row.Realm = "realm " + user
		s.create(row)
	}
	for _, id := range hostile {
		if row := s.get(sessions.Key{Realm: realm, ID: id}); row.ID != id {
			s.Errorf("%q is %q", id, row.ID)
		}
	}
	if got := len(s.list(sessions.Query{Realm: realm, User: "of many"})); got != len(hostile) {
		s.Errorf("%d of %d ids are listed", got, len(hostile))
	}
	for i, text := range hostile {
		if strings.ToValidUTF8(text, "?") != text {
			continue
		}
		id := fmt.Sprint("of user ", i)
		actor := idp(text)
		s.wantList(sessions.Query{Realm: realm, User: text}, id)
		s.wantList(sessions.Query{Realm: realm, Actor: actor}, id)
		s.wantList(sessions.Query{Realm: "realm " + text, Impersonations: yes}, id)
		split := &sessions.Principal{Issuer: actor.Issuer + text, Subject: ""}
		s.wantList(sessions.Query{Realm: realm, Actor: split})
	}
}
