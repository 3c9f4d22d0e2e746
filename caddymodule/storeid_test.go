package caddymodule_test

import (
	"testing"
	"time"

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
	t.Parallel()
	server := redistest.Start(t)
	d := newDownSite(t, storeRedis(t, server.Addr()))
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
	server.CLI(t, "FLUSHALL")
	d.start(d.config)
	wantStatus(t, d.visit(good.text("access_token")), 401)
	wantStatus(t, d.visit(revoked.text("access_token")), 401)

	running := made()
	server.CLI(t, "FLUSHALL")
	t.Logf("a running node refuses the access token after %s", d.refusedWithin(running.text("access_token"), 10*time.Second))
	d.waitLog("the session store was emptied or replaced")
	made()
}
