package storetest

import (
	"context"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

func init() {
	mistakes = append(mistakes, orderMistakes...)
}

// beginAs sets the times of what begins in another way.
func (b *broken) beginAs(begin func(row *sessions.Session, now time.Time)) {
	b.create = func(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
		if row.CreatedAt.IsZero() {
			begin(&row, b.Now())
		}
		return b.Memory.Create(ctx, row)
	}
}

// newest is the place of the newest cutoff.
func (b *broken) newest() (newest time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.cutoffs {
		if c.At.After(newest) {
			newest = c.At
		}
	}
	return newest
}

var orderMistakes = []struct {
	name, caught string
	make         func(*broken)
}{
	{"what begins has the time of the clock alone", "sessions and cutoffs are in order in one millisecond", func(b *broken) {
		b.beginAs(func(row *sessions.Session, now time.Time) { row.Begin(now, now) })
	}},
	{"what begins has the time of a node that is far away", "concurrent sessions and cutoffs keep their order", func(b *broken) {
		b.beginAs(func(row *sessions.Session, now time.Time) { row.Begin(now, now.Add(-20*time.Millisecond)) })
	}},
	{"what begins has the time of a node that is ahead", "a new session has the store's times", func(b *broken) {
		b.beginAs(func(row *sessions.Session, now time.Time) {
			now = now.Add(20 * time.Millisecond)
			row.Begin(now, now)
		})
	}},
	{"what begins has no end", "a new session has the store's times", func(b *broken) {
		b.beginAs(func(row *sessions.Session, now time.Time) { row.CreatedAt, row.RotatedAt = now, now })
	}},
	{"a cutoff has the time of the clock alone", "sessions and cutoffs are in order while the clock is set back", func(b *broken) {
		b.cutoff = func(c *revocation.Cutoff) bool {
			if c.At.IsZero() {
				c.At = b.Now()
			}
			return true
		}
	}},
	{"each cutoff takes a millisecond", "a new session is after all cutoffs", func(b *broken) {
		b.cutoff = func(c *revocation.Cutoff) bool {
			if c.At.IsZero() {
				c.At = b.Now()
				if next := b.newest().Add(time.Millisecond); next.After(c.At) {
					c.At = next
				}
			}
			return true
		}
	}},
	{"a session that is copied begins anew", "what is copied has its place in the order", func(b *broken) {
		b.create = func(ctx context.Context, row sessions.Session) (sessions.Session, bool, int, error) {
			if newest := b.newest(); !row.CreatedAt.After(newest) {
				row.Begin(b.Now(), newest.Add(time.Millisecond))
			}
			return b.Memory.Create(ctx, row)
		}
	}},
	{"a cutoff that is copied is added now", "what is copied has its place in the order", func(b *broken) {
		b.cutoff = func(c *revocation.Cutoff) bool {
			c.At = time.Time{}
			return true
		}
	}},
	{"a session lives from its place on", "a place in the order is no time", func(b *broken) {
		b.beginAs(func(row *sessions.Session, now time.Time) {
			if after := b.newest().Add(time.Millisecond); after.After(now) {
				now = after
			}
			row.Begin(now, now)
		})
	}},
}
