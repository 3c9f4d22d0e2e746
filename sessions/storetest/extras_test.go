package storetest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/logout"
)

// extras are what a broken store does wrong that not each store can do.
type extras struct {
	log    func(ctx context.Context, since time.Time, report func(sessions.Key, time.Time)) error
	scan   func(ctx context.Context, cursor string, limit int) (sessions.Page, error)
	realms func(ctx context.Context) ([]string, error)
	named  func(ctx context.Context, realm, name string, page func([]sessions.Session) error) error
	mark   func(ctx context.Context, realm string, marks []logout.Mark) error
	marks  func(ctx context.Context, realm string, names []string) ([]logout.Mark, error)
	each   func(ctx context.Context, realm string, page func([]logout.Mark) error) error
}

func (b *broken) EachMark(ctx context.Context, realm string, page func([]logout.Mark) error) error {
	if b.extras.each != nil {
		return b.extras.each(ctx, realm, page)
	}
	return b.Memory.EachMark(ctx, realm, page)
}

func (b *broken) Named(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
	if b.extras.named != nil {
		return b.extras.named(ctx, realm, name, page)
	}
	return b.Memory.Named(ctx, realm, name, page)
}

func (b *broken) Mark(ctx context.Context, realm string, marks []logout.Mark) error {
	if b.extras.mark != nil {
		return b.extras.mark(ctx, realm, marks)
	}
	return b.Memory.Mark(ctx, realm, marks)
}

func (b *broken) Marks(ctx context.Context, realm string, names []string) ([]logout.Mark, error) {
	if b.extras.marks != nil {
		return b.extras.marks(ctx, realm, names)
	}
	return b.Memory.Marks(ctx, realm, names)
}

func (b *broken) Scan(ctx context.Context, cursor string, limit int) (sessions.Page, error) {
	if b.scan != nil {
		return b.scan(ctx, cursor, limit)
	}
	return b.Memory.Scan(ctx, cursor, limit)
}

func (b *broken) Realms(ctx context.Context) ([]string, error) {
	if b.realms != nil {
		return b.realms(ctx)
	}
	return b.Memory.Realms(ctx)
}

// scanWithout leaves rows out of pages.
func (b *broken) scanWithout(out func(i int, row *sessions.Session) bool) {
	b.scan = func(ctx context.Context, cursor string, limit int) (sessions.Page, error) {
		page, err := b.Memory.Scan(ctx, cursor, limit)
		var kept []sessions.Session
		for i := range page.Sessions {
			if !out(i, &page.Sessions[i]) {
				kept = append(kept, page.Sessions[i])
			}
		}
		page.Sessions = kept
		return page, err
	}
}

func (b *broken) Revoked(ctx context.Context, since time.Time, report func(sessions.Key, time.Time)) error {
	if b.log != nil {
		return b.log(ctx, since, report)
	}
	return b.Memory.Revoked(ctx, since, report)
}

func init() {
	mistakes = append(mistakes, extraMistakes...)
}

var extraMistakes = []struct {
	name, caught string
	make         func(*broken)
}{
	{"the log of what was ended is made of the rows", "what was revoked is reported as long as a token may live", func(b *broken) {
		sweep := b.sweep
		b.sweep = func(ctx context.Context, limit int, over func(*sessions.Session)) (int, error) {
			n, err := sweep(ctx, limit, over)
			maps.DeleteFunc(b.Memory.revoked, func(key sessions.Key, _ time.Time) bool { return b.rows[key] == nil })
			return n, err
		}
	}},
	{"the log is of one realm", "what was revoked is reported, of all realms, once swept too", func(b *broken) {
		b.log = func(ctx context.Context, since time.Time, report func(sessions.Key, time.Time)) error {
			return b.Memory.Revoked(ctx, since, func(key sessions.Key, at time.Time) {
				if key.Realm == realm {
					report(key, at)
				}
			})
		}
	}},
	{"the log reports what was ended after a time alone", "what was revoked is reported from a time on", func(b *broken) {
		b.log = func(ctx context.Context, since time.Time, report func(sessions.Key, time.Time)) error {
			return b.Memory.Revoked(ctx, since.Add(time.Millisecond), report)
		}
	}},
	{"the log reports everything", "what was revoked is reported from a time on", func(b *broken) {
		b.log = func(ctx context.Context, _ time.Time, report func(sessions.Key, time.Time)) error {
			return b.Memory.Revoked(ctx, time.Time{}, report)
		}
	}},
	{"the log forgets what is written again", "what was revoked is reported, of all realms, once swept too", func(b *broken) {
		update := b.update
		b.update = func(ctx context.Context, key sessions.Key, fn sessions.Transition) (sessions.Session, error) {
			before, _ := b.Memory.Get(ctx, key)
			row, err := update(ctx, key, fn)
			if !before.RevokedAt.IsZero() {
				delete(b.Memory.revoked, key)
			}
			return row, err
		}
	}},
	{"a row that is created has no end", "a session that is copied is reported with its revocation", func(b *broken) {
		create := b.create
		b.create = func(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
			stored, created, count, err := create(ctx, row)
			delete(b.Memory.revoked, row.Key())
			return stored, created, count, err
		}
	}},
	{"a cancelled context reads the log", "a cancelled context does no work", func(b *broken) {
		b.log = func(_ context.Context, since time.Time, report func(sessions.Key, time.Time)) error {
			return b.Memory.Revoked(context.Background(), since, report)
		}
	}},
	{"names lead to one row alone", "many sessions have one name", func(b *broken) {
		b.extras.named = func(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
			rows, err := b.Memory.named(ctx, realm, name)
			return cmp.Or(err, page(rows[:min(1, len(rows))]))
		}
	}},
	{"names give all rows at once", "many sessions have one name", func(b *broken) {
		b.extras.named = func(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
			rows, err := b.Memory.named(ctx, realm, name)
			return cmp.Or(err, page(rows))
		}
	}},
	{"names go on after an error", "many sessions have one name", func(b *broken) {
		b.extras.named = func(ctx context.Context, realm, name string, page func([]sessions.Session) error) error {
			return b.Memory.Named(ctx, realm, name, func(rows []sessions.Session) error {
				_ = page(rows)
				return nil
			})
		}
	}},
	{"names forget the realm", "a name is of one realm, and any text is in it", func(b *broken) {
		b.extras.named = func(ctx context.Context, in, name string, page func([]sessions.Session) error) error {
			for _, realm := range []string{in, "https://other.example.com"} {
				if err := b.Memory.Named(ctx, realm, name, page); err != nil {
					return err
				}
			}
			return nil
		}
	}},
	{"a cancelled context is named", "a cancelled context does no work", func(b *broken) {
		b.extras.named = func(_ context.Context, realm, name string, page func([]sessions.Session) error) error {
			return b.Memory.Named(context.Background(), realm, name, page)
		}
	}},
	{"the last mark replaces", "of two marks of one name the later times stay", func(b *broken) {
		b.extras.mark = func(ctx context.Context, realm string, marks []logout.Mark) error {
			b.mu.Lock()
			b.Memory.marks = nil
			b.mu.Unlock()
			return b.Memory.Mark(ctx, realm, marks)
		}
	}},
	{"marks are for ever", "a mark is over when its time comes", func(b *broken) {
		b.extras.mark = func(ctx context.Context, realm string, marks []logout.Mark) error {
			for i := range marks {
				marks[i].Until = marks[i].Until.AddDate(10, 0, 0)
			}
			return b.Memory.Mark(ctx, realm, marks)
		}
	}},
	{"marks forget the realm", "a mark stays in its realm", func(b *broken) {
		b.extras.mark = func(ctx context.Context, _ string, marks []logout.Mark) error { return b.Memory.Mark(ctx, "", marks) }
		b.extras.marks = func(ctx context.Context, _ string, names []string) ([]logout.Mark, error) {
			return b.Memory.Marks(ctx, "", names)
		}
	}},
	{"marks that are over are given", "each mark of a realm is given once, until it is over", func(b *broken) {
		b.extras.each = func(ctx context.Context, realm string, page func([]logout.Mark) error) error {
			now := b.Clock
			b.Clock = func() time.Time { return time.Time{} }
			defer func() { b.Clock = now }()
			return b.Memory.EachMark(ctx, realm, page)
		}
	}},
	{"a page of marks is given twice", "each mark of a realm is given once, until it is over", func(b *broken) {
		b.extras.each = func(ctx context.Context, realm string, page func([]logout.Mark) error) error {
			return b.Memory.EachMark(ctx, realm, func(marks []logout.Mark) error { return cmp.Or(page(marks), page(marks)) })
		}
	}},
	{"realms of marks are none", "a realm that has marks alone is one", func(b *broken) {
		b.realms = func(ctx context.Context) ([]string, error) {
			page, err := b.Memory.Scan(ctx, "", 1<<20)
			realms := make(map[string]bool)
			for i := range page.Sessions {
				realms[page.Sessions[i].Realm] = true
			}
			return slices.Collect(maps.Keys(realms)), err
		}
	}},
	{"marks are stored later", "of a logout and a session at once one sees the other", func(b *broken) {
		var late []logout.Mark
		b.extras.mark = func(ctx context.Context, realm string, marks []logout.Mark) error {
			err := b.Memory.Mark(ctx, realm, late)
			late = marks
			return err
		}
	}},
	{"a scan leaves out what was revoked", "a scan has each row of all realms, whole", func(b *broken) {
		b.scanWithout(func(_ int, row *sessions.Session) bool { return !row.RevokedAt.IsZero() })
	}},
	{"a scan is of one realm", "a scan has each row of all realms, whole", func(b *broken) {
		b.scanWithout(func(_ int, row *sessions.Session) bool { return row.Realm != realm })
	}},
	{"a scan loses the last of four", "a scan goes on while sessions come and go", func(b *broken) {
		b.scanWithout(func(i int, _ *sessions.Session) bool { return i == 3 })
	}},
	{"a scan forgets the realm", "a scan has each row of all realms, whole", func(b *broken) {
		b.scan = func(ctx context.Context, cursor string, limit int) (sessions.Page, error) {
			page, err := b.Memory.Scan(ctx, cursor, limit)
			for i := range page.Sessions {
				page.Sessions[i].Realm = ""
			}
			return page, err
		}
	}},
	{"a scan counts its rows", "a scan goes on while sessions come and go", func(b *broken) {
		b.scan = func(ctx context.Context, cursor string, limit int) (sessions.Page, error) {
			page, err := b.Memory.Scan(ctx, "", 1<<20)
			n, _ := strconv.Atoi(cursor)
			page.Sessions = page.Sessions[min(n, len(page.Sessions)):]
			if len(page.Sessions) > limit {
				page.Sessions, page.Next = page.Sessions[:limit], strconv.Itoa(n+limit)
			}
			return page, err
		}
	}},
	{"a scan begins anew at what it cannot read", "a scan begins at no other cursor than its own", func(b *broken) {
		b.scan = func(ctx context.Context, cursor string, limit int) (sessions.Page, error) {
			page, err := b.Memory.Scan(ctx, cursor, limit)
			if errors.Is(err, sessions.ErrBadCursor) {
				return b.Memory.Scan(ctx, "", limit)
			}
			return page, err
		}
	}},
	{"realms have rows", "realms are those that have rows or cutoffs", func(b *broken) {
		b.realms = func(ctx context.Context) ([]string, error) {
			all, err := b.Memory.Realms(ctx)
			return slices.DeleteFunc(all, func(name string) bool {
				return !slices.ContainsFunc(slices.Collect(maps.Keys(b.rows)), func(key sessions.Key) bool { return key.Realm == name })
			}), err
		}
	}},
	{"realms stay when nothing is left", "realms are those that have rows or cutoffs", func(b *broken) {
		ever := make(map[string]bool)
		b.realms = func(ctx context.Context) ([]string, error) {
			all, err := b.Memory.Realms(ctx)
			for _, name := range all {
				ever[name] = true
			}
			return slices.Collect(maps.Keys(ever)), err
		}
	}},
	{"a cancelled context scans", "a cancelled context does no work", func(b *broken) {
		b.scan = func(_ context.Context, cursor string, limit int) (sessions.Page, error) {
			return b.Memory.Scan(context.Background(), cursor, limit)
		}
	}},
	{"a sweep reports what was revoked too", "a sweep reports each session that expired", func(b *broken) {
		b.sweep = func(ctx context.Context, limit int, over func(*sessions.Session)) (int, error) {
			return b.reportSweep(ctx, limit, over, func(*sessions.Session) bool { return true })
		}
	}},
	{"a sweep reports nothing", "a sweep reports each session that expired", func(b *broken) {
		b.sweep = func(ctx context.Context, limit int, over func(*sessions.Session)) (int, error) {
			return b.reportSweep(ctx, limit, over, func(*sessions.Session) bool { return false })
		}
	}},
	{"a sweep reports before it deletes", "a sweep reports each session that expired", func(b *broken) {
		sweep := b.sweep
		b.sweep = func(ctx context.Context, limit int, over func(*sessions.Session)) (int, error) {
			var gone []sessions.Session
			n, err := sweep(ctx, limit, func(row *sessions.Session) { gone = append(gone, *row) })
			for i := range gone {
				if _, putErr := b.put(gone[i]); putErr == nil && over != nil {
					over(&gone[i])
				}
				delete(b.rows, gone[i].Key())
			}
			return n, err
		}
	}},
	{"a sweep forgets which session it was", "a sweep reports each session that expired", func(b *broken) {
		sweep := b.sweep
		b.sweep = func(ctx context.Context, limit int, over func(*sessions.Session)) (int, error) {
			return sweep(ctx, limit, func(row *sessions.Session) {
				if row.Realm = ""; over != nil {
					over(row)
				}
			})
		}
	}},
}

// reportSweep sweeps, and reports of what it deleted that is so.
func (b *broken) reportSweep(ctx context.Context, limit int, over func(*sessions.Session), so func(*sessions.Session) bool) (int, error) {
	var gone []sessions.Session
	n, err := b.sweepWhere(func(row *sessions.Session, now time.Time) bool {
		due := !row.PurgeAt().After(now) && len(gone) < limit
		if due {
			gone = append(gone, *row)
		}
		return due
	})(ctx, limit, nil)
	for i := range gone {
		if over != nil && so(&gone[i]) {
			over(&gone[i])
		}
	}
	return n, err
}
