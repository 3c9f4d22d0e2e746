package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"authsidecar/sessions"
	"authsidecar/sessions/pgstore/pgtest"
	"authsidecar/sessions/revocation"
)

// A testSink remembers what it was told.
type testSink struct {
	readyC chan struct{}

	mu      sync.Mutex
	ready   int
	alive   int
	revoked map[sessions.Key]time.Time
	cutoffs map[string]revocation.Cutoff
	changed chan struct{} // closed with each change
}

func newSink() *testSink {
	return &testSink{
		readyC: make(chan struct{}), revoked: make(map[sessions.Key]time.Time), cutoffs: make(map[string]revocation.Cutoff),
		changed: make(chan struct{}),
	}
}

func (s *testSink) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *testSink) Ready() { s.change(func() { s.ready++; close(s.readyC) }) }
func (s *testSink) Alive() { s.change(func() { s.alive++ }) }
func (s *testSink) Revoked(key sessions.Key, at time.Time) {
	s.change(func() { s.revoked[key] = at })
}
func (s *testSink) Cutoff(c revocation.Cutoff) { s.change(func() { s.cutoffs[c.ID] = c }) }

// wait waits until that is so.
func (s *testSink) wait(t testing.TB, what string, so func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second) //nolint:forbidigo // a bound, not a pause
	for {
		s.mu.Lock()
		ok, changed := so(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s: not in 30 s", what)
		}
	}
}

// follow follows a store until the test ends, and returns once it is ready.
func follow(t *testing.T, s *Store) (*testSink, <-chan error) {
	t.Helper()
	sink := newSink()
	following, cancel := context.WithCancel(ctx())
	ended := make(chan error, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		ended <- s.Follow(following, sink)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	sink.wait(t, "ready", func() bool { return sink.ready == 1 })
	return sink, ended
}

// wantHeard has one node end sessions in every way, and another hear of each.
func wantHeard(t *testing.T, s *Store, sink *testSink) {
	t.Helper()
	now := s.Now()
	var keys []sessions.Key
	for _, realm := range []string{"r", "", "r\x00\xff " + strings.Repeat("long ", 2000)[:300]} {
		for _, id := range []string{"revoked", "updated", "born"} {
			row := testRow(id+"\x00 ü", now)
			row.Realm = realm
			if id == "born" {
				row.RevokedAt = now
			}
			create(t, s, row)
			keys = append(keys, row.Key())
		}
	}
	for i, key := range keys {
		var err error
		switch i % 3 {
		case 0:
			_, _, err = s.Revoke(ctx(), key, sessions.EndRevoked)
		case 1:
			_, err = s.Update(ctx(), key, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
				row.RevokedAt, row.EndReason = now, sessions.EndReuse
				return row, true
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range keys {
		at := get(t, s, key).RevokedAt
		sink.wait(t, fmt.Sprintf("%q is revoked", key), func() bool { return sink.revoked[key].Equal(at) })
	}
	for i, filter := range []sessions.Filter{
		{User: "\xff\x00"},
		{Actor: &sessions.Principal{Issuer: "i", Subject: "s"}},
		{Impersonations: true},
		{User: strings.Repeat("too long for a notice", 1000)},
	} {
		c := revocation.Cutoff{ID: fmt.Sprint("cutoff ", i), Realm: "r\x00", At: s.Now(), Filter: filter}
		if _, err := s.AddCutoff(ctx(), c); err != nil {
			t.Fatal(err)
		}
		sink.wait(t, fmt.Sprint("cutoff ", i), func() bool { return reflect.DeepEqual(sink.cutoffs[c.ID], c) })
	}
	alive := 0
	sink.wait(t, "alive", func() bool { alive = sink.alive; return true })
	sink.wait(t, "alive again", func() bool { return sink.alive >= alive+2 })
}

func TestItem5_ANodeHearsWhatAnotherEnds(t *testing.T) {
	for name, opts := range map[string]Options{"listening": {}, "polling": {Poll: true}} {
		t.Run(name, func(t *testing.T) {
			opts.Schema = newSchema()
			speaker := openStore(t, Options{Schema: opts.Schema})
			sink, _ := follow(t, openStore(t, opts))
			wantHeard(t, speaker, sink)
			if sink.ready != 1 {
				t.Errorf("ready %d times", sink.ready)
			}
		})
	}
}

// TestItem5_TwoSchemasDoNotHearEachOther in one database.
func TestItem5_TwoSchemasDoNotHearEachOther(t *testing.T) {
	here, there := openStore(t, Options{}), openStore(t, Options{})
	sink, _ := follow(t, here)
	other := create(t, there, testRow("other", there.Now()))
	mine := create(t, here, testRow("mine", here.Now()))
	for _, end := range []struct {
		s   *Store
		key sessions.Key
	}{{there, other.Key()}, {here, mine.Key()}} {
		if _, _, err := end.s.Revoke(ctx(), end.key, sessions.EndRevoked); err != nil {
			t.Fatal(err)
		}
	}
	sink.wait(t, "mine", func() bool { return len(sink.revoked) > 0 })
	if _, heard := sink.revoked[other.Key()]; heard {
		t.Error("the revocation of another schema was heard")
	}
}

// TestItem5_ADatabaseWithoutNotifyIsPolled renames the function away.
func TestItem5_ADatabaseWithoutNotifyIsPolled(t *testing.T) {
	srv := pgtest.Start(t, "allow_system_table_mods = on")
	srv.Exec(t, "postgres", "ALTER FUNCTION pg_catalog.pg_notify(text, text) RENAME TO pg_notify_is_gone")
	s := openStore(t, Options{DSN: srv.DSN("postgres")})
	everything(t, s)
	sink, _ := follow(t, s)
	wantHeard(t, s, sink)
}

// TestItem5_WhoMayNotNotifyMayNotStart: others who listen would not hear it.
func TestItem5_WhoMayNotNotifyMayNotStart(t *testing.T) {
	srv := server(t)
	srv.Exec(t, "postgres", "CREATE DATABASE mute; CREATE ROLE mute LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE mute TO mute")
	srv.Exec(t, "mute", "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC")
	_, err := Open(ctx(), Options{DSN: srv.DSNOf("mute", "mute", "x")})
	if !errors.Is(err, sessions.ErrUnavailable) || !strings.Contains(err.Error(), "pg_notify") {
		t.Errorf("opened: %v", err)
	}
}

// TestItem5_WhatCannotBeReadIsLookedUp says on the channel what a newer release might.
func TestItem5_WhatCannotBeReadIsLookedUp(t *testing.T) {
	s := openStore(t, Options{})
	sink, ended := follow(t, s)
	row := create(t, s, testRow("silent", s.Now()))
	server(t).Exec(t, "postgres", fmt.Sprintf(`INSERT INTO %s.revocations VALUES ('%s', '%s', 5, %d); NOTIFY %s, 'something new'`,
		s.sql.schema, row.Realm, row.ID, s.Now().UnixMilli(), s.sql.channel))
	sink.wait(t, "looked up", func() bool { return sink.revoked[row.Key()].Equal(fromMillis(5)) })
	select {
	case err := <-ended:
		t.Errorf("the feed ended: %v", err)
	default:
	}
}

// proxy puts a proxy before the server.
func proxy(t *testing.T, srv *pgtest.Server) (*toxiproxy.Proxy, int) {
	t.Helper()
	log := zerolog.New(io.Discard)
	proxies := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), log)
	p := toxiproxy.NewProxy(proxies, "postgres", "127.0.0.1:0", fmt.Sprintf("127.0.0.1:%d", srv.Port))
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	var port int
	if _, err := fmt.Sscanf(p.Listen, "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	return p, port
}

func toxic(t *testing.T, p *toxiproxy.Proxy, json string) {
	t.Helper()
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(json)); err != nil {
		t.Fatal(err)
	}
}

// TestItem5_AFeedThatLagsIsNoFeed delays what is heard, and nothing else: heartbeats
// come, but as late as revocations would.
func TestItem5_AFeedThatLagsIsNoFeed(t *testing.T) {
	srv := server(t)
	p, port := proxy(t, srv)
	s := openStore(t, Options{ListenDSN: pgtest.DSN(port, "postgres", "postgres", pgtest.Password)})
	sink, ended := follow(t, s)
	toxic(t, p, `{"type": "latency", "stream": "downstream", "attributes": {"latency": 1500}}`)
	err := <-ended
	if !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("it ended with %v", err)
	}
	sink.mu.Lock()
	ready := sink.ready
	sink.mu.Unlock()
	if ready != 1 {
		t.Errorf("ready %d times", ready)
	}
}

// TestItem5_AFeedThatIsCutSaysSo cuts the connection that listens, silently and not.
func TestItem5_AFeedThatIsCutSaysSo(t *testing.T) {
	for name, cut := range map[string]func(t *testing.T, srv *pgtest.Server, p *toxiproxy.Proxy){
		"silently": func(t *testing.T, _ *pgtest.Server, p *toxiproxy.Proxy) {
			toxic(t, p, `{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
		},
		"at once": func(_ *testing.T, _ *pgtest.Server, p *toxiproxy.Proxy) { p.Stop() },
		"by the server": func(t *testing.T, srv *pgtest.Server, _ *toxiproxy.Proxy) {
			srv.Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := server(t)
			p, port := proxy(t, srv)
			s := openStore(t, Options{ListenDSN: pgtest.DSN(port, "postgres", "postgres", pgtest.Password)})
			_, ended := follow(t, s)
			cut(t, srv, p)
			if err := <-ended; !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, errDeaf) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

func TestNoticesAreReadStrictly(t *testing.T) {
	for _, payload := range []string{
		"", " ", "r", "r 1", "r 1 YQ", "r x YQ YQ", "r 1 Y@ YQ", "r 1 YQ YQ x", "c 1 YQ YQ", "h", "h x", "h x y", "x 1 YQ YQ", "look ", "R 1 YQ YQ",
		"r 1  YQ", "r 1 YQ ",
	} {
		if n, err := readNotice(payload); err == nil {
			t.Errorf("%q is read as %+v", payload, n)
		}
	}
}

func FuzzNotice(f *testing.F) {
	c := revocation.Cutoff{ID: "c", Realm: "r", At: epoch, Filter: sessions.Filter{User: "\xff"}}
	f.Add("r 5 "+name(sessions.Key{Realm: "r", ID: ""}), "r")
	f.Add("c 5 "+cutoffNotice(&c, []byte(`{"v":1}`)), "x")
	f.Add("h node 77", "\x00")
	f.Fuzz(func(t *testing.T, payload, text string) {
		_, _ = readNotice(payload)
		n, err := readNotice("r 5 " + name(sessions.Key{Realm: text, ID: payload}))
		if err != nil || n.key.Realm != text || n.key.ID != payload {
			t.Errorf("%q and %q are read as %+v, %v", text, payload, n.key, err)
		}
	})
}
