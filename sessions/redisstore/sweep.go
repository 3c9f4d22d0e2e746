package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"
	"golang.org/x/sync/errgroup"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/revocation"
)

const (
	// sweepBatch is how many rows are looked at together, sweepAtOnce how many of
	// them at the same time.
	sweepBatch  = 500
	sweepAtOnce = 16
	// orphanAge is how long a mark without a row is left alone after it came due:
	// perhaps its row is on its way.
	orphanAge = 10 * time.Minute
	// logKept is how long a revocation stays in the log: longer than anybody asks for.
	logKept = 2 * revocation.Retention
)

// Sweep deletes rows that are due, and what they left in the indexes. A row that went
// by itself, since nobody swept for a day, is reported with its key alone.
func (s *Store) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (deleted int, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return 0, err
	}
	defer s.gate.Leave()
	for part := range s.shards {
		sw := sweeping{store: s, part: part, over: over}
		if err := sw.run(ctx, limit-deleted); err != nil {
			return deleted + sw.deleted, err
		}
		deleted += sw.deleted
	}
	return deleted, nil
}

// A sweeping goes through one part of the rows.
type sweeping struct {
	store   *Store
	part    int
	over    func(*sessions.Session)
	deleted int
}

// A dueMark is one of the index of what is due.
type dueMark struct {
	mark  mark
	score string
	fate  string // what became of it
}

func (sw *sweeping) run(ctx context.Context, limit int) error {
	for sw.deleted < limit {
		n := min(limit-sw.deleted, sweepBatch)
		marks, now, err := sw.look(ctx, n)
		if err != nil {
			return err
		}
		if left, err := sw.end(ctx, marks, now); err != nil {
			return err
		} else if len(marks) < n || left == len(marks) {
			return sw.trim(ctx, limit)
		}
		if err := calls.Done(ctx); err != nil {
			return err
		}
	}
	return nil
}

// look reads the marks that are due.
func (sw *sweeping) look(ctx context.Context, n int) (marks []dueMark, now time.Time, err error) {
	s := sw.store
	r, err := s.runNow(ctx, s.lua.due, s.keys.due(sw.part), strconv.Itoa(n))
	if err != nil {
		return nil, now, err
	}
	for list := r.list(); len(list.values) > 0 && list.err == nil; {
		d := dueMark{mark: mark(list.text()), score: list.text()}
		if list.err != nil || !d.mark.ok() {
			return nil, now, calls.ErrCorrupt
		}
		marks = append(marks, d)
	}
	return marks, r.at, r.err
}

// end deletes rows that are due, reports those that nobody revoked, and returns how many
// marks it left as they were.
func (sw *sweeping) end(ctx context.Context, marks []dueMark, now time.Time) (left int, err error) {
	var all errgroup.Group
	all.SetLimit(sweepAtOnce)
	for i := range marks {
		all.Go(func() (err error) {
			marks[i].fate, err = sw.one(ctx, &marks[i], now)
			return err
		})
	}
	err = all.Wait()
	for i := range marks {
		switch marks[i].fate {
		case "over":
			sw.deleted++
			if sw.over != nil {
				key := marks[i].mark.key()
				sw.over(&sessions.Session{Realm: key.Realm, ID: key.ID})
			}
		case "revoked":
			sw.deleted++
		case "young":
			left++
		}
	}
	return left, err
}

// one ends a row if it is due.
func (sw *sweeping) one(ctx context.Context, d *dueMark, now time.Time) (fate string, err error) {
	s := sw.store
	r, err := s.runNow(ctx, s.lua.sweep, s.keys.row(d.mark.label()), string(d.mark))
	if err != nil {
		return "", err
	}
	fate = r.text()
	if r.err != nil {
		return "", r.err
	}
	came, err := strconv.ParseFloat(d.score, 64)
	if err != nil {
		return "", calls.ErrCorrupt
	}
	age := now.Sub(fromMillis(int64(came)))
	switch {
	case fate == "due" && !s.whole():
		return fate, s.quietly(s.lua.later, s.keys.due(sw.part), string(d.mark), r.text(), d.score)(ctx)
	case fate == "due":
		return fate, nil
	case fate == "gone" && !s.whole() && age < orphanAge:
		return "young", nil
	case !s.whole():
		if err := s.gather(ctx, d.mark); err != nil {
			return "", err
		}
	}
	if fate != "gone" || age.Milliseconds() < margin {
		return fate, nil
	}
	return sw.wentBy(ctx, d.mark)
}

// wentBy returns what a row was that expired in Redis.
func (sw *sweeping) wentBy(ctx context.Context, m mark) (fate string, err error) {
	s := sw.store
	results, err := s.askNow(ctx, s.client.B().Zscore().Key(s.keys.log(sw.part)).Member(m.label()).Build())
	if err != nil {
		return "", err
	}
	if rueidis.IsRedisNil(results[0].Error()) {
		return "over", nil
	}
	return "revoked", nil
}

// trim shortens the log of revocations.
func (sw *sweeping) trim(ctx context.Context, most int) error {
	s := sw.store
	_, err := s.runNow(ctx, s.lua.trim, s.keys.log(sw.part), strconv.FormatInt(logKept.Milliseconds(), 10), strconv.Itoa(min(most, 5000)))
	return err
}
