package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"time"

	"authsidecar/sessions"
)

// must stops the check at an error.
func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// check is must for other goroutines than that of the test.
func (s *suite) check(err error) {
	s.Helper()
	if err != nil {
		s.Error(err)
	}
}

// create stores a row that is not there.
func (s *suite) create(row sessions.Session) sessions.Session {
	s.Helper()
	stored, created, _, err := s.store.Create(s.Context(), row)
	s.must(err)
	if !created {
		s.Fatalf("%q existed", row.ID)
	}
	return stored
}

func (s *suite) get(key sessions.Key) sessions.Session {
	s.Helper()
	row, err := s.store.Get(s.Context(), key)
	if err != nil {
		s.Fatalf("getting %q: %v", key.ID, err)
	}
	return row
}

func (s *suite) update(key sessions.Key, change func(*sessions.Session)) sessions.Session {
	s.Helper()
	row, err := s.store.Update(s.Context(), key, func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
		change(&row)
		return row, true
	})
	s.check(err)
	return row
}

func (s *suite) revoke(key sessions.Key) {
	s.Helper()
	s.update(key, func(row *sessions.Session) {
		row.RevokedAt, row.EndReason = s.store.Now(), sessions.EndRevoked
	})
}

// list returns the ids of all pages.
func (s *suite) list(query sessions.Query) []string {
	s.Helper()
	ids := []string{}
	for _, row := range s.rows(query) {
		ids = append(ids, row.ID)
	}
	return ids
}

// rows returns all pages.
func (s *suite) rows(query sessions.Query) []sessions.Session {
	s.Helper()
	query.Limit = cmp.Or(query.Limit, 3)
	return s.pages(query.Limit, func(cursor string) (sessions.Page, error) {
		query.Cursor = cursor
		return s.store.List(s.Context(), query)
	})
}

// pages returns the rows of all pages that next reads, which have at most limit rows each.
func (s *suite) pages(limit int, next func(cursor string) (sessions.Page, error)) (rows []sessions.Session) {
	s.Helper()
	cursor := ""
	for range 1000 {
		page, err := next(cursor)
		s.must(err)
		if len(page.Sessions) > limit {
			s.Fatalf("page has %d rows, of at most %d", len(page.Sessions), limit)
		}
		rows = append(rows, page.Sessions...)
		if cursor = page.Next; cursor == "" {
			return rows
		}
	}
	s.Fatal("paging does not end")
	return nil
}

func (s *suite) wantList(query sessions.Query, want ...string) {
	s.Helper()
	if got := s.list(query); !equal(got, want) {
		s.Errorf("%s lists %q, not %q", show(query), got, want)
	}
}

func (s *suite) wantAbsent(key sessions.Key) {
	s.Helper()
	if _, err := s.store.Get(s.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
		s.Errorf("getting %q: %v, not ErrNotFound", key.ID, err)
	}
}

func (s *suite) wantRow(got, want sessions.Session) {
	s.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			s.Errorf("%s is %#v, not %#v", g.Type().Field(i).Name, a, b)
		}
	}
}

func (s *suite) sweep(limit int) int {
	s.Helper()
	n, err := s.store.Sweep(s.Context(), limit, nil)
	s.must(err)
	return n
}

// wantSwept sweeps, and expects that n rows are deleted.
func (s *suite) wantSwept(n int) {
	s.Helper()
	if got := s.sweep(1000); got != n {
		s.Errorf("swept %d rows, not %d, at %v", got, n, s.store.Now())
	}
}

// close closes the store.
func (s *suite) close() {
	s.must(part[io.Closer](s).Close())
}

// part returns the store as a T, which it implements.
func part[T any](s *suite) T {
	s.Helper()
	store, ok := sessions.As[T](s.store)
	if !ok {
		s.Fatalf("%T does not implement %T", s.store, (*T)(nil))
	}
	return store
}

// wantErrors calls everything, and expects that each call fails with all of these.
func (s *suite) wantErrors(ctx context.Context, key sessions.Key, want ...error) {
	s.Helper()
	for name, err := range s.everything(ctx, key) {
		for _, w := range want {
			if !errors.Is(err, w) {
				s.Errorf("%s: %v, not %v", name, err, w)
			}
		}
	}
}

// Together runs n functions at once and waits for them.
func Together(n int, do func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	all.Wait()
}

func equal(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}

func show(q sessions.Query) string {
	text := fmt.Sprintf("realm %q user %q", q.Realm, q.User)
	if q.Actor != nil {
		text += fmt.Sprintf(" actor %q", q.Actor.Subject)
	}
	if q.Impersonations != nil {
		text += fmt.Sprintf(" impersonations %t", *q.Impersonations)
	}
	return text
}
