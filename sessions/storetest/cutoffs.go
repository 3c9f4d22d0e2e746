package storetest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// cutoff returns a cutoff of one of alice's sessions, now.
func (s *suite) cutoff(id string) revocation.Cutoff {
	return revocation.Cutoff{ID: id, Realm: realm, At: s.store.Now(), Filter: sessions.Filter{User: "alice"}}
}

func (s *suite) addCutoff(c revocation.Cutoff) revocation.Cutoff {
	s.Helper()
	kept, err := s.revocations().AddCutoff(s.Context(), c)
	s.must(err)
	return kept
}

func (s *suite) dropCutoff(c revocation.Cutoff) {
	s.Helper()
	s.must(s.revocations().RemoveCutoff(s.Context(), c))
}

// wantCutoffs expects exactly these cutoffs, in this order.
func (s *suite) wantCutoffs(realm string, want ...revocation.Cutoff) {
	s.Helper()
	got, err := s.revocations().Cutoffs(s.Context(), realm)
	s.must(err)
	if !slices.EqualFunc(got, want, func(a, b revocation.Cutoff) bool { return reflect.DeepEqual(a, b) }) {
		s.Errorf("%q has the cutoffs %+v, not %+v", realm, got, want)
	}
}

func cutoffsRoundTrip(s *suite) {
	s.wantCutoffs(realm)
	var want []revocation.Cutoff
	for i, filter := range []sessions.Filter{
		{User: "alice"},
		{Actor: idp("support")},
		{Actor: &sessions.Principal{Subject: "support"}},
		{Actor: &sessions.Principal{Issuer: "https://idp.example.com"}},
		{Actor: &sessions.Principal{}},
		{Impersonations: true},
		{User: "alice", Actor: idp("support"), Impersonations: true},
		{User: "alice", Impersonations: true},
	} {
		c := s.cutoff(fmt.Sprint("id-", i))
		c.Filter = filter
		s.addCutoff(c)
		want = append(want, c)
		s.clock.Advance(time.Millisecond)
	}
	s.wantCutoffs(realm, want...)
}

func cutoffsOldestFirst(s *suite) {
	now := s.store.Now()
	var want []revocation.Cutoff
	for i, off := range []time.Duration{
		-100 * 365 * 24 * time.Hour, -1, 0, time.Millisecond, 255 * time.Millisecond, 256 * time.Millisecond, time.Hour, 24 * time.Hour,
	} {
		c := s.cutoff(fmt.Sprint(9 - i)) // ids sort the other way
		if c.At = now.Add(off); off == -1 {
			c.At = now.Add(-time.Millisecond)
		}
		want = append(want, c)
	}
	for _, i := range []int{4, 0, 7, 2, 6, 1, 5, 3} {
		s.addCutoff(want[i])
	}
	s.wantCutoffs(realm, want...)
}

// Two cutoffs at the same time are both kept, in any order.
func cutoffsOfOneTime(s *suite) {
	var want []revocation.Cutoff
	for _, id := range []string{"b", "a", "ab"} {
		c := s.cutoff(id)
		c.User = "user " + id
		s.addCutoff(c)
		want = append(want, c)
	}
	s.addCutoff(want[1])
	got, err := s.revocations().Cutoffs(s.Context(), realm)
	s.must(err)
	byID := func(a, b revocation.Cutoff) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	if !reflect.DeepEqual(got, want) {
		s.Errorf("kept are %+v, not %+v", got, want)
	}
}

func cutoffsOfRealms(s *suite) {
	here, there, none := s.cutoff("same"), s.cutoff("same"), s.cutoff("same")
	there.Realm, there.User = realm+"/", "bob"
	none.Realm = ""
	s.addCutoff(here)
	s.wantCutoffs(there.Realm)
	s.addCutoff(there)
	s.wantCutoffs("")
	s.addCutoff(none)
	s.wantCutoffs(here.Realm, here)
	s.wantCutoffs(there.Realm, there)
	s.dropCutoff(here)
	s.wantCutoffs(here.Realm)
	s.wantCutoffs(there.Realm, there)
	s.wantCutoffs("", none)
}

func cutoffsDrop(s *suite) {
	s.dropCutoff(s.cutoff("nobody's"))
	first := s.cutoff("one")
	s.addCutoff(first)
	s.clock.Advance(time.Millisecond)
	second := s.cutoff("two")
	s.addCutoff(second)
	for range 2 {
		s.dropCutoff(first)
		s.wantCutoffs(realm, second)
	}
	s.addCutoff(first) // with the same name again
	s.wantCutoffs(realm, first, second)
	s.dropCutoff(first)
	s.dropCutoff(second)
	s.wantCutoffs(realm)
}

func cutoffsOfHostileText(s *suite) {
	var want []revocation.Cutoff
	for i, text := range hostile {
		c := s.cutoff(text)
		c.Filter = sessions.Filter{User: text}
		if i%2 == 1 {
			c.Filter = sessions.Filter{Actor: &sessions.Principal{Issuer: text, Subject: text}}
		}
		s.addCutoff(c)
		want = append(want, c)
		elsewhere := c
		elsewhere.Realm = "realm " + text
		s.addCutoff(elsewhere)
		s.clock.Advance(time.Millisecond)
	}
	s.wantCutoffs(realm, want...)
	for _, c := range want {
		c.Realm = "realm " + c.ID
		s.wantCutoffs(c.Realm, c)
		s.dropCutoff(c)
		s.wantCutoffs(c.Realm)
	}
	s.wantCutoffs(realm, want...)
}

// cutoffsOfAll: an empty filter would revoke every session.
func cutoffsOfAll(s *suite) {
	c := s.cutoff("everybody")
	c.Filter = sessions.Filter{}
	if _, err := s.revocations().AddCutoff(s.Context(), c); err == nil {
		s.Error("a cutoff that names nothing was kept")
	}
	s.wantCutoffs(realm)
}

func cutoffsKeepRows(s *suite) {
	row := s.create(s.session("one", "alice"))
	s.addCutoff(s.cutoff("one"))
	s.wantRow(s.get(row.Key()), row)
	s.wantList(sessions.Query{Realm: realm, User: "alice"}, "one")
	s.clock.Advance(48 * time.Hour)
	s.wantSwept(1)
	if all, err := s.revocations().Cutoffs(s.Context(), realm); err != nil || len(all) != 1 {
		s.Errorf("a sweep of rows left %d cutoffs (%v)", len(all), err)
	}
}

func cutoffsAreNotAliased(s *suite) {
	c := s.cutoff("one")
	c.Actor = idp("support")
	want := c
	want.Actor = idp("support")
	s.addCutoff(c)
	c.Actor.Subject = "spoilt"
	s.wantCutoffs(realm, want)
	all, err := s.revocations().Cutoffs(s.Context(), realm)
	s.must(err)
	all[0].Actor.Subject = "spoilt"
	s.wantCutoffs(realm, want)
}
