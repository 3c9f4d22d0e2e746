package caddymodule_test

import (
	"strings"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
	"authsidecar/sessions/redisstore/redistest"
)

// An access token is of a session in one store. A reload that leads to another leaves it
// nothing to be good for.
func TestStoreID_AReloadToAnotherFolderRefusesTheTokensOfTheFirst(t *testing.T) {
	t.Parallel()
	d := newDownSite(t, "store pebble DIR/one")
	app := sidecartest.Echo(t)
	one, two := d.with(app, "store pebble DIR/one"), d.with(app, "store pebble DIR/two")
	d.Start(one)
	alice := d.Token("alice", nil)
	first := d.Create(alice, `{"user_id":"alice"}`).Text("access_token")
	sidecartest.WantStatus(t, d.visit(first), 200)
	if err := d.Reload(two); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, d.visit(first), 401)
	second := d.Create(alice, `{"user_id":"alice"}`).Text("access_token")
	sidecartest.WantStatus(t, d.visit(second), 200)
	if err := d.Reload(one); err != nil {
		t.Fatal(err)
	}
	sidecartest.WantStatus(t, d.visit(first), 200)
	sidecartest.WantStatus(t, d.visit(second), 401)
	d.Stop()
	d.Start(one)
	sidecartest.WantStatus(t, d.visit(first), 200)
}

// Who empties the server's database ends all sessions in it, also those whose revocation was
// only known there.
func TestStoreID_AnEmptiedServerRefusesTheTokensOfBefore(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) (store string, empty func()){
		"redis": func(t *testing.T) (string, func()) {
			server := redistest.Start(t)
			return storeRedis(t, server.Addr(), engineName()), func() { server.Do(t, "FLUSHALL") }
		},
		"postgres": func(t *testing.T) (string, func()) {
			server, schema := sharedPostgres.Get(t), engineName()
			return storePostgres(t, server, schema), func() {
				server.Exec(t, "postgres", strings.ReplaceAll("TRUNCATE {s}.sessions, {s}.revocations, {s}.cutoffs, {s}.identity", "{s}", schema))
			}
		},
		"postgres, its schema dropped": func(t *testing.T) (string, func()) {
			server, schema := sharedPostgres.Get(t), engineName()
			store := storePostgres(t, server, schema)
			return store, func() {
				server.Exec(t, "postgres", "DROP SCHEMA "+schema+" CASCADE")
				another := newDownSite(t, store) // a node that starts makes it again
				another.Start(another.config)
				another.Stop()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, empty := start(t)
			d := newDownSite(t, store)
			d.Start(d.config)
			alice := d.Token("alice", nil)
			made := func() sidecartest.Answer {
				got := d.Create(alice, `{"user_id":"alice"}`)
				sidecartest.WantStatus(t, got, 200)
				sidecartest.WantStatus(t, d.visit(got.Text("access_token")), 200)
				return got
			}
			good, revoked := made(), made()
			sidecartest.WantStatus(t, d.Call("DELETE", "/"+revoked.Text("session_id"), alice, ""), 200)
			d.Stop()
			empty()
			d.Start(d.config)
			sidecartest.WantStatus(t, d.visit(good.Text("access_token")), 401)
			sidecartest.WantStatus(t, d.visit(revoked.Text("access_token")), 401)

			running := made()
			empty()
			t.Logf("a running node refuses the access token after %s", d.refusedWithin(running.Text("access_token"), 10*time.Second))
			d.WaitLog("the session store was emptied or replaced")
			made()
		})
	}
}
