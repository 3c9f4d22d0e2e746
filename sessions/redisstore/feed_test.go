package redisstore

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
	"github.com/redis/rueidis"
	"github.com/rs/zerolog"

	"authsidecar/sessions"
	"authsidecar/sessions/redisstore/redistest"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
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
	for name, url := range map[string]string{"a server": server(t).URL(0), "a cluster": cluster(t).URL()} {
		t.Run(name, func(t *testing.T) {
			opts := Options{URL: url, Prefix: newPrefix()}
			speaker := openStore(t, opts)
			sink, _ := follow(t, openStore(t, opts))
			wantHeard(t, speaker, sink)
			if sink.ready != 1 {
				t.Errorf("ready %d times", sink.ready)
			}
		})
	}
}

// TestItem5_OthersAreNotHeard: of another prefix, of another database.
func TestItem5_OthersAreNotHeard(t *testing.T) {
	here, there := openStore(t, Options{}), openStore(t, Options{})
	elsewhere := openStore(t, Options{URL: server(t).URL(1), Prefix: here.opts.Prefix})
	sink, _ := follow(t, here)
	for i, s := range []*Store{there, elsewhere, here} {
		row := create(t, s, testRow(fmt.Sprint(i), s.Now()))
		if _, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); err != nil {
			t.Fatal(err)
		}
	}
	mine := testRow("2", epoch)
	sink.wait(t, "mine", func() bool { return !sink.revoked[mine.Key()].IsZero() })
	if len(sink.revoked) != 1 {
		t.Errorf("heard are %v", sink.revoked)
	}
}

// TestItem5_WhatCannotBeReadIsLookedUp says on the channel what a newer release might.
func TestItem5_WhatCannotBeReadIsLookedUp(t *testing.T) {
	for _, payload := range []string{"something new", "r 5 new", "c 5 " + label(sessions.Key{Realm: "r", ID: "c"}) + `{"v": 1000}`} {
		s := openStore(t, Options{})
		sink, ended := follow(t, s)
		row := create(t, s, testRow("silent", s.Now()))
		at := s.Now()
		c := revocation.Cutoff{ID: "c", Realm: "r", At: at, Filter: sessions.Filter{User: "u"}}
		data, err := rowcodec.EncodeCutoff(&c)
		if err != nil {
			t.Fatal(err)
		}
		b := s.client.B()
		for _, command := range []rueidis.Completed{
			b.Zadd().Key(s.keys.log(0)).ScoreMember().ScoreMember(float64(at.UnixMilli()), label(row.Key())).Build(),
			b.Hset().Key(s.keys.cutoffs()).FieldValue().FieldValue(cutoffField(&c), string(data)).Build(),
			b.Publish().Channel(s.feed).Message(payload).Build(),
		} {
			if err := s.client.Do(ctx(), command).Error(); err != nil {
				t.Fatal(err)
			}
		}
		sink.wait(t, "looked up", func() bool { return sink.revoked[row.Key()].Equal(at) && reflect.DeepEqual(sink.cutoffs["c"], c) })
		select {
		case err := <-ended:
			t.Errorf("the feed ended: %v", err)
		default:
		}
	}
}

// proxy puts a proxy before the server.
func proxy(t *testing.T, srv *redistest.Server) (*toxiproxy.Proxy, int) {
	t.Helper()
	log := zerolog.New(io.Discard)
	proxies := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), log)
	p := toxiproxy.NewProxy(proxies, "redis", "127.0.0.1:0", fmt.Sprintf("127.0.0.1:%d", srv.Port))
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

// TestItem5_AFeedThatLagsIsNoFeed delays what is heard: heartbeats come, but as late as
// revocations would.
func TestItem5_AFeedThatLagsIsNoFeed(t *testing.T) {
	p, port := proxy(t, server(t))
	s := openStore(t, Options{URL: redistest.URL(port, "", redistest.Password, 0)})
	sink, ended := follow(t, s)
	toxic(t, p, `{"type": "latency", "stream": "downstream", "attributes": {"latency": 1500}}`)
	if err := <-ended; !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("it ended with %v", err)
	}
	sink.mu.Lock()
	defer sink.mu.Unlock()
	if sink.ready != 1 {
		t.Errorf("ready %d times", sink.ready)
	}
}

// TestItem5_AFeedThatIsCutSaysSo cuts the connection that listens, silently and not.
func TestItem5_AFeedThatIsCutSaysSo(t *testing.T) {
	for name, cut := range map[string]func(t *testing.T, srv *redistest.Server, p *toxiproxy.Proxy){
		"silently": func(t *testing.T, _ *redistest.Server, p *toxiproxy.Proxy) {
			toxic(t, p, `{"name": "lost", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
		},
		"at once": func(_ *testing.T, _ *redistest.Server, p *toxiproxy.Proxy) { p.Stop() },
		"by the server": func(t *testing.T, srv *redistest.Server, _ *toxiproxy.Proxy) {
			srv.CLI(t, "CLIENT", "KILL", "TYPE", "pubsub")
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := server(t)
			p, port := proxy(t, srv)
			s := openStore(t, Options{URL: redistest.URL(port, "", redistest.Password, 0)})
			sink, ended := follow(t, s)
			cut(t, srv, p)
			if err := <-ended; !errors.Is(err, sessions.ErrUnavailable) {
				t.Errorf("it ended with %v", err)
			}
			sink.mu.Lock()
			alive := sink.alive
			sink.mu.Unlock()
			if alive == 0 {
				t.Error("it never lived")
			}
			// When the way is clear again, the next one hears.
			_ = p.Toxics.RemoveToxic(ctx(), "lost")
			p.Stop()
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the store is back", func() error { return s.Ping(ctx()) })
			again, _ := follow(t, s)
			row := create(t, s, testRow(newPrefix(), s.Now()))
			if _, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); err != nil {
				t.Fatal(err)
			}
			again.wait(t, "heard again", func() bool { return !again.revoked[row.Key()].IsZero() })
		})
	}
}

func TestNoticesAreReadStrictly(t *testing.T) {
	l := label(sessions.Key{Realm: "r", ID: "i"})
	for _, payload := range []string{
		"", " ", "r", "r 1", "r 1 ", "r 1 a", "r x " + l, "r 1 " + l + "x", "r 1  " + l[:len(l)-1], "c 1 " + l, "h", "h x", "h x y", "x 1 " + l, "R 1 " + l, "rr 1 " + l,
	} {
		if n, err := readNotice(payload); err == nil {
			t.Errorf("%q is read as %+v", payload, n)
		}
	}
}

func FuzzNotice(f *testing.F) {
	c := revocation.Cutoff{ID: "c", Realm: "r", At: epoch, Filter: sessions.Filter{User: "\xff"}}
	f.Add("r 5 "+label(sessions.Key{Realm: "r", ID: ""}), "r")
	f.Add("c 5 "+label(sessions.Key{Realm: c.Realm, ID: c.ID})+`{"v":1}`, "\x00")
	f.Add("h node 77", "a\x00\xff\x00")
	f.Fuzz(func(t *testing.T, payload, text string) {
		_, _ = readNotice(payload)
		n, err := readNotice("r 5 " + label(sessions.Key{Realm: text, ID: payload}))
		if err != nil || n.key.Realm != text || n.key.ID != payload {
			t.Errorf("%q and %q are read as %+v, %v", text, payload, n.key, err)
		}
		row := sessions.Session{Realm: payload, ID: text, CreatedAt: epoch}
		m := newMark(&row, 5)
		created, id, _, ok := readEntry(m.entry())
		if !m.ok() || m.key() != row.Key() || id != text || !created.Equal(epoch) || !ok {
			t.Errorf("the mark of %q is %q", row.Key(), m)
		}
	})
}
