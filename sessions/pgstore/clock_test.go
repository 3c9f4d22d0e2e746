package pgstore

import (
	"testing"
	"time"

	"authsidecar/sessions"
)

// TestS6_TheServersClockDecides has a node whose own clock is five hours off.
func TestS6_TheServersClockDecides(t *testing.T) {
	for _, off := range []time.Duration{-5 * time.Hour, 5 * time.Hour} {
		s := openStore(t, Options{Clock: func() time.Time { return time.Now().Add(off) }})
		server := func() (at time.Time) {
			if err := s.query(ctx(), s.sql.ping, s.at(), func(r *reader) error { at = fromMillis(r.int()); return nil }); err != nil {
				t.Fatal(err)
			}
			return at
		}
		near := func(what string, at time.Time) {
			t.Helper()
			if apart := server().Sub(at).Abs(); apart > time.Minute {
				t.Errorf("%s is %v from the server's clock", what, apart)
			}
		}
		near("Now", s.Now())
		row := create(t, s, testRow("one", s.Now()))
		p := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Secret: row.Secret}
		next, at, rotated, err := s.Rotate(ctx(), &p, &sessions.Fresh{KeyID: "k"})
		if err != nil || !rotated {
			t.Fatal(rotated, err)
		}
		near("the time of the rotation", at)
		near("RotatedAt", next.RotatedAt)
		ended, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked)
		if err != nil {
			t.Fatal(err)
		}
		near("RevokedAt", ended.RevokedAt)
	}
}

// TestAWayInTheClearIsWarnedOf reads configurations as Open does.
func TestAWayInTheClearIsWarnedOf(t *testing.T) {
	for dsn, want := range map[string]string{
		"host=db.example.com":                            "db.example.com",
		"host=db.example.com sslmode=disable":            "db.example.com",
		"host=db.example.com sslmode=prefer":             "db.example.com",
		"host=db.example.com sslmode=require":            "db.example.com",
		"host=db.example.com sslmode=verify-full":        "",
		"postgres://a@192.0.2.1/x?sslmode=allow":         "192.0.2.1",
		"host=127.0.0.1,db2.example.com sslmode=disable": "db2.example.com",
		"host=127.0.0.1":                                 "",
		"postgres://[::1]/x?sslmode=disable":             "",
		"host=localhost sslmode=disable":                 "",
		"host=/var/run/postgresql":                       "",
	} {
		opts := Options{DSN: dsn}
		opts.defaults()
		config, err := opts.listener()
		if err != nil {
			t.Fatal(dsn, err)
		}
		if got := exposed(config); got != want {
			t.Errorf("%s: exposed is %q, not %q", dsn, got, want)
		}
	}
}
