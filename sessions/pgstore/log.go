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
	from, logged := sessions.Key{}, since
	for {
		n, some, at := 0, false, time.Time{}
		err := s.queryNow(ctx, s.text(sqlLog), s.timed(millis(logged), from.Realm, from.ID, logBatch), func() error {
			if some {
				n++
				report(from, at)
			}
			return nil
		}, s.now(&now), &some, (*text)(&from.Realm), (*text)(&from.ID), (*moment)(&at), (*moment)(&logged))
		if err != nil || n < logBatch {
			return now, err
		}
		from.ID += "\x00" // the smallest id after it
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
		now, err := s.look(ctx, sink, since.Add(-s.lookBack()))
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

// look reports to the sink what was revoked since a time.
func (s *Store) look(ctx context.Context, sink revocation.Sink, since time.Time) (now time.Time, err error) {
	now, err = s.readLog(ctx, since, sink.Revoked)
	if err != nil {
		return now, err
	}
	return now, s.readCutoffs(ctx, s.queryNow, sqlRecentCutoffs, args(millis(since)), sink.Cutoff)
}
