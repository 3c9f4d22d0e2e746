package sessions

import (
	"context"
	"fmt"
	"time"

	"authsidecar/sessions/event"
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
	m.revocations().Remember(&row)
	if ended {
		m.report(ctx, &Event{Kind: event.Revoked, Session: &row, By: by.by, IP: by.ip})
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

// RevokeRow revokes a session on behalf of by, whose right to do that was decided before: a
// bulk revocation revokes the rows that it selects one by one. ErrNotFound: it was swept.
func (m *Manager) RevokeRow(ctx context.Context, key Key, by Principal) error {
	return m.end(ctx, key, EndRevoked, ender{by: by})
}

// cutOff reports whether a bulk revocation revoked the session.
func (m *Manager) cutOff(s *Session) bool { return m.revocations().RevokedByCutoff(s.Ref()) }

// live reports whether the session is not over at now.
func (m *Manager) live(s *Session, now time.Time) bool { return s.Live(now) && !m.cutOff(s) }

// Ref returns the reference to the session that an access token of ours has.
func (m *Manager) Ref(c *Caller) Ref {
	return Ref{
		Key:           Key{Realm: m.Realm, ID: c.SessionID},
		UserID:        c.Subject,
		Impersonation: c.Acting,
		Actor:         c.Actor,
		CreatedAt:     c.SessionCreated,
		StoreID:       c.StoreID,
	}
}

// Revoked reports whether the session of an access token of ours was revoked. An error
// wraps ErrUnavailable: that is unknown.
func (m *Manager) Revoked(ctx context.Context, c *Caller) (bool, error) {
	return m.revocations().Revoked(ctx, m.Ref(c))
}
