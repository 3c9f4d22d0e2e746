package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/pgstore/pgtest"
	"authsidecar/sessions/storetest/servertest"
)

// TestAServerThatIsKilledLosesNothing kills it three times under load.
func TestAServerThatIsKilledLosesNothing(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t, "fsync = on")
	s := openStore(t, Options{DSN: srv.DSN("postgres"), Timeout: 2 * time.Second})
	l := sharedtest.StartLoad(t, s, 8)
	for _, end := range []func(){srv.Kill, srv.Stop, srv.Kill} {
		l.More(t, 50)
		end()
		l.UntilFails(t)
		srv.Begin(t)
	}
	l.More(t, 50)
	l.WantKept(t, s)
}

// TestAServerThatIsKilledLeavesNothing looks at its shared memory: a system has room for 4,096
// segments.
func TestAServerThatIsKilledLeavesNothing(t *testing.T) {
	t.Parallel()
	segment := 0
	t.Run("a test with a server", func(t *testing.T) {
		srv := pgtest.Start(t)
		lock, err := srv.Lock()
		if err != nil {
			t.Fatal(err)
		}
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", lock.PID))
		if err != nil || !strings.Contains(string(maps), "postgres") {
			t.Fatalf("%v: %s", err, maps)
		}
		if strings.Contains(string(maps), "/dev/shm/PostgreSQL.") {
			t.Errorf("it has segments outside of its folder:\n%s", maps)
		}
		if group, err := unix.Getpgid(lock.PID); group != lock.PID || err != nil {
			t.Errorf("who kills the process group of the tests kills it too: %d, %v", group, err)
		}
		segment = lock.Segment
		srv.Kill()
		if _, err := unix.SysvShmCtl(segment, unix.IPC_STAT, new(unix.SysvShmDesc)); err != nil {
			t.Errorf("the segment is not there: %v", err)
		}
	})
	if _, err := unix.SysvShmCtl(segment, unix.IPC_STAT, new(unix.SysvShmDesc)); err == nil {
		t.Error("the segment is left")
	}
}

// TestAFailoverLosesNothing kills a primary under load whose standby has all that
// was acknowledged, and makes that the primary.
func TestAFailoverLosesNothing(t *testing.T) {
	t.Parallel()
	primary := pgtest.Start(t, "fsync = on")
	standby := primary.Standby(t)
	dsn := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%d,%d user=postgres dbname=postgres sslmode=disable", standby.Port, primary.Port)
	s := openStore(t, Options{DSN: dsn, Password: pgtest.Password, Timeout: 2 * time.Second})
	l := sharedtest.StartLoad(t, s, 4)
	l.More(t, 50)
	primary.Kill()
	standby.Promote(t)
	l.More(t, 50)
	l.WantKept(t, s)
	sink, _ := sharedtest.Follow(t, s)
	sharedtest.WantHeard(t, s, sink)
}

// TestWhoHangsUpCostsNoConnection cancels calls that run, and counts how many
// connections the server was asked for.
func TestWhoHangsUpCostsNoConnection(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	count := func(r io.Reader, w io.Writer) {
		connections.Add(1)
		sharedtest.Forward(r, w)
	}
	s := openStore(t, Options{DSN: at(sharedtest.Tap(t, server(t).Port, count, sharedtest.Forward)), MaxConns: 2})
	row := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	before := connections.Load()
	for range 300 {
		calling, cancel := context.WithCancel(ctx())
		go cancel()
		_, err := s.Update(calling, row.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
			row.Generation++
			return row, true
		})
		if err != nil {
			sharedtest.WantUnavailable(t, "cancelled", err)
		}
	}
	if got := connections.Load() - before; got > 4 {
		t.Errorf("%d connections were made for 300 calls that were cancelled", got)
	}
}

// TestASlowServerIsWaitedForWithinBounds adds latency to each answer.
func TestASlowServerIsWaitedForWithinBounds(t *testing.T) {
	t.Parallel()
	p, port := sharedtest.Proxy(t, server(t).Port)
	s := openStore(t, Options{DSN: at(port), Timeout: 3 * time.Second})
	row := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	sharedtest.Toxic(t, p, `{"type": "latency", "stream": "downstream", "attributes": {"latency": 200}}`)
	sharedtest.Get(t, s, row.Key())
	calling, cancel := context.WithTimeout(ctx(), 100*time.Millisecond)
	defer cancel()
	_, err := s.Get(calling, row.Key())
	sharedtest.WantUnavailable(t, "a deadline", err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline: %v", err)
	}
}

// TestAStatementThatHangsIsEndedByTheServer locks the table and looks at what
// the server does with who waits.
func TestAStatementThatHangsIsEndedByTheServer(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{Timeout: 700 * time.Millisecond})
	row := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	conn, err := pgx.Connect(ctx(), server(t).DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	if _, err := conn.Exec(ctx(), "BEGIN; LOCK TABLE "+s.sql.schema+".sessions IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Revoke(ctx(), row.Key(), sessions.EndRevoked)
	sharedtest.WantUnavailable(t, "a locked table", err)
	servertest.Until(t, "the server gave up", func() error {
		n := server(t).Exec(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"+strings.ReplaceAll(s.sql.schema, "'", "''")+"%' AND pid <> pg_backend_pid()")
		if n != "0" {
			return fmt.Errorf("%s statements wait", n)
		}
		return nil
	})
	if _, err := conn.Exec(ctx(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, ended, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); !ended || err != nil {
		t.Errorf("afterwards: %t, %v", ended, err)
	}
}

// A statement can return its row and come to nothing when it commits, as where the role's transactions
// are serializable. If the row has changed when it is sent again, nothing was written.
func TestARowOfAStatementThatCameToNothingDoesNotCount(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{Schema: "undone"})
	// The first update fails when it commits, and others find no row.
	server(t).Exec(t, "postgres", `CREATE SEQUENCE undone.tries;
CREATE FUNCTION undone.skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF nextval('undone.tries') > 1 THEN RETURN NULL; END IF;
	RETURN NEW;
END $$;
CREATE FUNCTION undone.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'others were faster' USING ERRCODE = '40001'; END $$`)
	for name, change := range map[string]func(row *sessions.Session) (written bool, err error){
		"Rotate": func(row *sessions.Session) (bool, error) {
			_, _, rotated, err := s.Rotate(ctx(), sharedtest.Token(row), &sessions.Fresh{KeyID: "key"})
			return rotated, err
		},
		"Update": func(row *sessions.Session) (bool, error) {
			_, err := s.Update(ctx(), row.Key(), func(row sessions.Session, now time.Time) (sessions.Session, bool) {
				row.RevokedAt, row.EndReason = now, sessions.EndReuse
				return row, true
			})
			if errors.Is(err, calls.ErrContended) {
				return false, nil
			}
			return true, err
		},
	} {
		row := sharedtest.Create(t, s, sharedtest.Row(name, s.Now()))
		server(t).Exec(t, "postgres", `SELECT setval('undone.tries', 1, false);
CREATE TRIGGER skip BEFORE UPDATE ON undone.sessions FOR EACH ROW EXECUTE FUNCTION undone.skip();
CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON undone.sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION undone.fail()`)
		written, err := change(&row)
		server(t).Exec(t, "postgres", "DROP TRIGGER skip ON undone.sessions; DROP TRIGGER fail ON undone.sessions")
		if written || err != nil {
			t.Errorf("%s: written %t, %v", name, written, err)
		}
		if stored := sharedtest.Get(t, s, row.Key()); stored.Generation != row.Generation || !stored.RevokedAt.IsZero() {
			t.Errorf("%s: stored is %+v", name, stored)
		}
	}
}

// TestAFullDiskIsSaidToBeOne fills the server's disk under load, and makes room
// again.
func TestAFullDiskIsSaidToBeOne(t *testing.T) {
	t.Parallel()
	disk := servertest.Disk(t, "220m")
	srv := pgtest.StartIn(t, disk, "fsync = on", "max_wal_size = '48MB'", "min_wal_size = '32MB'", "shared_buffers = '16MB'")
	s := openStore(t, Options{DSN: srv.DSN("postgres"), Timeout: 2 * time.Second})
	l := sharedtest.StartLoad(t, s, 4)
	l.More(t, 50)
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
	failed := l.Failed.Load()
	big := strings.Repeat("x", 8<<10)
	servertest.Until(t, "calls fail", func() error {
		for i := range 200 {
			row := sharedtest.Row(fmt.Sprintf("big-%d-%d", i, time.Now().UnixNano()), s.Now())
			row.Reason = big + row.ID
			if _, _, _, err := s.Create(ctx(), row); err != nil {
				sharedtest.WantUnavailable(t, "a full disk", err)
			} else {
				l.Know(t, row.Key(), row, nil)
			}
		}
		full()
		if l.Failed.Load() == failed {
			return errors.New("the disk is full, and all goes well")
		}
		return nil
	})
	if err := errors.Join(f.Close(), os.Remove(ballast)); err != nil {
		t.Fatal(err)
	}
	srv.Revive(t)
	l.More(t, 50)
	l.WantKept(t, s)
}
