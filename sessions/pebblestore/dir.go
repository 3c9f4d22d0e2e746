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

// A directory of ours contains a marker with the format. It is written before Pebble creates its
// files, and again afterwards: so a store whose creation was interrupted is created again, but not
// one that has lost files.
const (
	markerName = "AUTHSIDECAR-SESSIONS"
	markerTemp = markerName + ".tmp"
	lockName   = "LOCK"
	probeName  = "PROBE.tmp"
	format     = 1
	making     = "making\n"
)

func markerText(format int) string { return fmt.Sprintf("authsidecar sessions, format %d\n", format) }

// A directory is the directory of a store on a file system.
type directory struct {
	fs   vfs.FS
	path string
}

// prepare creates the directory if it does not exist.
func (d directory) prepare() error {
	if _, err := d.fs.Stat(d.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.fs.MkdirAll(d.path, 0o700)
}

// mustExist returns sessions.ErrNoStore unless there is a complete store. It changes nothing.
func (d directory) mustExist() error {
	finished, err := d.inspect()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !finished {
		return sessions.ErrNoStore
	}
	return err
}

// memTable returns the size of a memtable on this volume.
func (d directory) memTable() uint64 {
	usage, err := d.fs.GetDiskUsage(d.path)
	if err != nil || usage.TotalBytes == 0 { // some file systems do not report it
		return defaultMemTable
	}
	return memTable(usage.TotalBytes)
}

// inspect reports whether the directory contains a complete store. It changes nothing. The errors
// are ErrForeign, ErrNewer and those of the system.
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

// parseMarker parses the marker.
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

// writeMarker writes the marker atomically.
func (d directory) writeMarker(text string) error {
	temp, name := d.fs.PathJoin(d.path, markerTemp), d.fs.PathJoin(d.path, markerName)
	if err := d.write(temp, []byte(text)); err != nil {
		return err
	}
	return rename(d.fs, temp, name)
}

// rename renames what survives a crash under the new name.
func rename(disk vfs.FS, from, to string) error {
	if err := disk.Rename(from, to); err != nil {
		return err
	}
	dir, err := disk.OpenDir(disk.PathDir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// probe checks that the disk has the space that Pebble needs to open a database: for the files that
// it always writes, and for the tables that it creates from its logs. If the disk became full
// halfway, the memory and goroutines of the failed open would never be freed.
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
			_ = os.Truncate(name, size) // frees the space that was allocated after the end
		}
		err = d.reserve(room)
	}
	return err
}

// probeSize is about what Pebble writes when it opens a database, in bytes.
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

// reserve allocates space, if the file system supports that, and writes a part of it.
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

// lock locks the directory for this process and, within the process, for the caller. The lock file
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
