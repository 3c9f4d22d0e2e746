package pebblestore

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest/servertest"
)

const crashWriters = 8

// writeUntilKilled creates, rotates and revokes sessions and says what was
// acknowledged, a line each: id, generation, and whether it was revoked.
func writeUntilKilled(dir string) {
	s, err := Open(Options{Dir: dir, MemTableSize: 256 << 10}) // small, so that tables are written too
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var out sync.Mutex
	say := func(r sessions.Session) {
		out.Lock()
		defer out.Unlock()
		_, _ = fmt.Fprintln(os.Stdout, r.ID, r.Generation, !r.RevokedAt.IsZero())
	}
	var all sync.WaitGroup
	for w := range crashWriters {
		all.Go(func() {
			for n := 0; ; n++ {
				r, _, _, err := s.Create(ctx(), row(fmt.Sprintf("%d-%d-%d", os.Getpid(), w, n), fmt.Sprint("user-", w)))
				for range 3 {
					if err != nil {
						fmt.Println("error", err)
						os.Exit(1)
					}
					say(r)
					r, err = s.Update(ctx(), r.Key(), func(r sessions.Session, now time.Time) (sessions.Session, bool) {
						r.Generation++
						r.RotatedAt = now
						if r.Generation == 3 && n%2 == 0 {
							r.RevokedAt = now
						}
						return r, true
					})
				}
				if err == nil {
					say(r)
				}
			}
		})
	}
	all.Wait()
}

// state is what the last acknowledgement of a session said.
type state struct {
	gen     uint64
	revoked bool
}

// readAcknowledged reads lines until there are no more; half a line was not
// said.
func readAcknowledged(r io.Reader, into map[string]state, first chan<- struct{}) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil //nolint:nilerr // the writer was killed
		}
		if first != nil {
			close(first)
			first = nil
		}
		words := strings.Fields(line)
		if len(words) != 3 || words[0] == "error" {
			return fmt.Errorf("the writer says %q", line)
		}
		gen, err := strconv.ParseUint(words[1], 10, 64)
		if err != nil {
			return err
		}
		into[words[0]] = state{gen, words[2] == "true"}
	}
}

func TestWhatWasAcknowledgedSurvivesKill9(t *testing.T) {
	t.Parallel()
	rounds := servertest.Rounds(8, 20)
	dir := filepath.Join(t.TempDir(), "store")
	acknowledged := make(map[string]state)
	for round := range rounds {
		killWriter(t, dir, acknowledged)
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		checkAcknowledged(t, s, acknowledged)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("in round %d, of %d sessions", round, len(acknowledged))
		}
	}
	t.Logf("%d sessions, %d kills", len(acknowledged), rounds)
}

// killWriter starts a writer and kills it at some moment.
func killWriter(t *testing.T, dir string, acknowledged map[string]state) {
	t.Helper()
	cmd := child(t, dir, "write")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, read := make(chan struct{}), make(chan error, 1)
	go func() { read <- readAcknowledged(out, acknowledged, first) }()
	select {
	case <-first:
	case err := <-read:
		t.Fatalf("the writer ended: %v", err)
	}
	pause(time.Duration(rand.IntN(100)) * time.Millisecond)
	_ = cmd.Process.Kill()
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// checkAcknowledged checks that each session is where it was said to be, or
// further, and that the indexes say the same as the rows.
func checkAcknowledged(t *testing.T, s *Store, acknowledged map[string]state) {
	t.Helper()
	live := 0
	for id, want := range acknowledged {
		r, err := s.Get(t.Context(), sessions.Key{Realm: "https://app.example.com", ID: id})
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if r.Generation < want.gen || want.revoked && r.RevokedAt.IsZero() {
			t.Errorf("%s is at %d, after %d (revoked %t) was acknowledged", id, r.Generation, want.gen, want.revoked)
		}
		if r.RevokedAt.IsZero() {
			live++
		}
		acknowledged[id] = state{r.Generation, !r.RevokedAt.IsZero()}
	}
	listed := 0
	for w := range crashWriters {
		q := sessions.Query{Realm: "https://app.example.com", User: fmt.Sprint("user-", w), Limit: 100}
		for {
			page, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Sessions {
				if _, known := acknowledged[r.ID]; known {
					listed++
				}
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
	}
	if listed != live {
		t.Errorf("%d sessions are listed of %d that live", listed, live)
	}
}

// A machine that loses its power loses what no fsync brought to the disk, which
// a killed process does not.
func TestWhatWasAcknowledgedSurvivesAPowerCut(t *testing.T) {
	for range 10 {
		disk := vfs.NewCrashableMem()
		s := openOn(t, disk, "/store", nil)
		w := work(t, 8, func() *Store { return s })
		w.until(&w.oks, 1+rand.Int64N(2000))
		w.mu.Lock()
		after := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rand.IntN(100), RNG: rand.New(rand.NewPCG(1, rand.Uint64()))})
		before := maps.Clone(w.acked)
		w.mu.Unlock()
		w.end()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openOn(t, after, "/store", nil)
		w.acked = before
		w.check(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
