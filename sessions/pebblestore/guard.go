package pebblestore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// retrySpace is how often a write that found no space is retried.
const retrySpace = 50 * time.Millisecond

// A guard is the file system of one open database, on which no write ever fails: see doc.go.
// Pebble's vfs.OnDiskFull retries a write only once and then terminates the process, which is not
// enough for TestAFullDiskIsUnavailableAndWritesWorkAgainWhenThereIsRoom, TestARealDiskThatIsFull
// and TestOpeningFailsCleanlyWhateverWriteFails. Writes outside Pebble's own directory make copies
// of it, and may fail.
type guard struct {
	vfs.FS
	dir    string
	chmod  bool // only the owner may read files
	report func(trouble error)

	// Each write holds io for reading, so that kill waits for those in flight and no more follow.
	io   sync.RWMutex
	dead atomic.Pointer[error]

	mu      sync.Mutex
	waiting int                           // writes that wait for space
	trouble atomic.Pointer[chan struct{}] // closed while there is trouble
}

func newGuard(inner vfs.FS, dir string, report func(error)) *guard {
	g := &guard{FS: inner, dir: inner.PathJoin(dir), chmod: inner == vfs.Default, report: report}
	calm := make(chan struct{})
	g.trouble.Store(&calm)
	return g
}

// Trouble returns a channel that is closed while no write can be acknowledged.
func (g *guard) Trouble() <-chan struct{} { return *g.trouble.Load() }

// Err returns why nothing can be written, or nil. Unlike Dead, that may be temporary.
func (g *guard) Err() error {
	select {
	case <-g.Trouble():
	default:
		return nil
	}
	if err := g.Dead(); err != nil {
		return err
	}
	return errNoSpace
}

// Dead returns why this guard blocks everything for good, or nil.
func (g *guard) Dead() error {
	if cause := g.dead.Load(); cause != nil {
		return *cause
	}
	return nil
}

// kill lets nothing reach the disk from now on. It returns when the writes in flight are done.
func (g *guard) kill(cause error) {
	if g.dead.CompareAndSwap(nil, &cause) {
		g.setTrouble()
		g.report(cause)
	}
	g.io.Lock()
	defer g.io.Unlock()
}

func (g *guard) setTrouble() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.Trouble():
	default:
		close(*g.trouble.Load())
	}
}

// do runs a write until it succeeds. If it never does, do does not return, since its caller in
// Pebble would terminate the process.
func (g *guard) do(write func() error) {
	stalled := false
	for {
		g.io.RLock()
		if g.dead.Load() != nil {
			g.io.RUnlock()
			select {}
		}
		err := write()
		g.io.RUnlock()
		switch {
		case err == nil:
			g.endTrouble(stalled)
			return
		case !isNoSpace(err):
			g.kill(cause(err))
		case !stalled:
			stalled = true
			g.beginTrouble()
			fallthrough
		default:
			<-time.NewTimer(retrySpace).C
		}
	}
}

func (g *guard) beginTrouble() {
	g.mu.Lock()
	g.waiting++
	first := g.waiting == 1
	g.mu.Unlock()
	if first {
		g.setTrouble()
		g.report(errNoSpace)
	}
}

func (g *guard) endTrouble(stalled bool) {
	if !stalled {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	if g.waiting == 0 && g.dead.Load() == nil {
		calm := make(chan struct{})
		g.trouble.Store(&calm)
		g.report(nil)
	}
}

// isGuarded reports whether the file is in Pebble's own directory.
func (g *guard) isGuarded(name string) bool {
	name = g.PathJoin(name)
	return name == g.dir || g.PathDir(name) == g.dir
}

// try is do for operations that may also fail for reasons that Pebble handles.
func (g *guard) try(name string, write func() error) error {
	if !g.isGuarded(name) {
		return write()
	}
	var expected error
	g.do(func() error {
		err := write()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			expected = err
			return nil
		}
		return err
	})
	return expected
}

// open wraps a file opened for writing.
func (g *guard) open(name string, open func() (vfs.File, error)) (vfs.File, error) {
	var f vfs.File
	err := g.try(name, func() (err error) {
		if f, err = open(); err == nil && g.chmod {
			err = os.Chmod(name, 0o600)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return g.wrap(name, f), nil
}

func (g *guard) wrap(name string, f vfs.File) vfs.File {
	if !g.isGuarded(name) {
		return f
	}
	return &guardedFile{File: f, guard: g}
}

// Create creates a file that only its owner can read.
func (g *guard) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.open(name, func() (vfs.File, error) { return g.FS.Create(name, category) })
}

// OpenReadWrite opens a file.
func (g *guard) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.open(name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, category, opts...) })
}

// ReuseForWrite renames and opens a file.
func (g *guard) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.open(to, func() (vfs.File, error) { return g.FS.ReuseForWrite(from, to, category) })
}

// OpenDir opens a directory for syncing.
func (g *guard) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return g.wrap(name, f), nil
}

// Link makes a hard link.
func (g *guard) Link(from, to string) error {
	return g.try(to, func() error { return g.FS.Link(from, to) })
}

// Rename renames a file.
func (g *guard) Rename(from, to string) error {
	return g.try(to, func() error { return g.FS.Rename(from, to) })
}

// Remove removes a file.
func (g *guard) Remove(name string) error {
	return g.try(name, func() error { return g.FS.Remove(name) })
}

// RemoveAll removes a directory tree.
func (g *guard) RemoveAll(name string) error {
	return g.try(name, func() error { return g.FS.RemoveAll(name) })
}

// MkdirAll creates directories.
func (g *guard) MkdirAll(dir string, perm os.FileMode) error {
	return g.try(dir, func() error { return g.FS.MkdirAll(dir, perm) })
}

// Lock does nothing: the store holds the lock.
func (g *guard) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap returns the underlying file system.
func (g *guard) Unwrap() vfs.FS { return g.FS }
