package storetest

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
	"authsidecar/sessions/revocation"
)

// revocations returns the store as a revocation.Store.
func (s *suite) revocations() revocation.Store {
	s.Helper()
	return part[revocation.Store](s)
}

// wantRevoked expects exactly these to be reported.
func (s *suite) wantRevoked(since time.Time, want map[sessions.Key]time.Time) {
	s.Helper()
	got := make(map[sessions.Key]time.Time)
	s.must(s.revocations().Revoked(s.Context(), since, func(key sessions.Key, at time.Time) { got[key] = at.UTC() }))
	if !maps.Equal(got, want) {
		s.Errorf("reported are %v, not %v", got, want)
	}
}

func revocationsAreReported(s *suite) {
	begin := s.store.Now()
	s.wantRevoked(begin, nil)
	want := make(map[sessions.Key]time.Time)
	for i, realm := range append([]string{realm, realm + "/", ""}, hostile...) {
		for _, id := range []string{"ended", hostile[i%len(hostile)]} {
			row := s.session(id, "alice")
			row.Realm = realm
			if i%2 == 1 {
				row.Impersonation = true
			}
			if _, known := want[row.Key()]; known {
				continue
			}
			s.create(row)
			s.clock.Advance(time.Millisecond)
			s.revoke(row.Key())
			want[row.Key()] = s.store.Now()
			live := row
			live.ID = "live " + id
			s.create(live)
		}
	}
	s.wantRevoked(begin, want)
	for key := range want {
		// A later write leaves the time unchanged.
		s.update(key, func(row *sessions.Session) { row.RotatedFrom = "192.0.2.1" })
	}
	s.wantRevoked(begin, want)
}

// revokedSince asks for each time.
func revokedSince(s *suite) {
	begin := s.store.Now().Add(-time.Hour)
	want := make(map[sessions.Key]time.Time)
	for i := range 5 {
		row := s.create(s.session(fmt.Sprint(i), "alice"))
		s.clock.Advance(100 * time.Millisecond)
		s.revoke(row.Key())
		want[row.Key()] = s.store.Now()
	}
	s.wantRevoked(begin, want)
	for _, at := range slices.SortedFunc(maps.Values(want), time.Time.Compare) {
		s.wantRevoked(at, want)
		maps.DeleteFunc(want, func(_ sessions.Key, ended time.Time) bool { return !ended.After(at) })
		s.wantRevoked(at.Add(time.Microsecond), want)
		s.wantRevoked(at.Add(time.Millisecond), want)
	}
}

// revokedMemory sweeps continually, so that the rows are gone long before.
func revokedMemory(s *suite) {
	want := make(map[sessions.Key]time.Time)
	for i := range 20 {
		for j := range 3 {
			row := s.session(fmt.Sprint(i, "/", j), "alice")
			row.Idle = time.Minute
			s.create(row)
			s.revoke(row.Key())
			want[row.Key()] = s.store.Now()
		}
		s.clock.Advance(15 * time.Minute)
		s.sweep(1000)
		since := s.store.Now().Add(-revocation.Retention)
		maps.DeleteFunc(want, func(_ sessions.Key, at time.Time) bool { return at.Before(since) })
		s.wantRevoked(since, want)
	}
	s.clock.Advance(revocation.Retention)
	s.sweep(1000)
	s.wantRevoked(s.store.Now().Add(-revocation.Retention+time.Millisecond), nil)
}

// revokedCopied: copying a store creates rows that are already revoked.
func revokedCopied(s *suite) {
	row := s.session("copied", "alice")
	row.RevokedAt, row.EndReason = s.store.Now().Add(-time.Minute), sessions.EndRevoked
	s.create(row)
	s.wantRevoked(s.store.Now().Add(-time.Hour), map[sessions.Key]time.Time{row.Key(): row.RevokedAt})
	s.wantRevoked(s.store.Now(), nil)
}

// sweepReports expects each row once, with realm and id, and already deleted.
func sweepReports(s *suite) {
	want := make(map[sessions.Key]bool)
	for i := range 40 {
		row := s.session(fmt.Sprint(i), "alice")
		if i%2 == 0 {
			row.Realm = "other"
		}
		if i%3 == 0 {
			row.Impersonation = true
		}
		s.create(row)
		if i%5 == 0 {
			s.revoke(row.Key())
			continue
		}
		want[row.Key()] = true
	}
	later := s.session("later", "alice")
	later.Idle = 20 * time.Hour
	s.create(later)
	s.clock.Advance(3 * time.Hour)
	reported := make(map[sessions.Key]bool)
	for range 10 {
		_, err := s.store.Sweep(s.Context(), 7, func(row *sessions.Session) {
			if reported[row.Key()] {
				s.Errorf("%v is reported twice", row.Key())
			}
			reported[row.Key()] = true
			s.wantAbsent(row.Key())
		})
		s.must(err)
	}
	if !reflect.DeepEqual(reported, want) {
		s.Errorf("reported are %v, not %v", reported, want)
	}
	s.get(later.Key())
}

// everyExtra calls the methods of all optional interfaces, and returns the errors.
func (s *suite) everyExtra(ctx context.Context) map[string]error {
	all := make(map[string]error)
	if store, ok := sessions.As[revocation.Store](s.store); ok {
		all["Revoked"] = store.Revoked(ctx, Epoch, func(sessions.Key, time.Time) {})
		_, all["AddCutoff"] = store.AddCutoff(ctx, s.cutoff("another"))
		all["RemoveCutoff"] = store.RemoveCutoff(ctx, s.cutoff("one"))
		found, err := store.Cutoffs(ctx, realm)
		if all["Cutoffs"] = err; err != nil && len(found) > 0 {
			s.Errorf("%d cutoffs came with %v", len(found), err)
		}
	}
	if store, ok := sessions.As[logout.Store](s.store); ok {
		all["Named"] = store.Named(ctx, realm, "name", func([]sessions.Session) error { return nil })
		all["Mark"] = store.Mark(ctx, realm, []logout.Mark{{Name: "name", At: Epoch, Until: Epoch}})
		all["EachMark"] = store.EachMark(ctx, realm, func([]logout.Mark) error { return nil })
		_, all["Marks"] = store.Marks(ctx, realm, []string{"name"})
	}
	if store, ok := sessions.As[sessions.AdminStore](s.store); ok {
		all["Ping"] = store.Ping(ctx)
		_, all["Scan"] = store.Scan(ctx, "", 1)
		_, all["Realms"] = store.Realms(ctx)
	}
	return all
}
