package pebblestore

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/sessions"
)

// sizeOf returns how many bytes the files of a directory have.
func sizeOf(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) { // Pebble removes files meanwhile
		t.Fatal(err)
	}
	return size
}

// A town lives in a store at a pace of its own: people come, some use their sessions
// for a while, some sign out, most forget them.
type town struct {
	t     *testing.T
	store *Store
	clock atomic.Int64 // ms

	created, revoked, reported atomic.Int64
	mostSwept                  atomic.Int64
}

func (w *town) now() time.Time { return time.UnixMilli(w.clock.Load()) }

const (
	townWorkers = 16
	townStep    = 50 // of the sweeper
	townIdle    = time.Hour
)

// minute is one of their minutes: so many come, while the sweeper goes on.
func (w *town) minute(people int) {
	minute := w.clock.Load()
	var working, sweeping sync.WaitGroup
	stop, worked := make(chan struct{}), make(chan struct{}, 1)
	sweeping.Go(func() {
		for last := false; ; {
			n, err := w.store.Sweep(ctx(), townStep, func(row *sessions.Session) {
				w.reported.Add(1)
				if row.RevokedAt.IsZero() && w.now().Before(row.End()) {
					w.t.Errorf("%s was over before its end", row.ID)
				}
			})
			if err != nil {
				w.t.Error(err)
				return
			}
			w.mostSwept.Store(max(w.mostSwept.Load(), int64(n)))
			if n == townStep {
				continue
			}
			if last {
				return
			}
			select {
			case <-stop:
				last = true // once more, since the load went on meanwhile
			case <-worked:
			}
		}
	})
	for worker := range townWorkers {
		working.Go(func() {
			for i := worker; i < people; i += townWorkers {
				w.person(fmt.Sprint(minute, "-", i), i)
				select {
				case worked <- struct{}{}:
				default:
				}
			}
		})
	}
	working.Wait()
	close(stop)
	sweeping.Wait()
	w.clock.Add(time.Minute.Milliseconds())
}

func (w *town) person(id string, i int) {
	r := row(id, fmt.Sprint("user-", rand.IntN(500)))
	r.CreatedAt, r.RotatedAt, r.Idle, r.Impersonation = w.store.Now(), w.store.Now(), townIdle, i%5 == 0
	r.UserAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	if _, _, _, err := w.store.Create(ctx(), r); err != nil {
		w.t.Error(err)
		return
	}
	w.created.Add(1)
	for range i % 3 {
		w.change(r.Key(), func(row *sessions.Session, now time.Time) {
			row.Generation++
			row.RotatedAt = now
		})
	}
	if i%4 == 0 {
		w.revoked.Add(1)
		w.change(r.Key(), func(row *sessions.Session, now time.Time) { row.RevokedAt, row.EndReason = now, sessions.EndRevoked })
	}
}

func (w *town) change(key sessions.Key, do func(*sessions.Session, time.Time)) {
	if _, err := w.store.Update(ctx(), key, func(row sessions.Session, now time.Time) (sessions.Session, bool) {
		do(&row, now)
		return row, true
	}); err != nil {
		w.t.Error(err)
	}
}

// Nine hours of life, each session of which is forgotten after one: what is on the
// disk stops growing when the first hours are over, however much goes through, and
// what is left when all have gone is next to nothing. The sweeper takes its share in
// small steps all the while.
func TestTheStoreStopsGrowing(t *testing.T) {
	t.Parallel()
	w := &town{t: t}
	w.clock.Store(row("", "").CreatedAt.UnixMilli())
	dir := filepath.Join(t.TempDir(), "store")
	w.store = openStore(t, Options{Dir: dir, Now: w.now, MemTableSize: 256 << 10})
	const hours, people = 9, 24
	var early, late, keys int64
	for hour := range hours {
		for range 60 {
			w.minute(people)
			size := sizeOf(t, dir)
			switch {
			case hour >= 3 && hour < 6:
				early = max(early, size)
			case hour >= hours-3:
				late = max(late, size)
			}
			if t.Failed() {
				return
			}
		}
		live := int64(keysOf(t, w.store, kindRow))
		if keys = max(keys, live); live > 3*60*people { // an hour of those who forget it, two of those who sign out
			t.Fatalf("%d rows are there after %d hours", live, hour+1)
		}
	}
	written := int64(w.store.engine.Load().db.Metrics().WAL.BytesWritten)
	t.Logf("%d sessions, %d kB written; at most %d rows at a time, %d kB on the disk in hours 4 to 6, %d kB in the last three",
		w.created.Load(), written>>10, keys, early>>10, late>>10)
	if written < 10*late {
		t.Errorf("only %d kB were written: nothing is tested", written>>10)
	}
	if late > early*3/2 {
		t.Errorf("the store grew from %d to %d kB", early>>10, late>>10)
	}
	if n := w.mostSwept.Load(); n > townStep {
		t.Errorf("a step of the sweeper took %d rows", n)
	}

	w.clock.Add((24 * time.Hour).Milliseconds())
	w.minute(0)
	for kind := byte(kindRow); kind < kindRealm; kind++ {
		if n := keysOf(t, w.store, kind); n != 0 {
			t.Errorf("%d keys of kind %d are left", n, kind)
		}
	}
	if ended := w.created.Load() - w.revoked.Load(); w.reported.Load() != ended {
		t.Errorf("the sweeper reported %d sessions, of %d that were not revoked", w.reported.Load(), ended)
	}
}
