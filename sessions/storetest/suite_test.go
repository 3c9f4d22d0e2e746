package storetest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	Run(t, func(_ *testing.T, now func() time.Time) sessions.Store { return &Memory{Clock: now} })
}

// What the broken stores are made of is not broken by itself.
func TestTheSuiteAcceptsWhatIsNotBroken(t *testing.T) {
	Run(t, func(_ *testing.T, now func() time.Time) sessions.Store {
		m := &Memory{Clock: now}
		b := &broken{Memory: m, create: m.Create, get: m.Get, update: m.Update}
		b.list = b.listWhere(func(*sessions.Query, *sessions.Session) bool { return false })
		b.sweep = b.sweepWhere(func(row *sessions.Session, now time.Time) bool { return !row.PurgeAt().After(now) })
		return b
	})
}

// A broken store is Memory with one mistake.
type broken struct {
	*Memory
	create func(context.Context, sessions.Session) (sessions.Session, bool, int, error)
	get    func(context.Context, sessions.Key) (sessions.Session, error)
	update func(context.Context, sessions.Key, sessions.Transition) (sessions.Session, error)
	list   func(context.Context, sessions.Query) (sessions.Page, error)
	sweep  func(context.Context, int, func(*sessions.Session)) (int, error)

	count func(int) int

	cutoff func(*revocation.Cutoff) bool // what becomes of one that is added: false is forgotten
	drop   func(context.Context, revocation.Cutoff) error
	order  func([]revocation.Cutoff)

	stays bool // open, when it is closed

	extras
}

func (b *broken) AddCutoff(ctx context.Context, c revocation.Cutoff) (revocation.Cutoff, error) {
	if b.cutoff != nil && !b.cutoff(&c) {
		return c, nil
	}
	return b.Memory.AddCutoff(ctx, c)
}

func (b *broken) RemoveCutoff(ctx context.Context, c revocation.Cutoff) error {
	if b.drop != nil {
		return b.drop(ctx, c)
	}
	return b.Memory.RemoveCutoff(ctx, c)
}

func (b *broken) Cutoffs(ctx context.Context, realm string) ([]revocation.Cutoff, error) {
	all, err := b.Memory.Cutoffs(ctx, realm)
	if b.order != nil {
		b.order(all)
	}
	return all, err
}

func (b *broken) Create(ctx context.Context, row sessions.Session) (stored sessions.Session, created bool, count int, err error) {
	stored, created, count, err = b.create(ctx, row)
	if b.count != nil && created && err == nil {
		count = b.count(count)
	}
	return stored, created, count, err
}

func (b *broken) Get(ctx context.Context, key sessions.Key) (sessions.Session, error) {
	return b.get(ctx, key)
}

func (b *broken) Update(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
	return b.update(ctx, key, fn)
}

func (b *broken) List(ctx context.Context, query sessions.Query) (sessions.Page, error) {
	return b.list(ctx, query)
}

func (b *broken) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (int, error) {
	return b.sweep(ctx, limit, over)
}

// put stores a row whatever is there.
func (b *broken) put(row sessions.Session) (sessions.Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Memory.put(&row)
}

// mistakes are stores that the suite must refuse, and the check that must say
// so.
var mistakes = []struct {
	name, caught string
	make         func(*broken)
}{
	{"two may create the same session", "of many who create the same session one does", func(b *broken) {
		b.create = func(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
			if stored, err := b.Memory.Get(ctx, row.Key()); err == nil {
				return stored, false, 0, nil
			}
			runtime.Gosched()
			stored, err := b.put(row)
			return stored, true, 1, err
		}
	}},
	{"create replaces", "a session is created once", func(b *broken) {
		b.create = func(_ context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
			stored, err := b.put(row)
			return stored, true, 1, err
		}
	}},
	{"two may open the same session", "of many who open a pending session one does", func(b *broken) {
		b.update = func(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
			row, err := b.Memory.Get(ctx, key)
			if err != nil || row.Pending == nil {
				return b.Memory.Update(ctx, key, fn)
			}
			runtime.Gosched()
			next, write := fn(row, b.Now())
			if !write {
				return row, nil
			}
			return b.put(next)
		}
	}},
	{"the end of a link ends what it opened", "a pending session lives once it is opened", func(b *broken) {
		b.update = func(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
			return b.Memory.Update(ctx, key, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
				next, write := fn(row, now)
				if row.Pending != nil {
					next.ExpiresAt = row.ExpiresAt
				}
				return next, write
			})
		}
	}},
	{"an update is lost", "no update is lost", func(b *broken) {
		b.update = func(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
			row, err := b.Memory.Get(ctx, key)
			if err != nil {
				return row, err
			}
			runtime.Gosched()
			next, write := fn(row, b.Now())
			if !write {
				return row, nil
			}
			return b.put(next)
		}
	}},
	{"a refresh reads, and writes without holding the row", "refreshes at once are as if one after the other", func(b *broken) {
		b.update = func(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
			row, err := b.Memory.Get(ctx, key)
			if err != nil {
				return row, err
			}
			next, write := fn(row, b.Now())
			if !write {
				return row, nil
			}
			runtime.Gosched()
			return b.put(next)
		}
	}},
	{"a row is read from before the last update", "refreshes at once are as if one after the other", func(b *broken) {
		var stale atomic.Pointer[sessions.Session]
		b.update = func(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
			if row, err := b.Memory.Get(ctx, key); err == nil {
				stale.Store(&row)
			}
			return b.Memory.Update(ctx, key, fn)
		}
		b.get = func(ctx context.Context, key sessions.Key) (sessions.Session, error) {
			if row := stale.Load(); row != nil && row.Key() == key {
				return *row, nil
			}
			return b.Memory.Get(ctx, key)
		}
	}},
	{"what a refused refresh stores is rolled back", "refreshes at once are as if one after the other", func(b *broken) {
		b.update = func(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
			return b.Memory.Update(ctx, key, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
				next, write := fn(row, now)
				return next, write && next.EndReason != sessions.EndReuse
			})
		}
	}},
	{"a transition always writes", "a transition that does not write changes nothing", func(b *broken) {
		b.update = func(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
			return b.Memory.Update(ctx, key, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
				next, _ := fn(row, now)
				return next, true
			})
		}
	}},
	{"a field is forgotten", "each field survives a round trip", func(b *broken) {
		b.create = func(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
			row.RotatedFrom = ""
			return b.Memory.Create(ctx, row)
		}
	}},
	{"realms share keys", "the same id in two realms is two sessions", func(b *broken) {
		b.get = func(ctx context.Context, key sessions.Key) (sessions.Session, error) {
			row, err := b.Memory.Get(ctx, key)
			if err != nil {
				row, err = b.Memory.Get(ctx, sessions.Key{Realm: realm, ID: key.ID})
			}
			return row, err
		}
	}},
	{"realms share listings", "a listing stays in its realm", func(b *broken) {
		b.list = func(ctx context.Context, q sessions.Query) (sessions.Page, error) {
			page, err := b.Memory.List(ctx, q)
			q.Realm, q.Cursor = realm, ""
			more, _ := b.Memory.List(ctx, q)
			page.Sessions = append(page.Sessions, more.Sessions...)
			page.Sessions = page.Sessions[:min(q.Limit, len(page.Sessions))]
			return page, err
		}
	}},
	{"a user's listing has those of longer names", "any text is a realm, an id and a user", func(b *broken) {
		b.list = b.listWhere(func(q *sessions.Query, row *sessions.Session) bool {
			return q.User != "" && strings.HasPrefix(row.UserID, q.User)
		})
	}},
	{"the actor's issuer does not count", "a listing selects by user, actor and kind", func(b *broken) {
		b.list = b.listWhere(func(q *sessions.Query, row *sessions.Session) bool {
			return q.Actor != nil && row.Impersonation && row.Actor.Subject == q.Actor.Subject && (q.User == "" || q.User == row.UserID)
		})
	}},
	{"oldest first", "a listing is newest first, and ties go by id", func(b *broken) {
		b.list = func(ctx context.Context, q sessions.Query) (sessions.Page, error) {
			page, err := b.Memory.List(ctx, q)
			slices.Reverse(page.Sessions)
			return page, err
		}
	}},
	{"a page begins with the last row of the one before", "pages cover a listing once", func(b *broken) {
		b.list = func(ctx context.Context, q sessions.Query) (sessions.Page, error) {
			if q.Limit < 3 || q.Cursor == "" {
				return b.Memory.List(ctx, q)
			}
			after, err := readCursor(q.Cursor, queryName(&q))
			if err != nil {
				return sessions.Page{}, err
			}
			q.Limit--
			page, err := b.Memory.List(ctx, q)
			page.Sessions = append([]sessions.Session{{Realm: q.Realm, ID: after.ID, CreatedAt: after.CreatedAt}}, page.Sessions...)
			return page, err
		}
	}},
	{"revoked sessions are listed", "a revoked session leaves every listing", func(b *broken) {
		b.list = b.listWhere(func(q *sessions.Query, row *sessions.Session) bool {
			return !row.RevokedAt.IsZero() && (q.User == "" || q.User == row.UserID)
		})
	}},
	{"any cursor begins anew", "a text that is no cursor is refused", func(b *broken) {
		b.list = func(ctx context.Context, q sessions.Query) (sessions.Page, error) {
			if _, err := readCursor(q.Cursor, queryName(&q)); err != nil {
				q.Cursor = ""
			}
			return b.Memory.List(ctx, q)
		}
	}},
	{"a sweep goes by the absolute end", "a sweep deletes what is due and nothing else", func(b *broken) {
		b.sweep = b.sweepWhere(func(row *sessions.Session, now time.Time) bool { return !row.ExpiresAt.After(now) })
	}},
	{"a sweep goes by when the session was created", "a session used since is not swept", func(b *broken) {
		b.sweep = b.sweepWhere(func(row *sessions.Session, now time.Time) bool { return !row.CreatedAt.Add(row.Idle).After(now) })
	}},
	{"a sweep keeps revoked sessions", "a revoked session is swept sooner", func(b *broken) {
		b.sweep = b.sweepWhere(func(row *sessions.Session, now time.Time) bool { return !row.End().After(now) })
	}},
	{"a sweep knows no limit", "a sweep keeps to its limit and gets on", func(b *broken) {
		b.sweep = func(ctx context.Context, _ int, over func(*sessions.Session)) (int, error) {
			return b.Memory.Sweep(ctx, 1<<30, over)
		}
	}},
	{"a sweep leaves the index", "a sweep deletes what is due and nothing else", func(b *broken) {
		var last sessions.Page
		b.list = func(ctx context.Context, q sessions.Query) (sessions.Page, error) {
			page, err := b.Memory.List(ctx, q)
			if q.KeysOnly && len(page.Sessions) == 0 {
				return last, err
			}
			last = sessions.Page{Sessions: page.Sessions}
			return page, err
		}
	}},
	{"a cancelled context is not looked at", "a cancelled context does no work", func(b *broken) {
		b.create = func(_ context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
			return b.Memory.Create(context.Background(), row)
		}
	}},
	{"a closed store still answers", "a closed store answers no call", func(b *broken) {
		b.list = func(ctx context.Context, q sessions.Query) (sessions.Page, error) {
			page, err := b.Memory.List(ctx, q)
			if errors.Is(err, sessions.ErrClosed) {
				return sessions.Page{}, nil
			}
			return page, err
		}
	}},
	{"a store stays open when it is closed", "closing waits for calls in progress", func(b *broken) { b.stays = true }},
	{"rows are shared with who reads them", "rows are not aliased", func(b *broken) {
		shared := map[sessions.Key]sessions.Claims{}
		b.get = func(ctx context.Context, key sessions.Key) (sessions.Session, error) {
			row, err := b.Memory.Get(ctx, key)
			if known := shared[key]; known != nil {
				row.ActorClaims = known
			}
			shared[key] = row.ActorClaims
			return row, err
		}
	}},
	{"the new session is not counted", "a session is counted with all others of its user and kind", func(b *broken) {
		b.count = func(n int) int { return n - 1 }
	}},
	{"a session that ends twice is counted off twice", "no end of a session is counted twice", func(b *broken) {
		ended := 0
		update := b.update
		b.update = func(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
			before, _ := b.Memory.Get(ctx, key)
			if !before.RevokedAt.IsZero() {
				ended++
			}
			return update(ctx, key, fn)
		}
		b.count = func(n int) int { return n - ended }
	}},
	{"a cutoff forgets its kind", "each field of a cutoff survives a round trip", func(b *broken) {
		b.cutoff = func(c *revocation.Cutoff) bool {
			if c.User != "" {
				c.Impersonations = false
			}
			return true
		}
	}},
	{"a cutoff takes an actor without a name for none", "each field of a cutoff survives a round trip", func(b *broken) {
		b.cutoff = func(c *revocation.Cutoff) bool { return c.Actor == nil || *c.Actor != sessions.Principal{} }
	}},
	{"a cutoff is kept to the second", "each field of a cutoff survives a round trip", func(b *broken) {
		b.cutoff = func(c *revocation.Cutoff) bool {
			c.At = c.At.Truncate(time.Second)
			return true
		}
	}},
	{"cutoffs are newest first", "cutoffs are oldest first", func(b *broken) { b.order = slices.Reverse[[]revocation.Cutoff] }},
	{"cutoffs are kept by their time alone", "cutoffs of one time are each kept once", func(b *broken) {
		b.cutoff = func(c *revocation.Cutoff) bool {
			c.ID = "one"
			return true
		}
	}},
	{"realms share cutoffs", "a cutoff stays in its realm", func(b *broken) {
		b.cutoff = func(c *revocation.Cutoff) bool {
			c.Realm = realm
			return true
		}
	}},
	{"dropping an absent cutoff fails", "a removed cutoff is gone, and may be removed again", func(b *broken) {
		b.drop = func(ctx context.Context, c revocation.Cutoff) error {
			all, err := b.Memory.Cutoffs(ctx, c.Realm)
			if !slices.ContainsFunc(all, func(have revocation.Cutoff) bool { return have.ID == c.ID }) {
				return errors.Join(err, sessions.ErrNotFound)
			}
			return b.Memory.RemoveCutoff(ctx, c)
		}
	}},
	{"a cutoff is not dropped", "a removed cutoff is gone, and may be removed again", func(b *broken) {
		b.drop = func(context.Context, revocation.Cutoff) error { return nil }
	}},
	{"a cutoff has no other text than UTF-8", "any text is in a cutoff", func(b *broken) {
		b.cutoff = func(c *revocation.Cutoff) bool {
			c.User = strings.ToValidUTF8(c.User, "?")
			return true
		}
	}},
	{"a cutoff is dropped though nobody waits", "a cancelled context does no work", func(b *broken) {
		b.drop = func(_ context.Context, c revocation.Cutoff) error {
			return b.Memory.RemoveCutoff(context.Background(), c)
		}
	}},
	{"a closed store keeps cutoffs", "a closed store answers no call", func(b *broken) {
		b.drop = func(ctx context.Context, c revocation.Cutoff) error {
			if err := b.Memory.RemoveCutoff(ctx, c); !errors.Is(err, sessions.ErrClosed) {
				return err
			}
			return nil
		}
	}},
}

// listWhere adds to a listing what also matches.
func (b *broken) listWhere(also func(*sessions.Query, *sessions.Session) bool) func(context.Context, sessions.Query) (sessions.Page, error) {
	return func(ctx context.Context, q sessions.Query) (sessions.Page, error) {
		return locked(ctx, b.Memory, func() (sessions.Page, error) {
			found := b.match(&q)
			for _, row := range b.rows {
				if row.Realm == q.Realm && !matches(&q, row) && also(&q, row) {
					found = append(found, row)
				}
			}
			return page(q.Cursor, queryName(&q), q.Limit, newestFirst, found)
		})
	}
}

func (b *broken) sweepWhere(due func(*sessions.Session, time.Time) bool) func(context.Context, int, func(*sessions.Session)) (int, error) {
	return func(ctx context.Context, limit int, over func(*sessions.Session)) (n int, err error) {
		var gone []*sessions.Session
		n, err = locked(ctx, b.Memory, func() (n int, err error) {
			for key, row := range b.rows {
				if n < limit && due(row, b.Now()) {
					delete(b.rows, key)
					gone = append(gone, row)
					n++
				}
			}
			return n, nil
		})
		for _, row := range gone {
			if over != nil && row.RevokedAt.IsZero() {
				over(row)
			}
		}
		return n, err
	}
}

// mistaken names the mistake that this process is to test.
const mistaken = "STORETEST_MISTAKE"

// Close closes the store, unless that is its mistake.
func (b *broken) Close() error {
	if b.stays {
		return nil
	}
	return b.Memory.Close()
}

// TestAMistake runs in a process of its own, and fails.
func TestAMistake(t *testing.T) {
	for _, mistake := range mistakes {
		if os.Getenv(mistaken) != mistake.name {
			continue
		}
		Run(t, func(_ *testing.T, now func() time.Time) sessions.Store {
			m := &Memory{Clock: now}
			b := &broken{Memory: m, create: m.Create, get: m.Get, update: m.Update, list: m.List, sweep: m.Sweep}
			mistake.make(b)
			return b
		})
	}
}

func TestTheSuiteCatchesBrokenStores(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, mistake := range mistakes {
		t.Run(mistake.name, func(t *testing.T) {
			check := "^TestAMistake$/^" + strings.NewReplacer(" ", "_").Replace(mistake.caught) + "$"
			cmd := exec.CommandContext(t.Context(), self, "-test.run="+check, "-test.count=1")
			cmd.Env = append(os.Environ(), mistaken+"="+mistake.name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("%q passes:\n%s", mistake.caught, out)
			} else if !strings.Contains(string(out), "--- FAIL: TestAMistake/") || strings.Contains(string(out), "panic:") {
				t.Errorf("%v, but not as it should be:\n%s", err, out)
			}
		})
	}
}

// less names the store that lacks every part, for TestAStoreThatLacksParts in a process of
// its own.
const less = "a store that lacks parts"

func TestAStoreThatLacksParts(t *testing.T) {
	if os.Getenv(mistaken) == less {
		Run(t, func(_ *testing.T, now func() time.Time) sessions.Store {
			return struct{ sessions.Store }{&Memory{Clock: now}}
		})
	}
}

// Each check that needs a part says at once that it is missing, and none waits for what cannot come.
func TestTheSuiteLeavesNothingOutUnasked(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, parts := range map[string][]Part{
		"the store implements what it should": {Revocation, Admin, Close},
		"closing waits for calls in progress": {Close},
		"a closed store answers no call":      {Close},
		"a scan has each row of all realms":   {Admin},
		"cutoffs are oldest first":            {Revocation},
	} {
		check := "^TestAStoreThatLacksParts$/^" + strings.ReplaceAll(name, " ", "_")
		cmd := exec.CommandContext(t.Context(), self, "-test.run="+check, "-test.count=1")
		cmd.Env = append(os.Environ(), mistaken+"="+less)
		out, err := cmd.CombinedOutput()
		for _, part := range parts {
			if err == nil || !strings.Contains(string(out), "does not implement "+string(part)+": implement it, or say so to Run") {
				t.Errorf("%s: %s is missing, and nothing says so: %v\n%s", name, part, err, out)
			}
		}
	}
}

func TestAStoreThatSaysWhatItLacksKeepsTheContract(t *testing.T) {
	Run(t, func(_ *testing.T, now func() time.Time) sessions.Store {
		return struct{ sessions.Store }{&Memory{Clock: now}}
	},
		Revocation, Logout, Admin, Close)
}

func TestS6_NodesOfOneMemoryKeepTheirOrder(t *testing.T) {
	RunNodes(t, func(*testing.T) (near, far sessions.Store) {
		m := new(Memory)
		return m, Far(m, FarAway)
	})
}
