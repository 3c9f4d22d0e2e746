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
	// orphanAge is how long after it came due a ref without a row is left alone: its row may be
	// about to be written.
	orphanAge = 10 * time.Minute
	// logKept is how long a revocation stays in the log: longer than anybody asks for.
	logKept = 2 * revocation.Retention
)

// Sweep deletes rows that are due, and their index entries. A row that expired by itself, since
// nobody swept for a day, is reported with its key only.
func (s *Store) Sweep(ctx context.Context, limit int, over func(*sessions.Session)) (deleted int, err error) {
	realms, err := s.realmNames(ctx)
	if err != nil {
		return 0, err
	}
	for part := range s.shards {
		sw := sweeper{store: s, part: part, over: over, realms: realms}
		if err := sw.run(ctx, limit-deleted); err != nil {
			return deleted + sw.deleted, err
		}
		deleted += sw.deleted
	}
	return deleted, nil
}

// A fate is what became of a row that was due: all but fateYoung are as luaSweep has them.
type fate string

const (
	fateDue     fate = "due" // later than the index had it
	fateOver    fate = "over"
	fateRevoked fate = "revoked"
	fateGone    fate = "gone"
	fateYoung   fate = "young" // gone, or on its way: see orphanAge
)

// A sweeper processes one part of the rows.
type sweeper struct {
	store   *Store
	part    int
	over    func(*sessions.Session)
	realms  map[string]string // by their hashes
	deleted int
}

// A dueRef is a member of the index of due rows.
type dueRef struct {
	ref  ref
	at   string // time, encoded by place
	fate fate   // what happened to the row
}

func (sw *sweeper) run(ctx context.Context, limit int) error {
	for sw.deleted < limit {
		n := min(limit-sw.deleted, sweepBatch)
		refs, now, err := sw.readDue(ctx, n)
		if err != nil {
			return err
		}
		if left, err := sw.deleteDue(ctx, refs, now); err != nil {
			return err
		} else if len(refs) < n || left == len(refs) {
			return sw.trim(ctx, limit)
		}
		if err := calls.CheckContext(ctx); err != nil {
			return err
		}
	}
	return nil
}

// readDue reads the refs that are due.
func (sw *sweeper) readDue(ctx context.Context, n int) (refs []dueRef, now time.Time, err error) {
	s := sw.store
	members, now, err := s.walk(ctx, s.runNow, s.keys.due(sw.part), "", n, "")
	for _, member := range members {
		m, at, ok := parseDue(member)
		if !ok {
			return nil, now, calls.ErrCorrupt
		}
		if at > place(now) {
			break
		}
		refs = append(refs, dueRef{ref: m, at: at})
	}
	return refs, now, err
}

// deleteDue deletes rows that are due, reports those that were not revoked, and returns how many
// refs it left unchanged.
func (sw *sweeper) deleteDue(ctx context.Context, refs []dueRef, now time.Time) (left int, err error) {
	var all errgroup.Group
	all.SetLimit(sweepAtOnce)
	for i := range refs {
		all.Go(func() (err error) {
			refs[i].fate, err = sw.deleteOne(ctx, &refs[i], now)
			return err
		})
	}
	err = all.Wait()
	for i := range refs {
		switch refs[i].fate {
		case fateOver:
			sw.deleted++
			if sw.over != nil {
				key, _ := refs[i].ref.key(sw.realms)
				sw.over(&sessions.Session{Realm: key.Realm, ID: key.ID})
			}
		case fateRevoked:
			sw.deleted++
		case fateYoung:
			left++
		case fateDue, fateGone: // neither deleted nor left
		}
	}
	return left, err
}

// deleteOne deletes a row if it is due.
func (sw *sweeper) deleteOne(ctx context.Context, d *dueRef, now time.Time) (_ fate, err error) {
	s := sw.store
	r, err := s.runNow(ctx, s.lua.sweep, s.keys.row(d.ref.id), d.ref.nonce)
	if err != nil {
		return "", err
	}
	became := fate(r.text())
	if r.err != nil {
		return "", r.err
	}
	age := now.Sub(parsePlace(d.at))
	switch {
	case became == fateGone && !s.onOneServer() && age < orphanAge:
		return fateYoung, nil
	case became == fateGone:
		err = sw.removeOrphan(ctx, d)
	case s.onOneServer(): // the script did the rest
	case became == fateDue:
		_, due := r.next(), s.keys.due(sw.part)
		return became, s.scriptCall(s.lua.index, due, "-", due, d.ref.due(d.at), "+", due, d.ref.due(place(r.time())))(ctx)
	default:
		found, _, ok := readHeader(sessions.Key{}, r.text())
		if !ok {
			return "", calls.ErrCorrupt
		}
		d.ref.created, d.ref.actor = found.ref.created, found.ref.actor
		err = s.removeEntries(ctx, &d.ref, d.at)
	}
	if err != nil || became != fateGone || age.Milliseconds() < margin {
		return became, err
	}
	return sw.fateOfExpired(ctx, &d.ref)
}

// removeOrphan removes index entries whose row does not exist. The creation time and the actor are
// in the index of all rows: if that has no entry any more, the others have none either.
func (sw *sweeper) removeOrphan(ctx context.Context, d *dueRef) error {
	s := sw.store
	// There are few entries of one id: a row, and interrupted calls before it.
	members, _, err := s.walk(ctx, s.runNow, s.keys.all(sw.part), d.ref.id, 10, "")
	if err != nil {
		return err
	}
	for _, member := range members {
		if m, ok := parseScanned(member); ok && m.id == d.ref.id && m.nonce == d.ref.nonce {
			m.user = d.ref.user
			return s.removeEntries(ctx, &m, d.at)
		}
	}
	due := s.keys.due(sw.part)
	return s.scriptCall(s.lua.index, due, "-", due, d.ref.due(d.at))(ctx)
}

// fateOfExpired returns what a row was that expired in Redis.
func (sw *sweeper) fateOfExpired(ctx context.Context, m *ref) (_ fate, err error) {
	s := sw.store
	key, _ := m.key(sw.realms)
	results, err := s.askNow(ctx, s.client.B().Zscore().Key(s.keys.log(sw.part)).Member(label(key)).Build())
	if err != nil {
		return "", err
	}
	if rueidis.IsRedisNil(results[0].Error()) {
		return fateOver, nil
	}
	return fateRevoked, nil
}

// trim truncates the log of revocations.
func (sw *sweeper) trim(ctx context.Context, most int) error {
	s := sw.store
	_, err := s.runNow(ctx, s.lua.trim, s.keys.log(sw.part), strconv.FormatInt(logKept.Milliseconds(), 10), strconv.Itoa(min(most, 5000)))
	return err
}
