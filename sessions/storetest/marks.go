package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
)

func (s *suite) mark(name string, at, until time.Duration) {
	s.Helper()
	s.must(part[logout.Store](s).Mark(s.Context(), realm, []logout.Mark{{Name: name, At: Epoch.Add(at), Until: Epoch.Add(until)}}))
}

func (s *suite) marks(realm string, names ...string) []logout.Mark {
	s.Helper()
	marks, err := part[logout.Store](s).Marks(s.Context(), realm, names)
	s.must(err)
	return marks
}

// wantMark expects the one mark of a name.
func (s *suite) wantMark(name string, at, until time.Duration) {
	s.Helper()
	want := []logout.Mark{{Name: name, At: Epoch.Add(at), Until: Epoch.Add(until)}}
	if got := s.marks(realm, "absent", name); !slices.Equal(got, want) {
		s.Errorf("marks are %v, not %v", got, want)
	}
}

func marksMerge(s *suite) {
	s.mark("a", -time.Minute, time.Hour)
	s.wantMark("a", -time.Minute, time.Hour)
	s.mark("a", -2*time.Minute, 2*time.Hour)
	s.wantMark("a", -time.Minute, 2*time.Hour)
	s.mark("a", 0, time.Hour)
	s.wantMark("a", 0, 2*time.Hour)
	s.mark("b", -time.Hour, time.Hour)
	s.wantMark("b", -time.Hour, time.Hour)
	if got := s.marks(realm, "a", "b"); len(got) != 2 {
		s.Errorf("two names have %v", got)
	}
	if got := s.marks(realm); len(got) != 0 {
		s.Errorf("no names have %v", got)
	}
}

func marksOfRealms(s *suite) {
	s.mark("a", 0, time.Hour)
	if got := s.marks("https://other.example.com", "a"); len(got) != 0 {
		s.Errorf("another realm has %v", got)
	}
}

// eachMark reads all marks of a realm, page by page.
func (s *suite) eachMark(realm string) (all []logout.Mark) {
	s.Helper()
	s.must(part[logout.Store](s).EachMark(s.Context(), realm, func(page []logout.Mark) error {
		if len(page) > logout.MaxRows {
			s.Errorf("%d marks at a time", len(page))
		}
		all = append(all, page...)
		return nil
	}))
	slices.SortFunc(all, func(a, b logout.Mark) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func marksEach(s *suite) {
	var want []logout.Mark
	for i := range 2*logout.MaxRows + 1 {
		want = append(want, logout.Mark{Name: fmt.Sprintf("mark-%04d", i), At: Epoch.Add(-time.Minute), Until: Epoch.Add(time.Hour)})
	}
	store := part[logout.Store](s)
	s.must(store.Mark(s.Context(), realm, want))
	s.mark("mark-0007", 0, 2*time.Hour) // prolonged
	want[7] = logout.Mark{Name: "mark-0007", At: Epoch, Until: Epoch.Add(2 * time.Hour)}
	s.must(store.Mark(s.Context(), "https://other.example.com", []logout.Mark{{Name: "other", At: Epoch, Until: Epoch.Add(time.Hour)}}))
	if got := s.eachMark(realm); !slices.Equal(got, want) {
		s.Errorf("%d marks are given, not %d", len(got), len(want))
	}
	errEnough := errors.New("enough")
	if err := store.EachMark(s.Context(), realm, func([]logout.Mark) error { return errEnough }); err != errEnough { //nolint:errorlint // it is returned as it is
		s.Errorf("an error of who asks comes back as %v", err)
	}
	s.clock.Advance(time.Hour)
	for range 2 {
		if got := s.eachMark(realm); !slices.Equal(got, want[7:8]) {
			s.Errorf("after the others are over there are %v", got)
		}
		s.sweep(10)
	}
}

func marksAreOfRealms(s *suite) {
	for _, realm := range hostile {
		s.must(part[logout.Store](s).Mark(s.Context(), realm, []logout.Mark{{Name: "a", At: Epoch, Until: Epoch.Add(time.Hour)}}))
	}
	s.wantRealms(slices.Clone(hostile)...)
}

func marksOver(s *suite) {
	s.mark("a", 0, time.Hour)
	s.mark("long", 0, time.Hour)
	s.mark("long", 0, 3*time.Hour)
	s.clock.Advance(time.Hour - time.Millisecond)
	s.wantMark("a", 0, time.Hour)
	for range 2 {
		s.clock.Advance(time.Millisecond)
		s.sweep(1)
		s.sweep(10)
		if got := s.marks(realm, "a"); len(got) != 0 {
			s.Errorf("a mark that is over: %v", got)
		}
		s.wantMark("long", 0, 3*time.Hour)
	}
	s.mark("a", 0, 2*time.Hour)
	s.wantMark("a", 0, 2*time.Hour)
}

// logoutContended begins sessions while somebody is logged out: whose row was not found has
// seen the mark.
func logoutContended(s *suite) {
	const workers = 8
	store := part[logout.Store](s)
	for round := range 10 {
		sid := fmt.Sprint("sid-", round)
		probe := tokenOf(s.session("probe", "alice"), sid, "")
		var mu sync.Mutex
		unseen := make(map[string]bool) // that saw no mark
		var found []sessions.Session
		Together(workers+1, func(i int) {
			if i == workers {
				s.check(store.Mark(s.Context(), realm, []logout.Mark{{Name: sid, At: Epoch, Until: Epoch.Add(time.Hour)}}))
				s.check(store.Named(s.Context(), realm, sidName(&probe), func(page []sessions.Session) error {
					found = append(found, page...)
					return nil
				}))
				return
			}
			row := tokenOf(s.session(fmt.Sprintf("%s-%d", sid, i), "alice"), sid, "")
			_, _, _, err := s.store.Create(s.Context(), row)
			s.check(err)
			marks, err := store.Marks(s.Context(), realm, []string{sid})
			s.check(err)
			mu.Lock()
			defer mu.Unlock()
			unseen[row.ID] = len(marks) == 0
		})
		for i := range found {
			delete(unseen, found[i].ID)
		}
		for id, missed := range unseen {
			if missed {
				s.Errorf("%s was not found by the logout, and saw no mark", id)
			}
		}
	}
}
