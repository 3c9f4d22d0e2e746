package pebblestore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest/servertest"
)

// A faultyFS is a file system with a disk that fails.
type faultyFS struct {
	vfs.FS
	fault atomic.Pointer[func(op string) error]
}

// faulty returns the disk, which fails as long as fault says so.
func faulty() *faultyFS { return faultyOf(vfs.Default) }

func faultyOf(fs vfs.FS) *faultyFS {
	f := &faultyFS{FS: fs}
	f.mend()
	return f
}

func (f *faultyFS) fail(fault func(op string) error) { f.fault.Store(&fault) }
func (f *faultyFS) mend()                            { f.fail(func(string) error { return nil }) }
func (f *faultyFS) of(op string) error               { return (*f.fault.Load())(op) }

// full fails all that takes room.
func full(op string) error {
	if op == "sync" || op == "remove" {
		return nil
	}
	return &os.PathError{Op: op, Path: "/secret/path", Err: syscall.ENOSPC}
}

// broken fails what a dying disk fails.
func broken(op string) error {
	if op == "write" || op == "sync" {
		return &os.PathError{Op: op, Path: "/secret/path", Err: syscall.EIO}
	}
	return nil
}

func (f *faultyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *faultyFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(func() (vfs.File, error) { return f.FS.ReuseForWrite(from, to, c) })
}

func (f *faultyFS) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return &faultyFile{file, f}, err
}

func (f *faultyFS) open(open func() (vfs.File, error)) (vfs.File, error) {
	if err := f.of("create"); err != nil {
		return nil, err
	}
	file, err := open()
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *faultyFS) Rename(from, to string) error {
	if err := f.of("rename"); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *faultyFS) Link(from, to string) error {
	if err := f.of("link"); err != nil {
		return err
	}
	return f.FS.Link(from, to)
}

type faultyFile struct {
	vfs.File
	fs *faultyFS
}

// Write writes a part of p where it fails, as a full disk does.
func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.fs.of("write"); err != nil {
		n, _ := f.File.Write(p[:rand.IntN(len(p)+1)])
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultyFile) Sync() error {
	return errors.Join(f.fs.of("sync"), f.File.Sync())
}

func (f *faultyFile) SyncData() error {
	return errors.Join(f.fs.of("sync"), f.File.SyncData())
}

func (f *faultyFile) SyncTo(n int64) (bool, error) {
	full, err := f.File.SyncTo(n)
	return full, errors.Join(f.fs.of("sync"), err)
}

// A workload creates and rotates sessions and remembers what was acknowledged.
type workload struct {
	t     *testing.T
	mu    sync.Mutex
	stop  atomic.Bool
	all   sync.WaitGroup
	acked map[string]state
	oks   atomic.Int64
	fails atomic.Int64

	reason string // of each session
}

// work starts to use the store that get returns.
func work(t *testing.T, workers int, get func() *Store) *workload {
	return workOf(t, workers, strings.Repeat("because ", 50), get)
}

func workOf(t *testing.T, workers int, reason string, get func() *Store) *workload {
	w := &workload{t: t, acked: make(map[string]state), reason: reason}
	for i := range workers {
		w.all.Go(func() {
			for n := 0; !w.stop.Load(); n++ {
				if !w.session(get(), fmt.Sprintf("%d-%d", i, n), fmt.Sprint("user-", i)) {
					pause(100 * time.Microsecond)
				}
			}
		})
	}
	return w
}

func (w *workload) session(s *Store, id, user string) (ok bool) {
	r := row(id, user)
	r.Reason = w.reason
	r, _, _, err := s.Create(ctx(), r)
	for range 2 {
		if !w.note(r, err) {
			return false
		}
		r, err = s.Update(ctx(), r.Key(), func(r sessions.Session, _ time.Time) (sessions.Session, bool) {
			r.Generation++
			return r, true
		})
	}
	return w.note(r, err)
}

func (w *workload) note(r sessions.Session, err error) bool {
	if err != nil {
		w.fails.Add(1)
		if !errors.Is(err, sessions.ErrUnavailable) {
			w.t.Errorf("%v, not ErrUnavailable", err)
		}
		if text := err.Error(); strings.Contains(text, "/secret") || strings.Contains(text, "user-") {
			w.t.Errorf("the error says too much: %v", err)
		}
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked[r.ID] = state{gen: r.Generation}
	w.oks.Add(1)
	return true
}

func (w *workload) end() {
	w.stop.Store(true)
	w.all.Wait()
}

// until waits until the counter has grown by n.
func (w *workload) until(counter *atomic.Int64, n int64) {
	w.t.Helper()
	until(w.t, func() bool { return counter.Load() >= n })
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for n := 0; !ok(); n++ {
		if n > 60_000 {
			t.Fatal("it does not come to that")
		}
		pause(time.Millisecond)
	}
}

// pause leaves the processor to others. A real disk is not in a synctest bubble.
func pause(d time.Duration) { <-time.NewTimer(d).C }

// check checks that all that was acknowledged is there.
func (w *workload) check(s *Store) {
	w.t.Helper()
	for id, want := range w.acked {
		r, err := s.Get(ctx(), sessions.Key{Realm: "https://app.example.com", ID: id})
		if err != nil || r.Generation < want.gen {
			w.t.Errorf("%s is at %d, %v; %d was acknowledged", id, r.Generation, err, want.gen)
		}
	}
}

func openOn(t *testing.T, fs vfs.FS, dir string, now func() time.Time) *Store {
	t.Helper()
	s, err := open(Options{Dir: dir, MemTableSize: 128 << 10, Now: now}, fs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAFullDiskIsUnavailableAndWritesWorkAgainWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	disk, dir := faulty(), filepath.Join(t.TempDir(), "store")
	s := openOn(t, disk, dir, nil)
	w := work(t, 16, func() *Store { return s })
	for round := range 25 {
		w.until(&w.oks, w.oks.Load()+int64(1+rand.IntN(300)))
		disk.fail(full)
		w.until(&w.fails, w.fails.Load()+20)
		if round%5 == 0 {
			checkReadsGoOn(t, s, w)
		}
		disk.mend()
	}
	w.until(&w.oks, w.oks.Load()+100)
	w.end()
	if s.engine.Load().guard.Dead() != nil {
		t.Error("the database was opened again")
	}
	w.check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, vfs.Default, dir, nil)
	w.check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d sessions, %d writes acknowledged, %d refused", len(w.acked), w.oks.Load(), w.fails.Load())
}

// checkReadsGoOn reads what was acknowledged: all is there, but for sessions
// whose last write has no outcome yet.
func checkReadsGoOn(t *testing.T, s *Store, w *workload) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	read := 0
	for id, want := range w.acked {
		r, err := s.Get(ctx(), sessions.Key{Realm: "https://app.example.com", ID: id})
		switch {
		case errors.Is(err, sessions.ErrUnavailable):
		case err != nil || r.Generation < want.gen:
			t.Errorf("%s is at %d, %v; %d was acknowledged", id, r.Generation, err, want.gen)
		default:
			read++
		}
	}
	// Those of the 16 workers have no outcome, and whoever shares a lock with them.
	if unread := len(w.acked) - read; unread > 2*16 {
		t.Errorf("%d of %d sessions could not be read", unread, len(w.acked))
	}
	if _, err := s.List(ctx(), sessions.Query{Realm: "https://app.example.com", User: "user-1", Limit: 5}); err != nil {
		t.Error(err)
	}
}

func TestADyingDiskIsUnavailableAndTheStoreOpensAgain(t *testing.T) {
	disk, dir := faulty(), filepath.Join(t.TempDir(), "store")
	var clock atomic.Int64
	s := openOn(t, disk, dir, func() time.Time { return time.UnixMilli(1700000000000 + clock.Load()) })
	w := work(t, 16, func() *Store { return s })
	first := s.engine.Load()
	for range 8 {
		w.until(&w.oks, w.oks.Load()+int64(1+rand.IntN(300)))
		disk.fail(broken)
		w.until(&w.fails, w.fails.Load()+50)
		clock.Add(2 * reviveEvery.Milliseconds()) // opening fails as well
		w.until(&w.fails, w.fails.Load()+50)
		disk.mend()
		clock.Add(2 * reviveEvery.Milliseconds())
	}
	w.until(&w.oks, w.oks.Load()+100)
	w.end()
	if s.engine.Load() == first {
		t.Error("the database was never opened again")
	}
	w.check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, vfs.Default, dir, nil)
	w.check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d sessions, %d writes acknowledged, %d refused", len(w.acked), w.oks.Load(), w.fails.Load())
}

func TestAStoreClosesThoughItsDiskIsFull(t *testing.T) {
	for name, fault := range map[string]func(string) error{"full": full, "broken": broken} {
		disk, dir := faulty(), filepath.Join(t.TempDir(), "store")
		s := openOn(t, disk, dir, nil)
		w := work(t, 8, func() *Store { return s })
		w.until(&w.oks, 200)
		disk.fail(fault)
		w.until(&w.fails, 20)
		w.end()
		if err := s.Close(); !errors.Is(err, sessions.ErrUnavailable) {
			t.Errorf("%s: closing: %v, not ErrUnavailable", name, err)
		}
		if _, err := s.Get(ctx(), sessions.Key{}); !errors.Is(err, sessions.ErrClosed) {
			t.Errorf("%s: %v, not ErrClosed", name, err)
		}
		if _, err := open(Options{Dir: dir}, disk); !errors.Is(err, sessions.ErrUnavailable) {
			t.Errorf("%s: opening: %v, not ErrUnavailable", name, err)
		}
		before := contents(t, dir)
		disk.mend()
		pause(3 * retrySpace) // what was parked must stay so
		if after := contents(t, dir); len(after) != len(before) {
			t.Errorf("%s: the closed store still writes", name)
		}
		s = openOn(t, disk, dir, nil)
		w.check(s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpeningFailsCleanlyWhateverWriteFails(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		opened := 0
		for n := 1; opened < 3 && n < 500; n++ {
			disk, dir := faultyOf(vfs.NewMem()), "/store"
			var count atomic.Int64
			disk.fail(func(op string) error {
				if count.Add(1) >= int64(n) {
					return &os.PathError{Op: op, Path: dir, Err: errno}
				}
				return nil
			})
			s, err := open(Options{Dir: dir}, disk)
			disk.mend()
			if err == nil {
				opened++
				_ = s.Close()
			} else if !errors.Is(err, sessions.ErrUnavailable) {
				t.Errorf("write %d fails with %v: %v, not ErrUnavailable", n, errno, err)
			}
			s, err = open(Options{Dir: dir}, disk)
			if err != nil {
				t.Fatalf("after write %d failed with %v: %v", n, errno, err)
			}
			if _, _, _, err := s.Create(ctx(), row("1", "alice")); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if opened == 0 {
			t.Error("no try got through")
		}
	}
}

// fill takes all the room that is left on a disk, until freed.
func fill(t *testing.T, mount string) (free func()) {
	t.Helper()
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 64<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	return func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARealDiskThatIsFull(t *testing.T) {
	mount := servertest.Disk(t, "16m")
	dir := filepath.Join(mount, "store")
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	w := work(t, 8, func() *Store { return s })
	for range 5 {
		w.until(&w.oks, w.oks.Load()+200)
		free := fill(t, mount)
		w.until(&w.fails, w.fails.Load()+20)
		free()
	}
	w.until(&w.oks, w.oks.Load()+100)
	w.end()
	w.check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: dir})
	w.check(s)
	t.Logf("%d sessions, %d writes acknowledged, %d refused", len(w.acked), w.oks.Load(), w.fails.Load())
}

// Most of a small disk is there for sessions, and not for logs that hold next to nothing.
func TestASmallDiskIsThereForSessions(t *testing.T) {
	t.Parallel()
	mount := servertest.Disk(t, "55m")
	s := openStore(t, Options{Dir: filepath.Join(mount, "store")})
	var data int
	w := workOf(t, 8, strings.Repeat("because ", 500), func() *Store { return s }) // a few thousand fill it
	for data < 20<<20 && w.fails.Load() == 0 {
		w.until(&w.oks, w.oks.Load()+100)
		data = 0
		for _, file := range files(t, s.dir.path) {
			data += int(file.Size())
		}
	}
	w.end()
	if data < 20<<20 {
		t.Errorf("the disk is full of %d KB", data>>10)
	}
}

// What was written before a restart that found no room is all there when there is some:
// also where logs of an earlier release took the room for nothing.
func TestASmallDiskThatWasFullComesBack(t *testing.T) {
	for name, size := range map[string]uint64{"this release": 0, "a release whose logs were larger": 24 << 20} {
		t.Run(name, func(t *testing.T) {
			mount := servertest.Disk(t, "55m")
			dir := filepath.Join(mount, "store")
			s, err := Open(Options{Dir: dir, MemTableSize: size})
			if err != nil {
				t.Fatal(err)
			}
			w := work(t, 8, func() *Store { return s })
			w.until(&w.oks, 2000)
			free := func() {}
			if size == 0 {
				free = fill(t, mount)
			}
			w.until(&w.fails, w.fails.Load()+20)
			w.end()
			_ = s.Close()
			if size == 0 {
				free() // what closing gave back is taken too
				free = fill(t, mount)
				goroutines := runtime.NumGoroutine()
				for tries, refused := 0, 0; refused < 10; tries++ { // nothing is left behind by trying
					s, err := Open(Options{Dir: dir})
					switch {
					case errors.Is(err, sessions.ErrUnavailable):
						refused++
					case err == nil && tries < 20: // it found room in its own logs, which is taken too
						_ = s.Close()
						free()
						free = fill(t, mount)
					default:
						t.Fatalf("on a full disk: %v, want ErrUnavailable", err)
					}
				}
				until(t, func() bool { return runtime.NumGoroutine() <= goroutines }) // some end a moment after Open
			}
			free()
			s = openStore(t, Options{Dir: dir})
			w.check(s)
			if _, _, _, err := s.Create(ctx(), row("after", "alice")); err != nil {
				t.Error(err)
			}
			t.Logf("%d writes acknowledged, %d refused", w.oks.Load(), w.fails.Load())
		})
	}
}

func files(t *testing.T, dir string) (infos []os.FileInfo) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil { // else it is gone
			infos = append(infos, info)
		}
	}
	return infos
}

func TestTheMemtableFitsTheVolume(t *testing.T) {
	for volume, want := range map[uint64]uint64{
		0: 256 << 10, 1 << 20: 256 << 10, 16 << 20: 512 << 10, 64 << 20: 2 << 20, 255 << 20: 255 << 15, 256 << 20: 8 << 20, 1 << 50: 8 << 20,
	} {
		if got := memTable(volume); got != want {
			t.Errorf("on %d bytes: %d, want %d", volume, got, want)
		}
	}
}
