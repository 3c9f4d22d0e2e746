package storetest

import (
	"fmt"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// begin creates a session that begins now: the store sets its times.
func (s *suite) begin(row sessions.Session) sessions.Session {
	s.Helper()
	stored := s.create(unbegun(row))
	s.wantRow(s.get(row.Key()), stored)
	return stored
}

// unbegun returns the row as it is before it begins.
func unbegun(row sessions.Session) sessions.Session {
	life := row.ExpiresAt.Sub(row.CreatedAt)
	row.CreatedAt, row.RotatedAt, row.ExpiresAt = time.Time{}, time.Time{}, time.Time{}.Add(life)
	return row
}

// cutoffNow adds a cutoff now.
func (s *suite) cutoffNow(id string, f sessions.Filter) revocation.Cutoff {
	s.Helper()
	return s.addCutoff(revocation.Cutoff{ID: id, Realm: realm, Filter: f})
}

// wantOrder expects that the cutoff is between the two sessions.
func (s *suite) wantOrder(before sessions.Session, c revocation.Cutoff, after sessions.Session) {
	s.Helper()
	if before.CreatedAt.After(c.At) {
		s.Errorf("%q began at %v, after the cutoff at %v that came later", before.ID, before.CreatedAt, c.At)
	}
	if !after.CreatedAt.After(c.At) {
		s.Errorf("%q began at %v, not after the cutoff at %v that came before", after.ID, after.CreatedAt, c.At)
	}
}

// beginsNow expects the store's times, whatever those of the row were.
func beginsNow(s *suite) {
	s.clock.Advance(time.Hour)
	now := s.store.Now()
	for i, want := range []sessions.Session{s.session("own", "alice"), s.impersonation("imp", "alice", "support")} {
		want.ExpiresAt, want.Idle = now.Add(7*time.Hour), 2*time.Hour
		got := s.begin(want)
		s.wantRow(got, want)
		again, created, _, err := s.store.Create(s.Context(), unbegun(want))
		s.must(err)
		if created {
			s.Errorf("session %d began again", i)
		}
		s.wantRow(again, want)
	}
	for _, row := range s.rows(sessions.Query{Realm: realm, User: "alice"}) {
		s.wantRow(row, s.get(row.Key()))
	}
	s.clock.Advance(2*time.Hour - time.Millisecond)
	s.wantSwept(0)
	s.clock.Advance(time.Millisecond)
	if n := s.sweep(10); n < 2 {
		s.Errorf("swept %d that were due", n)
	}
}

// orders returns filters, each with a session that it selects.
func (s *suite) orders() map[string]struct {
	filter sessions.Filter
	row    sessions.Session
} {
	desk := idp("desk")
	return map[string]struct {
		filter sessions.Filter
		row    sessions.Session
	}{
		"user":            {sessions.Filter{User: "alice"}, s.session("", "alice")},
		"impersonated":    {sessions.Filter{User: "bob"}, s.impersonation("", "bob", "carol")},
		"actor":           {sessions.Filter{Actor: desk}, s.impersonation("", "dave", "desk")},
		"user and actor":  {sessions.Filter{User: "erin", Actor: desk}, s.impersonation("", "erin", "desk")},
		"impersonations":  {sessions.Filter{Impersonations: true}, s.impersonation("", "frank", "carol")},
		"user and kind":   {sessions.Filter{User: "grace", Impersonations: true}, s.impersonation("", "grace", "carol")},
		"all that it can": {sessions.Filter{User: "heidi", Actor: desk, Impersonations: true}, s.impersonation("", "heidi", "desk")},
	}
}

// play alternates sessions and cutoffs, and moves the clock in between.
func (s *suite) play(pass func()) {
	s.Helper()
	for name, of := range s.orders() {
		of.row.ID = name
		last := s.begin(of.row)
		for i := range 20 {
			pass()
			c := s.cutoffNow(fmt.Sprint(name, i), of.filter)
			pass()
			of.row.ID = fmt.Sprint(name, i)
			next := s.begin(of.row)
			s.wantOrder(last, c, next)
			last = next
		}
	}
}

func orderInOneMillisecond(s *suite) { s.play(func() {}) }

// orderWhileTheClockIsSetBack: a failover leads to another clock, or somebody sets the clock back.
func orderWhileTheClockIsSetBack(s *suite) {
	back := []time.Duration{-time.Hour, 20 * time.Minute, -40 * time.Second, time.Millisecond, -time.Millisecond}
	i := 0
	s.play(func() {
		s.clock.Advance(back[i%len(back)])
		i++
	})
}

// orderOfManyCutoffs: what follows many cutoffs is after all of them, and consecutive cutoffs need
// no time of their own.
func orderOfManyCutoffs(s *suite) {
	began := s.begin(s.session("first", "alice"))
	var all []revocation.Cutoff
	for i := range 30 {
		all = append(all, s.cutoffNow(fmt.Sprint(i), sessions.Filter{User: fmt.Sprint("user ", i%3)}))
	}
	after := s.begin(s.session("last", "alice"))
	for _, c := range all {
		s.wantOrder(began, c, after)
	}
	if late := after.CreatedAt.Sub(began.CreatedAt); late > 5*time.Millisecond {
		s.Errorf("30 cutoffs moved the next session by %v", late)
	}
	s.wantCutoffs("another realm")
}

// orderOfCopies: what was copied from another store may have times of another clock.
func orderOfCopies(s *suite) {
	for _, ahead := range []time.Duration{-time.Hour, 0, time.Hour} {
		copied := s.session(fmt.Sprint("copied ", ahead), "alice")
		copied.CreatedAt = copied.CreatedAt.Add(ahead)
		s.wantRow(s.create(copied), copied)
		at := s.cutoffNow(fmt.Sprint("cut ", ahead), sessions.Filter{User: "alice"})
		s.wantOrder(copied, at, s.begin(s.session(fmt.Sprint("later ", ahead), "alice")))

		c := s.cutoff(fmt.Sprint("copied ", ahead))
		c.At = c.At.Add(2 * ahead)
		if kept := s.addCutoff(c); !kept.At.Equal(c.At) {
			s.Errorf("a cutoff of %v is kept as of %v", c.At, kept.At)
		}
		s.wantOrder(sessions.Session{}, c, s.begin(s.session(fmt.Sprint("last ", ahead), "alice")))
	}
}

// orderAheadOfTheClock: a session whose position is ahead of the clock begins now all the same, and
// lives as long as any other.
func orderAheadOfTheClock(s *suite) {
	ahead := s.cutoff("ahead")
	ahead.At = ahead.At.Add(time.Hour)
	s.addCutoff(ahead)
	row := s.session("one", "alice")
	row.Idle = 30 * time.Minute
	got := s.begin(row)
	s.wantOrder(sessions.Session{}, ahead, got)
	row.CreatedAt = got.CreatedAt
	s.wantRow(got, row)
	s.clock.Advance(10 * time.Minute)
	used := s.update(row.Key(), func(row *sessions.Session) { row.RotatedAt = s.store.Now() })
	if !used.RotatedAt.Equal(s.store.Now()) {
		s.Errorf("it is used at %v, when it is %v", used.RotatedAt, s.store.Now())
	}
	s.wantRow(s.rows(sessions.Query{Realm: realm, User: "alice"})[0], used)
	s.clock.Advance(30*time.Minute - time.Millisecond)
	s.wantSwept(0)
	s.clock.Advance(time.Millisecond)
	s.wantSwept(1)
	s.wantList(sessions.Query{Realm: realm, User: "alice"})
}

// orderContended: concurrent calls may be ordered either way, but consistently with what each knew
// before.
func orderContended(s *suite) {
	store := s.revocations()
	Together(8, func(i int) {
		user := fmt.Sprint("user ", i)
		for n := range 10 {
			before, _, _, err := s.store.Create(s.Context(), unbegun(s.session(fmt.Sprint(i, " before ", n), user)))
			s.check(err)
			c, err := store.AddCutoff(s.Context(), revocation.Cutoff{ID: fmt.Sprint(i, " ", n), Realm: realm, Filter: sessions.Filter{User: user}})
			s.check(err)
			after, _, _, err := s.store.Create(s.Context(), unbegun(s.session(fmt.Sprint(i, " after ", n), user)))
			s.check(err)
			s.wantOrder(before, c, after)
		}
	})
}
