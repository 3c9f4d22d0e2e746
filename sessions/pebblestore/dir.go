package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"authsidecar/sessions"
)

// A directory of ours holds a marker that says so, and in which format. It is
// written before Pebble makes its files, and once more after: so a store whose
// making was interrupted is made again, and one that lost a file is not.
const (
	markerName = "AUTHSIDECAR-SESSIONS"
	markerTemp = markerName + ".tmp"
	lockName   = "LOCK"
	probeName  = "PROBE.tmp"
	format     = 1
	making     = "making\n"
)

func markerText(format int) string { return fmt.Sprintf("authsidecar sessions, format %d\n", format) }

// A directory is the place of a store, seen through the file system.
type directory struct {
	fs   vfs.FS
	path string
}

// prepare makes the directory if there is none.
func (d directory) prepare() error {
	if _, err := d.fs.Stat(d.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.fs.MkdirAll(d.path, 0o700)
}

// mustExist returns sessions.ErrNoStore where there is no finished store. It changes nothing.
func (d directory) mustExist() error {
	finished, err := d.inspect()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !finished {
		return sessions.ErrNoStore
	}
	return err
}

// memTable is the size of a memtable on this volume.
func (d directory) memTable() uint64 {
	usage, err := d.fs.GetDiskUsage(d.path)
	if err != nil || usage.TotalBytes == 0 { // there are file systems that do not know
		return defaultMemTable
	}
	return memTable(usage.TotalBytes)
}

// inspect reports whether the directory holds a finished store. It changes
// nothing. The errors are ErrForeign, ErrNewer and those of the system.
func (d directory) inspect() (finished bool, err error) {
	names, err := d.fs.List(d.path)
	if err != nil {
		return false, err
	}
	if !slices.Contains(names, markerName) {
		for _, name := range names {
			if name != lockName && name != markerTemp && name != "lost+found" {
				return false, ErrForeign
			}
		}
		return false, nil
	}
	text, err := d.read(markerName)
	if err != nil {
		return false, err
	}
	return parseMarker(text)
}

// parseMarker reads the marker.
func parseMarker(text []byte) (finished bool, err error) {
	rest, ours := bytes.CutPrefix(text, []byte(markerText(format)))
	switch {
	case ours && len(rest) == 0:
		return true, nil
	case ours && string(rest) == making:
		return false, nil
	}
	var found int
	if n, _ := fmt.Sscanf(string(text), strings.Replace(markerText(0), "0", "%d", 1), &found); n == 1 && found > format {
		return false, ErrNewer
	}
	return false, ErrForeign
}

// mark writes the marker so that it is there whole or not at all.
func (d directory) mark(text string) error {
	temp, name := d.fs.PathJoin(d.path, markerTemp), d.fs.PathJoin(d.path, markerName)
	if err := d.write(temp, []byte(text)); err != nil {
		return err
	}
	if err := d.fs.Rename(temp, name); err != nil {
		return err
	}
	dir, err := d.fs.OpenDir(d.path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// probe reports whether the disk has the room that Pebble needs to open a database: for
// what it always writes, and for the tables that it makes of its logs. An open that runs
// out of room half-way would hold its memory and goroutines for ever.
func (d directory) probe() error {
	logs, err := d.logs()
	if err != nil {
		return err
	}
	room := int64(probeSize)
	for _, size := range logs {
		room += size
	}
	err = d.reserve(room)
	if errors.Is(err, syscall.ENOSPC) && d.fs == vfs.Default {
		for name, size := range logs {
			_ = os.Truncate(name, size) // frees what was allocated behind the end
		}
		err = d.reserve(room)
	}
	return err
}

// probeSize is about what Pebble writes when it opens a database.
const probeSize = 256 << 10

// logs returns the size of each of Pebble's logs.
func (d directory) logs() (map[string]int64, error) {
	names, err := d.fs.List(d.path)
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]int64)
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		name = d.fs.PathJoin(d.path, name)
		info, err := d.fs.Stat(name)
		if err != nil {
			return nil, err
		}
		sizes[name] = info.Size()
	}
	return sizes, nil
}

// reserve allocates room, where the file system can do that, and writes a part of it.
func (d directory) reserve(room int64) error {
	name := d.fs.PathJoin(d.path, probeName)
	f, err := d.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err = f.Preallocate(0, room); !errors.Is(err, syscall.ENOSPC) {
		_, err = f.Write(make([]byte, probeSize))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), d.remove(name))
}

func (d directory) remove(name string) error {
	if err := d.fs.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d directory) write(name string, data []byte) error {
	f, err := d.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil && d.fs == vfs.Default {
		err = os.Chmod(name, 0o600)
	}
	return err
}

func (d directory) read(name string) ([]byte, error) {
	f, err := d.fs.Open(d.fs.PathJoin(d.path, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, 256))
}

// lock takes the directory for this process, and in it for the caller. The file
// must not be opened in any other way: closing it would release the lock.
func (d directory) lock() (io.Closer, error) {
	lock, err := d.fs.Lock(d.fs.PathJoin(d.path, lockName))
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES),
		strings.Contains(err.Error(), "lock held by current process"):
		return nil, ErrInUse
	default:
		return nil, err
	}
}
