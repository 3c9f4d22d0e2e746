package redisstore

import (
	"context"
	"strconv"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// logBatch is how many entries of the log are read at a time.
const logBatch = 5000

// Revoked reports which sessions were revoked since a time. They are in a log of their own, where
// they stay after the rows are swept.
func (s *Store) Revoked(ctx context.Context, since time.Time, report func(key sessions.Key, at time.Time)) error {
	for part := range s.shards {
		if err := s.readLog(ctx, part, since, report); err != nil {
			return err
		}
	}
	return nil
}

// readLog reads a part of the log, each entry at least once.
func (s *Store) readLog(ctx context.Context, part int, since time.Time, report func(key sessions.Key, at time.Time)) error {
	from, skip := float64(since.UnixMilli()), 0
	for {
		min := strconv.FormatFloat(from, 'f', -1, 64)
		results, err := s.askNow(ctx, s.client.B().Zrangebyscore().Key(s.keys.log(part)).Min(min).Max("+inf").Withscores().Limit(int64(skip), logBatch).Build())
		if err != nil {
			return err
		}
		found, err := results[0].AsZScores()
		if err != nil {
			return unavailable(err)
		}
		for i := range found {
			key, rest, ok := cutLabel(found[i].Member)
			if !ok || rest != "" {
				return calls.ErrCorrupt
			}
			if at := fromMillis(int64(found[i].Score)); !at.Before(since) {
				report(key, at)
			}
		}
		if len(found) < logBatch {
			return nil
		}
		// Continue at the last time, which may have more entries.
		if last := found[len(found)-1].Score; last > from {
			from, skip = last, 0
		} else {
			skip += len(found)
		}
		if err := calls.CheckContext(ctx); err != nil {
			return err
		}
	}
}
