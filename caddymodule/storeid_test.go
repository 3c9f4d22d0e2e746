package caddymodule_test

import (
	"testing"
	"time"

	"authsidecar/sessions/pgstore/pgtest"
	"authsidecar/sessions/redisstore/redistest"
)

// An access token is of a session in one store. A reload that leads to another leaves it
// nothing to be good for.
func TestStoreID_AReloadToAnotherFolderRefusesTheTokensOfTheFirst(t *testing.T) {
	t.Parallel()
	d := newDownSite(t, "store pebble DIR/one")
	app := echo(t).URL
	one, two := d.with(app, "store pebble DIR/one"), d.with(app, "store pebble DIR/two")
	d.start(one)
	alice := d.token("alice", nil)
	first := create(t, d.url, alice, `{"user_id":"alice"}`).text("access_token")
	wantStatus(t, d.visit(first), 200)
	if err := d.reload(two); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, d.visit(first), 401)
	second := create(t, d.url, alice, `{"user_id":"alice"}`).text("access_token")
	wantStatus(t, d.visit(second), 200)
	if err := d.reload(one); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, d.visit(first), 200)
	wantStatus(t, d.visit(second), 401)
	d.stop()
	d.start(one)
	wantStatus(t, d.visit(first), 200)
}

// Who empties the server's database ends all sessions in it, also those whose revocation was
// only known there.
func TestStoreID_AnEmptiedServerRefusesTheTokensOfBefore(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) (store string, empty func()){
		"redis": func(t *testing.T) (string, func()) {
			server := redistest.Start(t)
			return storeRedis(t, server.Addr()), func() { server.CLI(t, "FLUSHALL") }
		},
		"postgres": func(t *testing.T) (string, func()) {
			server := pgtest.Start(t)
			return storePostgres(t, server), func() {
				server.Exec(t, "postgres", "TRUNCATE auth_sessions.sessions, auth_sessions.revocations, auth_sessions.cutoffs, auth_sessions.identity")
			}
		},
		"postgres, its schema dropped": func(t *testing.T) (string, func()) {
			server := pgtest.Start(t)
			store := storePostgres(t, server)
			return store, func() {
				server.Exec(t, "postgres", "DROP SCHEMA auth_sessions CASCADE")
				another := newDownSite(t, store) // a node that starts makes it again
				another.start(another.config)
				another.stop()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, empty := start(t)
			d := newDownSite(t, store)
			d.start(d.config)
			alice := d.token("alice", nil)
			made := func() answer {
				got := create(t, d.url, alice, `{"user_id":"alice"}`)
				wantStatus(t, got, 200)
				wantStatus(t, d.visit(got.text("access_token")), 200)
				return got
			}
			good, revoked := made(), made()
			wantStatus(t, d.call("DELETE", "/"+revoked.text("session_id"), alice, ""), 200)
			d.stop()
			empty()
			d.start(d.config)
			wantStatus(t, d.visit(good.text("access_token")), 401)
			wantStatus(t, d.visit(revoked.text("access_token")), 401)

			running := made()
			empty()
			t.Logf("a running node refuses the access token after %s", d.refusedWithin(running.text("access_token"), 10*time.Second))
			d.waitLog("the session store was emptied or replaced")
			made()
		})
	}
}
