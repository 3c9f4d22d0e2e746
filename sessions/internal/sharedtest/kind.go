package sharedtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// A Store is a store that several nodes can share.
type Store interface {
	sessions.Store
	sessions.Rotator
	revocation.Feed
	sessions.AdminStore
	io.Closer
}

// Row returns a session of alice that lives for a day and may be idle for an hour.
func Row(id string, now time.Time) sessions.Session {
	return sessions.Session{
		Realm: "https://app.example.com", ID: id, UserID: "alice", ClientID: "app", KeyID: "key",
		Actor:     sessions.Principal{Issuer: "https://idp.example.com", Subject: "alice"},
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: time.Hour, Secret: [sessions.SecretSize]byte{1},
	}
}

// Token returns the live refresh token of a row.
func Token(row *sessions.Session) *sessions.Presented {
	return &sessions.Presented{
		Session: row.Key(), UserID: row.UserID, ClientID: row.ClientID, Generation: row.Generation, Secret: row.Secret,
	}
}

// Create inserts a row whose key must not exist.
func Create(t testing.TB, s sessions.Store, row sessions.Session) sessions.Session {
	t.Helper()
	stored, created, _, err := s.Create(context.Background(), row)
	if err != nil || !created {
		t.Fatalf("creating %q: %t, %v", row.ID, created, err)
	}
	return stored
}

// CreateErr returns the error of inserting a row.
func CreateErr(s sessions.Store, row sessions.Session) error {
	_, _, _, err := s.Create(context.Background(), row)
	return err
}

// Get reads a row that must exist.
func Get(t testing.TB, s sessions.Store, key sessions.Key) sessions.Session {
	t.Helper()
	row, err := s.Get(context.Background(), key)
	if err != nil {
		t.Fatalf("getting %q: %v", key.ID, err)
	}
	return row
}

// Revoke revokes a row that must be live.
func Revoke(t testing.TB, s Store, key sessions.Key) {
	t.Helper()
	if _, ended, err := s.Revoke(context.Background(), key, sessions.EndRevoked); err != nil || !ended {
		t.Fatalf("revoking %q: %t, %v", key.ID, ended, err)
	}
}

// WantUnavailable expects an error that leaves the outcome open.
func WantUnavailable(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("%s: %v, not ErrUnavailable", what, err)
	}
}

// names counts the names that were used.
var names atomic.Int64

// NewName returns a name that no other test uses.
func NewName() string { return fmt.Sprint("shared", names.Add(1)) }

func ctx() context.Context { return context.Background() }
