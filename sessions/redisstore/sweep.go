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
	// sweepBatch is how many rows are processed at a time, and sweepAtOnce how many of them
	// concurrently.
	sweepBatch  = 500
	sweepAtOnce = 16
	// orphanAge is how long after it came due a mark without a row is left alone: its row may be
	// about to be written.
	orphanAge = 10 * time.Minute
	// logKept is how long a revocation stays in the log: longer than anybody asks for.
	logKept = 2 * revocation.Retention
)

// Sweep deletes rows that are due, and their index entries. A row that expired by itself, since
// nobody swept for a day, is reported with its key only.
func (s *Store) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (deleted int, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return 0, err
	}
	defer s.gate.Leave()
	realms, err := s.realmNames(ctx)
	if err != nil {
		return 0, err
	}
	for part := range s.shards {
		sw := sweeping{store: s, part: part, over: over, realms: realms}
		if err := sw.run(ctx, limit-deleted); err != nil {
			return deleted + sw.deleted, err
		}
		deleted += sw.deleted
	}
	return deleted, nil
}

// A sweeping processes one part of the rows.
type sweeping struct {
	store   *Store
	part    int
	over    func(*sessions.Session)
	realms  map[string]string // by their hashes
	deleted int
}

// A dueMark is a member of the index of due rows.
type dueMark struct {
	mark mark
	at   string // time, encoded by place
	fate string // what happened to the row
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
	members, now, err := s.walk(ctx, s.runNow, s.keys.due(sw.part), "", n, "")
	for _, member := range members {
		m, at, ok := readDue(member)
		if !ok {
			return nil, now, calls.ErrCorrupt
		}
		if at > place(now) {
			break
		}
		marks = append(marks, dueMark{mark: m, at: at})
	}
	return marks, now, err
}

// end deletes rows that are due, reports those that were not revoked, and returns how many marks it
// left unchanged.
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
				key, _ := marks[i].mark.key(sw.realms)
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

// one deletes a row if it is due.
func (sw *sweeping) one(ctx context.Context, d *dueMark, now time.Time) (fate string, err error) {
	s := sw.store
	r, err := s.runNow(ctx, s.lua.sweep, s.keys.row(d.mark.id), d.mark.nonce)
	if err != nil {
		return "", err
	}
	if fate = r.text(); r.err != nil {
		return "", r.err
	}
	age := now.Sub(placed(d.at))
	switch {
	case fate == "gone" && !s.whole() && age < orphanAge:
		return "young", nil
	case fate == "gone":
		err = sw.forget(ctx, d)
	case s.whole(): // the script did the rest
	case fate == "due":
		_, due := r.next(), s.keys.due(sw.part)
		return fate, s.quietly(s.lua.index, due, "-", due, d.mark.due(d.at), "+", due, d.mark.due(place(r.time())))(ctx)
	default:
		found, _, ok := readHeader(sessions.Key{}, r.text())
		if !ok {
			return "", calls.ErrCorrupt
		}
		d.mark.created, d.mark.actor = found.mark.created, found.mark.actor
		err = s.gather(ctx, &d.mark, d.at)
	}
	if err != nil || fate != "gone" || age.Milliseconds() < margin {
		return fate, err
	}
	return sw.wentBy(ctx, &d.mark)
}

// forget removes index entries whose row does not exist. The creation time and the actor are in the
// index of all rows: if that has no entry any more, the others have none either.
func (sw *sweeping) forget(ctx context.Context, d *dueMark) error {
	s := sw.store
	// There are few entries of one id: a row, and interrupted calls before it.
	members, _, err := s.walk(ctx, s.runNow, s.keys.all(sw.part), d.mark.id, 10, "")
	if err != nil {
		return err
	}
	for _, member := range members {
		if m, ok := readScanned(member); ok && m.id == d.mark.id && m.nonce == d.mark.nonce {
			m.user = d.mark.user
			return s.gather(ctx, &m, d.at)
		}
	}
	due := s.keys.due(sw.part)
	return s.quietly(s.lua.index, due, "-", due, d.mark.due(d.at))(ctx)
}

// wentBy returns what a row was that expired in Redis.
func (sw *sweeping) wentBy(ctx context.Context, m *mark) (fate string, err error) {
	s := sw.store
	key, _ := m.key(sw.realms)
	results, err := s.askNow(ctx, s.client.B().Zscore().Key(s.keys.log(sw.part)).Member(label(key)).Build())
	if err != nil {
		return "", err
	}
	if rueidis.IsRedisNil(results[0].Error()) {
		return "over", nil
	}
	return "revoked", nil
}

// trim truncates the log of revocations.
func (sw *sweeping) trim(ctx context.Context, most int) error {
	s := sw.store
	_, err := s.runNow(ctx, s.lua.trim, s.keys.log(sw.part), strconv.FormatInt(logKept.Milliseconds(), 10), strconv.Itoa(min(most, 5000)))
	return err
}
