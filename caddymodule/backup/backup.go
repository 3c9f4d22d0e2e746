package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	listName = "AUTHSIDECAR-BACKUP.json"
	format   = 1
	maxList  = 16 << 20
)

// ErrDamaged means that data is not a backup, or not as it was written.
var ErrDamaged = errors.New("not a backup, or a damaged one")

// Contents is the list of a backup.
type Contents struct {
	Format int             `json:"v"`
	Engine string          `json:"engine"`
	At     time.Time       `json:"at"`
	Files  map[string]File `json:"files"` // by name
}

// A File is one of its files.
type File struct {
	Size int64  `json:"size"`
	Sum  string `json:"sha256"`
}

// Write writes the files in a directory, which is a copy of a store with that engine, as a backup.
func Write(w io.Writer, dir, engine string, at time.Time) error {
	archive := tar.NewWriter(w)
	list := Contents{Format: format, Engine: engine, At: at.UTC().Truncate(time.Second), Files: make(map[string]File)}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		list.Files[name], err = addFile(archive, path, name, list.At)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing backup: %w", err)
	}
	data, err := json.Marshal(list)
	if err == nil {
		err = archive.WriteHeader(&tar.Header{Name: listName, Mode: 0o600, Size: int64(len(data)), ModTime: list.At})
	}
	if err == nil {
		_, err = archive.Write(data)
	}
	if err = errors.Join(err, archive.Close()); err != nil {
		return fmt.Errorf("writing backup: %w", err)
	}
	return nil
}

func addFile(archive *tar.Writer, path, name string, at time.Time) (File, error) {
	file, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return File{}, err
	}
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: at, Format: tar.FormatPAX}); err != nil {
		return File{}, err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(archive, sum), file)
	return File{info.Size(), hex.EncodeToString(sum.Sum(nil))}, err
}

// Read reads a backup to its end. It passes each file to keep, with a local name (see
// filepath.IsLocal) that has slashes; a nil keep discards them. If Read returns no error, all files
// were complete; otherwise the error is ErrDamaged.
func Read(r io.Reader, keep func(name string, content io.Reader) error) (*Contents, error) {
	if keep == nil {
		keep = discard
	}
	archive := tar.NewReader(r)
	found := make(map[string]File)
	for {
		header, err := archive.Next()
		if err != nil { // the list has not been read yet
			return nil, fmt.Errorf("%w: %w", ErrDamaged, notEOF(err))
		}
		if header.Name == listName {
			break
		}
		if header.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(header.Name)) || found[header.Name] != (File{}) {
			return nil, fmt.Errorf("%w: unexpected file %q", ErrDamaged, header.Name)
		}
		sum := sha256.New()
		if err := keep(header.Name, io.TeeReader(archive, sum)); err != nil {
			return nil, err
		}
		found[header.Name] = File{header.Size, hex.EncodeToString(sum.Sum(nil))}
	}
	list, err := readList(archive)
	if err != nil {
		return nil, err
	}
	if _, err := archive.Next(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more follows its list", ErrDamaged)
	}
	if !maps.Equal(found, list.Files) {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, difference(found, list.Files))
	}
	return list, nil
}

func readList(r io.Reader) (*Contents, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxList))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, notEOF(err))
	}
	list := new(Contents)
	if json.Unmarshal(data, list) != nil {
		return nil, fmt.Errorf("%w: its list cannot be read", ErrDamaged)
	}
	if list.Format > format {
		return nil, errors.New("backup is of a newer release: restore it with that one")
	}
	return list, nil
}

// notEOF turns a premature end into an error that is not io.EOF.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// difference returns the name of a file that differs from the list.
func difference(found, want map[string]File) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if found[name] != want[name] {
			return fmt.Sprintf("%s is missing or changed", name)
		}
	}
	return "it has more files than its list"
}

// discard reads a file and discards it.
func discard(_ string, content io.Reader) error {
	if _, err := io.Copy(io.Discard, content); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, notEOF(err))
	}
	return nil
}

// Unpack writes the files of a backup into a directory and syncs them.
func Unpack(r io.Reader, dir string) (*Contents, error) {
	return Read(r, func(name string, content io.Reader) error {
		path := filepath.Join(dir, filepath.FromSlash(name)) // Read has checked that it is local
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Sync(), file.Close())
	})
}

// Name returns the default name of a backup.
func Name(now time.Time) string {
	return "auth_sessions-" + now.UTC().Format("20060102T150405.000Z") + ".tar"
}
