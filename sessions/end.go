package sessions

import (
	"context"
	"fmt"
	"time"
)

// An ender is who ended a session, and from where; nothing where nobody asked
// for it.
type ender struct {
	by Principal
	ip string
}

// end revokes a session, for a reason. It is no error if it was over already. When
// it returns, the access tokens of the session are over too.
func (m *Manager) end(ctx context.Context, key Key, reason EndReason, by ender) error {
	row, ended, err := m.revoke(ctx, key, reason)
	if err != nil {
		return fmt.Errorf("ending session: %w", err)
	}
	m.deny(&row)
	if ended {
		m.report(ctx, &Event{Kind: EventRevoked, Session: &row, By: by.by, IP: by.ip})
	}
	return nil
}

func (m *Manager) revoke(ctx context.Context, key Key, reason EndReason) (row Session, ended bool, err error) {
	if store, ok := As[Rotator](m.Store); ok {
		return store.Revoke(ctx, key, reason)
	}
	row, err = m.Store.Update(ctx, key, func(row Session, now time.Time) (Session, bool) {
		ended = row.RevokedAt.IsZero()
		if !ended {
			return row, false
		}
		row.RevokedAt, row.EndReason = now, reason
		return row, true
	})
	return row, ended, err
}

// deny keeps the access tokens of a row that was revoked from being used, unless
// they are over as it is.
func (m *Manager) deny(row *Session) {
	if !row.RevokedAt.IsZero() && row.RevokedAt.Sub(row.RotatedAt) < RevocationMemory {
		m.watch().Deny.Deny(row.Key(), row.RevokedAt)
	}
}

// Facts returns what an access token of ours says of its session.
func (m *Manager) Facts(c *Caller) Facts {
	return Facts{
		Key:           Key{Realm: m.Realm, ID: c.SessionID},
		UserID:        c.Subject,
		Impersonation: c.Acting,
		Actor:         c.Actor,
		CreatedAt:     c.SessionCreated,
		StoreID:       c.StoreID,
	}
}

// Ended tells whether the session of an access token of ours was ended.
// ErrUnavailable: nobody can tell now.
func (m *Manager) Ended(ctx context.Context, c *Caller) (bool, error) {
	f := m.Facts(c)
	return m.watch().Ended(ctx, &f)
}
