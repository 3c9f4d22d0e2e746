package pgstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/pgstore/pgtest"
)

// eventually tries until it works, for as long as a test may take.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second) //nolint:forbidigo // a bound, not a pause
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// wantUnavailable expects an error that says nothing about the session.
func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, sessions.ErrUnavailable) || errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("%s: %v, not ErrUnavailable", what, err)
	}
}

// TestItem6_AnAnswerThatIsLostIsNoAnswer commits transitions whose answers never come.
func TestItem6_AnAnswerThatIsLostIsNoAnswer(t *testing.T) {
	p, port := proxy(t, server(t))
	direct := openStore(t, Options{})
	s := openStore(t, Options{DSN: pgtest.DSN(port, "postgres", "postgres", pgtest.Password), Schema: direct.opts.Schema, Timeout: time.Second})
	row := create(t, direct, testRow("rotated", direct.Now()))
	revoked := create(t, direct, testRow("revoked", direct.Now()))
	presented := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Secret: row.Secret}
	fresh := sessions.Fresh{Secret: [16]byte{2}, KeyID: "k"}
	if err := s.Ping(ctx()); err != nil {
		t.Fatal(err)
	}
	for _, call := range []struct {
		name string
		do   func() error
		done func() error // what it did
	}{
		{
			"Create",
			func() error { _, _, err := s.Create(ctx(), testRow("created", s.Now())); return err },
			func() error { _, err := direct.Get(ctx(), sessions.Key{Realm: row.Realm, ID: "created"}); return err },
		},
		{
			"Rotate",
			func() error { _, _, _, err := s.Rotate(ctx(), &presented, &fresh); return err },
			func() error {
				if now := get(t, direct, row.Key()); now.Generation != 1 || now.Secret != fresh.Secret {
					return fmt.Errorf("generation %d", now.Generation)
				}
				return nil
			},
		},
		{
			"Revoke",
			func() error { _, _, err := s.Revoke(ctx(), revoked.Key(), sessions.EndRevoked); return err },
			func() error {
				if get(t, direct, revoked.Key()).RevokedAt.IsZero() {
					return errors.New("not revoked")
				}
				return nil
			},
		},
	} {
		t.Run(call.name, func(t *testing.T) {
			toxic(t, p, `{"name": "lost", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`)
			wantUnavailable(t, call.name, call.do())
			eventually(t, call.name+" was committed", call.done)
			p.Stop()
			if err := p.Toxics.RemoveToxic(ctx(), "lost"); err != nil {
				t.Fatal(err)
			}
			wantUnavailable(t, call.name+" without a server", call.do())
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the store is back", func() error { return s.Ping(ctx()) })
		})
	}
	// The token whose rotation nobody was told of gets the same successor.
	rules := sessions.Rotation{Grace: time.Minute, Permit: func(*sessions.Session) error { return nil }}
	var out sessions.Outcome
	if _, _, rotated, err := s.Rotate(ctx(), &presented, &sessions.Fresh{KeyID: "k"}); rotated || err != nil {
		t.Errorf("rotated twice: %v", err)
	}
	now, err := s.Update(ctx(), row.Key(), func(row sessions.Session, at time.Time) (next sessions.Session, write bool) {
		next, write, out = rules.Present(row, &presented, &fresh, at)
		return next, write
	})
	if err != nil || out.Kind != sessions.EventRetried || now.Secret != fresh.Secret {
		t.Errorf("the retry is %s of generation %d, %v", out.Kind, now.Generation, err)
	}
	if _, ended, err := s.Revoke(ctx(), revoked.Key(), sessions.EndReuse); ended || err != nil {
		t.Errorf("ended twice: %v", err)
	}
}

// load creates and rotates sessions until it is told to stop, and remembers what was
// acknowledged.
type load struct {
	mu           sync.Mutex
	acknowledged map[sessions.Key]uint64 // generation
	failed       atomic.Int64
	done         atomic.Int64
	stop         chan struct{}
	all          sync.WaitGroup
}

func startLoad(t *testing.T, s *Store, workers int) *load {
	l := &load{acknowledged: make(map[sessions.Key]uint64), stop: make(chan struct{})}
	for w := range workers {
		l.all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				if err := l.one(s, fmt.Sprintf("%d-%d", w, i)); err != nil {
					l.failed.Add(1)
					wantUnavailable(t, "under load", err)
				} else {
					l.done.Add(1)
				}
			}
		})
	}
	return l
}

func (l *load) one(s *Store, id string) error {
	row, _, err := s.Create(ctx(), testRow(id, s.Now()))
	if err != nil {
		return err
	}
	l.know(row)
	p := sessions.Presented{Session: row.Key(), UserID: "alice", ClientID: "app", Secret: row.Secret}
	row, _, rotated, err := s.Rotate(ctx(), &p, &sessions.Fresh{Secret: [16]byte{9}, KeyID: "k"})
	if err == nil && rotated {
		l.know(row)
	}
	return err
}

func (l *load) know(row sessions.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[row.Key()] = row.Generation
}

// wantKept ends the load and expects all that was acknowledged in the store, or newer.
func (l *load) wantKept(t *testing.T, s *Store) {
	t.Helper()
	close(l.stop)
	l.all.Wait()
	if len(l.acknowledged) == 0 {
		t.Error("nothing was acknowledged")
	}
	lost := 0
	for key, generation := range l.acknowledged {
		row, err := s.Get(ctx(), key)
		if err != nil || row.Generation < generation || row.Generation > 1 {
			lost++
			t.Logf("%s: acknowledged in generation %d, is %d, %v", key.ID, generation, row.Generation, err)
		}
	}
	if lost > 0 {
		t.Errorf("of %d sessions that were acknowledged %d are not as they were", len(l.acknowledged), lost)
	}
	t.Logf("%d calls were acknowledged, %d failed", l.done.Load(), l.failed.Load())
}

// more waits until so many more calls were acknowledged.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	begin := l.done.Load()
	eventually(t, "calls are acknowledged", func() error {
		if l.done.Load() < begin+n {
			return fmt.Errorf("%d of %d", l.done.Load()-begin, n)
		}
		return nil
	})
}

// TestItem6_AServerThatIsKilledLosesNothing kills it three times under load.
func TestItem6_AServerThatIsKilledLosesNothing(t *testing.T) {
	srv := pgtest.Start(t)
	s := openStore(t, Options{DSN: srv.DSN("postgres"), Timeout: 2 * time.Second})
	l := startLoad(t, s, 8)
	for round := range 3 {
		l.more(t, 50)
		if round == 1 {
			srv.Stop()
		} else {
			srv.Kill()
		}
		eventually(t, "calls fail", func() error {
			if _, err := s.Get(ctx(), sessions.Key{Realm: "r", ID: "x"}); !errors.Is(err, sessions.ErrUnavailable) {
				return fmt.Errorf("without a server: %w", err)
			}
			return nil
		})
		srv.Begin(t)
	}
	l.more(t, 50)
	l.wantKept(t, s)
}

// TestItem6_AFailoverLosesNothing kills a primary under load whose standby has all that
// was acknowledged, and makes that the primary.
func TestItem6_AFailoverLosesNothing(t *testing.T) {
	primary := pgtest.Start(t)
	standby := primary.Standby(t)
	dsn := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%d,%d user=postgres dbname=postgres sslmode=disable", standby.Port, primary.Port)
	s := openStore(t, Options{DSN: dsn, Password: pgtest.Password, Timeout: 2 * time.Second})
	l := startLoad(t, s, 4)
	l.more(t, 50)
	primary.Kill()
	standby.Promote(t)
	l.more(t, 50)
	l.wantKept(t, s)
	sink, _ := follow(t, s)
	wantHeard(t, s, sink)
}

// TestItem6_AFrozenServerPilesUpNothing stops the server and calls it from everywhere.
func TestItem6_AFrozenServerPilesUpNothing(t *testing.T) {
	srv := pgtest.Start(t)
	s := openStore(t, Options{DSN: srv.DSN("postgres"), MaxConns: 4, Timeout: time.Second, Wait: 500 * time.Millisecond})
	row := create(t, s, testRow("one", s.Now()))
	srv.Freeze()
	defer srv.Thaw()
	before := runtime.NumGoroutine()
	const callers = 2000
	var all sync.WaitGroup
	var busy atomic.Int64
	for range callers {
		all.Go(func() {
			_, err := s.Get(ctx(), row.Key())
			if errors.Is(err, ErrBusy) {
				busy.Add(1)
			}
			wantUnavailable(t, "a frozen server", err)
		})
	}
	all.Wait()
	if busy.Load() < callers-100 {
		t.Errorf("%d of %d were told that too many wait", busy.Load(), callers)
	}
	// What is left are connections that are being closed.
	if after := runtime.NumGoroutine(); after > before+64 {
		t.Errorf("%d goroutines were left of %d", after-before, callers)
	}
	srv.Thaw()
	eventually(t, "the store is back", func() error { _, err := s.Get(ctx(), row.Key()); return err })
}

// TestItem6_WhoHangsUpCostsNoConnection cancels calls that run, and counts how many
// connections the server was asked for.
func TestItem6_WhoHangsUpCostsNoConnection(t *testing.T) {
	srv := pgtest.Start(t, "log_connections = on")
	s := openStore(t, Options{DSN: srv.DSN("postgres"), MaxConns: 2})
	row := create(t, s, testRow("one", s.Now()))
	connections := func() int { return strings.Count(srv.Log(), "connection authorized") }
	before := connections()
	for range 300 {
		calling, cancel := context.WithCancel(ctx())
		go cancel()
		_, err := s.Update(calling, row.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
			row.Generation++
			return row, true
		})
		if err != nil {
			wantUnavailable(t, "cancelled", err)
		}
	}
	if got := connections() - before; got > 4 {
		t.Errorf("%d connections were made for 300 calls that were cancelled", got)
	}
}

// TestItem6_ASlowServerIsWaitedForWithinBounds adds latency to each answer.
func TestItem6_ASlowServerIsWaitedForWithinBounds(t *testing.T) {
	p, port := proxy(t, server(t))
	s := openStore(t, Options{DSN: pgtest.DSN(port, "postgres", "postgres", pgtest.Password), Timeout: 3 * time.Second})
	row := create(t, s, testRow("one", s.Now()))
	toxic(t, p, `{"type": "latency", "stream": "downstream", "attributes": {"latency": 200}}`)
	get(t, s, row.Key())
	calling, cancel := context.WithTimeout(ctx(), 100*time.Millisecond)
	defer cancel()
	_, err := s.Get(calling, row.Key())
	wantUnavailable(t, "a deadline", err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline: %v", err)
	}
}

// TestItem4_AStatementThatHangsIsEndedByTheServer locks the table and looks at what
// the server does with who waits.
func TestItem4_AStatementThatHangsIsEndedByTheServer(t *testing.T) {
	s := openStore(t, Options{Timeout: 700 * time.Millisecond})
	row := create(t, s, testRow("one", s.Now()))
	hang := openStore(t, Options{Schema: s.opts.Schema, Timeout: time.Minute})
	locked := make(chan struct{})
	release := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = hang.do(ctx(), hang.lockTable(locked, release))
	})
	<-locked
	_, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked)
	wantUnavailable(t, "a locked table", err)
	eventually(t, "the server gave up", func() error {
		n := server(t).Exec(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"+strings.ReplaceAll(s.sql.schema, "'", "''")+"%' AND pid <> pg_backend_pid()")
		if n != "0" {
			return fmt.Errorf("%s statements wait", n)
		}
		return nil
	})
	close(release)
	all.Wait()
	if _, ended, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); !ended || err != nil {
		t.Errorf("afterwards: %t, %v", ended, err)
	}
}

// TestItem6_AFullDiskIsSaidToBeOne fills the server's disk under load, and makes room
// again.
func TestItem6_AFullDiskIsSaidToBeOne(t *testing.T) {
	disk := pgtest.SmallDisk(t, 220)
	srv := pgtest.StartIn(t, disk, "max_wal_size = '48MB'", "min_wal_size = '32MB'", "shared_buffers = '16MB'")
	s := openStore(t, Options{DSN: srv.DSN("postgres"), Timeout: 2 * time.Second})
	l := startLoad(t, s, 4)
	l.more(t, 50)
	ballast := filepath.Join(disk, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<10)
	full := func() bool {
		for {
			if _, err := f.Write(block); err != nil {
				return errors.Is(err, syscall.ENOSPC)
			}
		}
	}
	if !full() {
		t.Fatal("the disk does not become full")
	}
	failed := l.failed.Load()
	big := strings.Repeat("x", 8<<10)
	eventually(t, "calls fail", func() error {
		for i := range 200 {
			row := testRow(fmt.Sprintf("big-%d-%d", i, time.Now().UnixNano()), s.Now())
			row.Reason = big + row.ID
			if _, _, err := s.Create(ctx(), row); err != nil {
				wantUnavailable(t, "a full disk", err)
			} else {
				l.know(row)
			}
		}
		full()
		if l.failed.Load() == failed {
			return errors.New("the disk is full, and all goes well")
		}
		return nil
	})
	if err := errors.Join(f.Close(), os.Remove(ballast)); err != nil {
		t.Fatal(err)
	}
	srv.Revive(t)
	l.more(t, 50)
	l.wantKept(t, s)
}
