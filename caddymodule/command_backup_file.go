package caddymodule

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

// A backup is a tar file of a copy of a store: its files, and last a list of them
// with their sums. So one that was cut off or changed is known for it.

const (
	backupList   = "AUTHSIDECAR-BACKUP.json"
	backupFormat = 1
	maxList      = 16 << 20
)

var errBackup = errors.New("backup is damaged, or none of ours")

// backupContents is the list.
type backupContents struct {
	Format int                   `json:"v"`
	Engine string                `json:"engine"`
	At     time.Time             `json:"at"`
	Files  map[string]backupFile `json:"files"`
}

type backupFile struct {
	Size int64  `json:"size"`
	Sum  string `json:"sha256"`
}

// writeBackup writes the directory.
func writeBackup(w io.Writer, dir, engine string, at time.Time) error {
	archive := tar.NewWriter(w)
	list := backupContents{Format: backupFormat, Engine: engine, At: at.UTC().Truncate(time.Second), Files: make(map[string]backupFile)}
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
		err = archive.WriteHeader(&tar.Header{Name: backupList, Mode: 0o600, Size: int64(len(data)), ModTime: list.At})
	}
	if err == nil {
		_, err = archive.Write(data)
	}
	if err = errors.Join(err, archive.Close()); err != nil {
		return fmt.Errorf("writing backup: %w", err)
	}
	return nil
}

func addFile(archive *tar.Writer, path, name string, at time.Time) (backupFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return backupFile{}, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return backupFile{}, err
	}
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: at, Format: tar.FormatPAX}); err != nil {
		return backupFile{}, err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(archive, sum), file)
	return backupFile{info.Size(), hex.EncodeToString(sum.Sum(nil))}, err
}

// readBackup reads a backup to its end. Each of its files is given to keep, which
// may be io.Discard's; afterwards all of them are known to be whole.
func readBackup(r io.Reader, keep func(name string, content io.Reader) error) (*backupContents, error) {
	archive := tar.NewReader(r)
	found := make(map[string]backupFile)
	for {
		header, err := archive.Next()
		if err != nil { // the list was to come first
			return nil, fmt.Errorf("%w: %w", errBackup, notEOF(err))
		}
		if header.Name == backupList {
			break
		}
		if header.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(header.Name)) || found[header.Name] != (backupFile{}) {
			return nil, fmt.Errorf("%w: %q has no business in it", errBackup, header.Name)
		}
		sum := sha256.New()
		if err := keep(header.Name, io.TeeReader(archive, sum)); err != nil {
			return nil, err
		}
		found[header.Name] = backupFile{header.Size, hex.EncodeToString(sum.Sum(nil))}
	}
	list, err := readList(archive)
	if err != nil {
		return nil, err
	}
	if _, err := archive.Next(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more follows its list", errBackup)
	}
	if !maps.Equal(found, list.Files) {
		return nil, fmt.Errorf("%w: %s", errBackup, difference(found, list.Files))
	}
	return list, nil
}

func readList(r io.Reader) (*backupContents, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxList))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBackup, notEOF(err))
	}
	list := new(backupContents)
	if json.Unmarshal(data, list) != nil {
		return nil, fmt.Errorf("%w: its list cannot be read", errBackup)
	}
	if list.Format > backupFormat {
		return nil, errors.New("backup is of a newer release: restore it with that one")
	}
	return list, nil
}

// notEOF keeps an end that came too early from passing for a good one.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// difference names a file that is not as it should be.
func difference(found, want map[string]backupFile) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if found[name] != want[name] {
			return fmt.Sprintf("%s is missing or changed", name)
		}
	}
	return "it has more files than its list"
}

// discard reads a file and keeps nothing.
func discard(_ string, content io.Reader) error {
	if _, err := io.Copy(io.Discard, content); err != nil {
		return fmt.Errorf("%w: %w", errBackup, notEOF(err))
	}
	return nil
}
