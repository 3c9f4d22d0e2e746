package pgstore

import (
	"context"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// logBatch is how many entries of the log one statement reads.
const logBatch = 5000

// Revoked reports which sessions were revoked since a time. They are in a log of their own, where
// they stay after the rows are swept.
func (s *Store) Revoked(ctx context.Context, since time.Time, report func(key sessions.Key, at time.Time)) error {
	_, err := s.readLog(ctx, since, func(key sessions.Key, at time.Time) {
		if !at.Before(since) {
			report(key, at)
		}
	})
	return err
}

// readLog reads the log since a time, and returns when its last part was read.
func (s *Store) readLog(ctx context.Context, since time.Time, report func(key sessions.Key, at time.Time)) (now time.Time, err error) {
	type entry struct {
		key        sessions.Key
		at, logged time.Time
	}
	for next := (entry{logged: since}); ; {
		some, e := false, next
		entries, err := collect(ctx, s.doNow, s.text(sqlLog), s.timed(millis(next.logged), next.key.Realm, next.key.ID, logBatch), func() (entry, error) {
			return e, nil
		}, s.now(&now), &some, (*text)(&e.key.Realm), (*text)(&e.key.ID), (*moment)(&e.at), (*moment)(&e.logged))
		if err != nil || !some {
			return now, err
		}
		for _, e := range entries {
			report(e.key, e.at)
		}
		if len(entries) < logBatch {
			return now, nil
		}
		next = entries[logBatch-1]
		next.key.ID += "\x00" // the smallest id after it
	}
}

// lookBack is how far back each poll reads: further than the time between a statement reading the
// clock and others seeing its writes.
func (s *Store) lookBack() time.Duration { return 2*s.opts.Timeout + 5*time.Second }

// poll follows by polling. A successful poll is a sign of life.
func (s *Store) poll(ctx context.Context, sink revocation.Sink) error {
	ticker := time.NewTicker(revocation.Heartbeat)
	defer ticker.Stop()
	since, ready := s.Now(), false
	for {
		asked := s.clock.Passed()
		now, err := s.reportRecent(ctx, sink, since.Add(-s.lookBack()))
		if err != nil {
			return err
		}
		since = now
		if !ready {
			ready = true
			sink.Ready()
		}
		if s.clock.Passed()-asked < revocation.FeedTimeout {
			sink.Alive()
		}
		select {
		case <-ctx.Done():
			return unavailable(context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// reportRecent reports to the sink what was revoked since a time.
func (s *Store) reportRecent(ctx context.Context, sink revocation.Sink, since time.Time) (now time.Time, err error) {
	now, err = s.readLog(ctx, since, sink.Revoked)
	if err != nil {
		return now, err
	}
	cutoffs, err := s.readCutoffs(ctx, s.doNow, sqlRecentCutoffs, args(millis(since)))
	for _, c := range cutoffs {
		sink.Cutoff(c)
	}
	return now, err
}
