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

// A Store is one that several nodes share.
type Store interface {
	sessions.Store
	sessions.Rotator
	revocation.Feed
	sessions.AdminStore
	io.Closer
}

// Row is a session of alice's that lives a day and may be idle for an hour.
func Row(id string, now time.Time) sessions.Session {
	return sessions.Session{
		Realm: "https://app.example.com", ID: id, UserID: "alice", ClientID: "app", KeyID: "key",
		Actor:     sessions.Principal{Issuer: "https://idp.example.com", Subject: "alice"},
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: time.Hour, Secret: [sessions.SecretSize]byte{1},
	}
}

// Token is the live refresh token of a row.
func Token(row *sessions.Session) *sessions.Presented {
	return &sessions.Presented{
		Session: row.Key(), UserID: row.UserID, ClientID: row.ClientID, Generation: row.Generation, Secret: row.Secret,
	}
}

// Create puts a row that is not there.
func Create(t testing.TB, s sessions.Store, row sessions.Session) sessions.Session {
	t.Helper()
	stored, created, _, err := s.Create(context.Background(), row)
	if err != nil || !created {
		t.Fatalf("creating %q: %t, %v", row.ID, created, err)
	}
	return stored
}

// CreateErr is the error of creating a row.
func CreateErr(s sessions.Store, row sessions.Session) error {
	_, _, _, err := s.Create(context.Background(), row)
	return err
}

// Get reads a row that is there.
func Get(t testing.TB, s sessions.Store, key sessions.Key) sessions.Session {
	t.Helper()
	row, err := s.Get(context.Background(), key)
	if err != nil {
		t.Fatalf("getting %q: %v", key.ID, err)
	}
	return row
}

// Revoke revokes a row that is live.
func Revoke(t testing.TB, s Store, key sessions.Key) {
	t.Helper()
	if _, ended, err := s.Revoke(context.Background(), key, sessions.EndRevoked); err != nil || !ended {
		t.Fatalf("revoking %q: %t, %v", key.ID, ended, err)
	}
}

// WantUnavailable expects an error that says nothing about the session.
func WantUnavailable(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("%s: %v, not ErrUnavailable", what, err)
	}
}

// names counts those that tests were given.
var names atomic.Int64

// NewName is one that no other test uses.
func NewName() string { return fmt.Sprint("shared", names.Add(1)) }

func ctx() context.Context { return context.Background() }
