package sessions_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/event"
	"authsidecar/sessions/pebblestore"
)

// A lister counts how often a store is asked for a page.
type lister struct {
	*pebblestore.Store
	pages int
}

func (l *lister) List(ctx context.Context, query sessions.Query) (sessions.Page, error) {
	l.pages++
	return l.Store.List(ctx, query)
}

// onDisk moves the world to a store for many sessions.
func (w *world) onDisk() *lister {
	w.t.Helper()
	store, err := pebblestore.Open(pebblestore.Options{Dir: filepath.Join(w.t.TempDir(), "store"), Now: func() time.Time { return w.now }})
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, store.Close()) })
	l := &lister{Store: store}
	w.use(l)
	return l
}

// copies puts n copies of the session into the store, a millisecond older each.
func (w *world) copies(g *sessions.Grant, n int) {
	w.t.Helper()
	const writers = 64
	var all sync.WaitGroup
	for first := range writers {
		all.Go(func() {
			for i := first; i < n; i += writers {
				row := g.Session
				row.ID = fmt.Sprintf("%s-%05d", row.UserID, i)
				row.CreatedAt = row.CreatedAt.Add(-time.Duration(i+1) * time.Millisecond)
				if _, created, _, err := w.manager.Store.Create(w.t.Context(), row); err != nil || !created {
					w.t.Errorf("created %t: %v", created, err)
				}
			}
		})
	}
	all.Wait()
}

// Sessions that are not the caller's to end, however many are in the way, hold him up
// and do not stop him: each request reads a bounded part, and the next goes on there.
func TestRevokeAll_GoesOnPastWhatIsNotHis(t *testing.T) {
	w := managed(t)
	store := w.onDisk()
	desk, robot := scoped("carol", "desk"), service("robot", "bob")
	w.copies(w.create(desk, "bob"), 1500) // with the one that they are copies of
	w.now = w.now.Add(time.Minute)
	w.copies(w.create(desk, "alice"), 20_000)
	all := sessions.Filter{Impersonations: true}
	for _, dryRun := range []bool{true, false} {
		total, cursor := 0, ""
		for step := 1; ; step++ {
			store.pages = 0
			got, err := w.manager.RevokeAll(t.Context(), w.rights(robot), all, cursor, dryRun)
			must(t, err)
			if got.Revoked > 1000 || store.pages > 200 {
				t.Errorf("step %d: %d ended of %d pages", step, got.Revoked, store.pages)
			}
			if step == 1 && (got.Revoked != 0 || !got.More) {
				t.Fatalf("the first step got through: %+v; nothing is tested", got)
			}
			total += got.Revoked
			if got.More != (got.Next != "") {
				t.Errorf("step %d: more %t, cursor %q", step, got.More, got.Next)
			}
			if cursor = got.Next; cursor == "" {
				break
			}
			if strings.Contains(cursor, "alice") || step > 10 {
				t.Fatalf("step %d: cursor %q", step, cursor)
			}
		}
		if total != 1501 {
			t.Errorf("dry run %t: %d of 1501", dryRun, total)
		}
	}
	if n := len(w.events); w.last().Kind != event.Revoked || w.last().By != robot.Principal {
		t.Errorf("the last of %d events is %+v", n, w.last())
	}
	if ids, _ := w.listed(robot, sessions.Filter{User: "bob"}, 100); len(ids) != 0 {
		t.Errorf("%d are left", len(ids))
	}
	if len(w.cutoffs()) != 0 {
		t.Error("a cutoff was made")
	}
}

func TestRevokeAll_CursorsOfAnythingElseEndNothing(t *testing.T) {
	w := managed(t)
	desk, robot, admin := scoped("carol", "desk"), service("robot", "bob"), service("boss", "admin")
	w.many(desk, "bob", 5)
	all := sessions.Filter{Impersonations: true}
	page, err := w.manager.List(t.Context(), w.rights(robot), sessions.Filter{User: "bob"}, "", 2)
	must(t, err)
	same, err := w.manager.List(t.Context(), w.rights(admin), all, "", 2)
	must(t, err)
	for _, c := range []struct {
		name   string
		by     *sessions.Caller
		filter sessions.Filter
		cursor string
	}{
		{"none at all", robot, all, "x"},
		{"one of another filter", robot, all, page.Next},
		{"one where everything would be ended at once, also before it", admin, all, same.Next},
	} {
		got, err := w.manager.RevokeAll(t.Context(), w.rights(c.by), c.filter, c.cursor, false)
		if !errors.Is(err, sessions.ErrBadCursor) || got != (sessions.Revocation{}) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	if ids, _ := w.listed(admin, all, 100); len(ids) != 5 || len(w.cutoffs()) != 0 {
		t.Errorf("%d of 5 are left, %d cutoffs", len(ids), len(w.cutoffs()))
	}
}

// Who asks again, until there is no more, is done with the second time: a cutoff ended
// the rest, and nobody reads it all to find that out.
func TestRevokeAll_AgainUnderItsCutoff(t *testing.T) {
	w := managed(t)
	store := w.onDisk()
	alice := person("alice", nil)
	w.copies(w.create(alice, "alice"), 3000)
	for _, c := range []struct {
		name  string
		by    *sessions.Caller
		f     sessions.Filter
		want  sessions.Revocation
		pages int
	}{
		{"first", alice, sessions.Filter{User: "alice"}, sessions.Revocation{Revoked: 100, More: true}, 1},
		{"again", alice, sessions.Filter{User: "alice"}, sessions.Revocation{}, 1},
		{"of a part of it", alice, sessions.Filter{User: "alice", Impersonations: true}, sessions.Revocation{}, 1},
		{"by a manager", service("boss", "admin"), sessions.Filter{User: "alice"}, sessions.Revocation{}, 1},
	} {
		store.pages = 0
		got, err := w.manager.RevokeAll(t.Context(), w.rights(c.by), c.f, "", false)
		must(t, err)
		if got != c.want || store.pages > c.pages {
			t.Errorf("%s: %+v of %d pages, want %+v", c.name, got, store.pages, c.want)
		}
	}
	w.now = w.now.Add(time.Second)
	w.create(alice, "alice")
	if got := w.revokeAll(alice, sessions.Filter{User: "alice"}, false); got != (sessions.Revocation{Revoked: 1}) {
		t.Errorf("one that came later: %+v", got)
	}
	// What is wider than the cutoff is not over with it.
	imp := w.create(scoped("carol", "desk"), "bob")
	if got := w.revokeAll(service("boss", "admin"), sessions.Filter{Impersonations: true}, false); got.Revoked != 1 {
		t.Errorf("of all: %+v", got)
	}
	w.over(imp, alice)
}

// Who is a user and impersonates others finds both among all impersonations, in one
// order, each once, whatever comes meanwhile; and ends both.
func TestList_ImpersonationsOfAndByTheCaller(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 7, 100} {
		t.Run(fmt.Sprint("pages of ", limit), func(t *testing.T) {
			w := managed(t)
			w.manager.Manage = w.manager.Manage[:1] // no rule looks at sessions
			carol, dave := scoped("carol", "desk"), scoped("dave", "desk")
			var want []*sessions.Grant
			for i := range 24 {
				switch {
				case i%3 == 0:
					want = append(want, w.create(carol, "alice")) // by her
				case i%5 == 1:
					want = append(want, w.create(dave, "carol")) // of her
				case i%4 == 2:
					w.create(dave, "alice") // neither
				default:
					w.create(carol, "carol") // her own
				}
				if i%2 == 0 { // two at the same time
					w.now = w.now.Add(time.Millisecond)
				}
			}
			slices.SortFunc(want, func(a, b *sessions.Grant) int {
				return cmp.Or(b.Session.CreatedAt.Compare(a.Session.CreatedAt), cmp.Compare(b.Session.ID, a.Session.ID))
			})
			filter := sessions.Filter{Impersonations: true}
			var got []string
			for cursor := ""; ; {
				page, err := w.manager.List(t.Context(), w.rights(carol), filter, cursor, limit)
				must(t, err)
				for i := range page.Sessions {
					got = append(got, page.Sessions[i].ID)
				}
				if cursor = page.Next; cursor == "" {
					break
				}
				w.now = w.now.Add(time.Millisecond)
				w.create(carol, "bob") // newer than all: it is on no later page
				if len(got) > 100 {
					t.Fatal("paging does not end")
				}
			}
			wanted := make([]string, len(want))
			for i, g := range want {
				wanted[i] = g.Session.ID
			}
			if !slices.Equal(got, wanted) {
				t.Errorf("listed are\n%v, not\n%v", got, wanted)
			}
			ids, _ := w.listed(carol, filter, limit)
			if done := w.revokeAll(carol, filter, false); done != (sessions.Revocation{Revoked: len(ids)}) {
				t.Errorf("%+v of %d", done, len(ids))
			}
			w.wantListed(carol, filter)
			if n := w.ended(want); n != len(want) {
				t.Errorf("%d of %d are ended", n, len(want))
			}
			if others, _ := w.listed(service("boss", "admin"), filter, 100); len(others) == 0 {
				t.Error("others' are ended too")
			}
		})
	}
}

// A cursor of a merged listing is of that listing.
func TestList_AMergedCursorIsNoOther(t *testing.T) {
	w := managed(t)
	w.manager.Manage = w.manager.Manage[:1]
	carol := scoped("carol", "desk")
	w.many(carol, "alice", 4)
	w.many(scoped("dave", "desk"), "carol", 4)
	merged, err := w.manager.List(t.Context(), w.rights(carol), sessions.Filter{Impersonations: true}, "", 2)
	must(t, err)
	single, err := w.manager.List(t.Context(), w.rights(carol), sessions.Filter{User: "carol"}, "", 2)
	must(t, err)
	for filter, cursor := range map[sessions.Filter]string{{User: "carol"}: merged.Next, {Impersonations: true}: single.Next} {
		if page, err := w.manager.List(t.Context(), w.rights(carol), filter, cursor, 2); !errors.Is(err, sessions.ErrBadCursor) || len(page.Sessions) > 0 {
			t.Errorf("%+v: %d sessions, %v", filter, len(page.Sessions), err)
		}
	}
}
