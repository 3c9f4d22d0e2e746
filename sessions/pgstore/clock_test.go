package pgstore

import (
	"sync/atomic"
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

func TestNowNeverGoesBack(t *testing.T) {
	var local atomic.Int64
	var c serverClock
	c.start(func() time.Time { return time.UnixMilli(local.Load()) })
	for _, step := range []struct{ local, server, want int64 }{
		{0, 1000, 1000}, {100, 0, 1100}, {100, 900, 1100}, {200, 0, 1100}, {350, 0, 1150}, {350, 5000, 5000}, {351, 0, 5001},
	} {
		local.Store(step.local)
		if step.server != 0 {
			c.learn(step.server)
		}
		if got := c.now().UnixMilli(); got != step.want {
			t.Errorf("%+v: now is %d", step, got)
		}
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
