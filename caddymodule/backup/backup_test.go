package backup

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// archive makes a tar file of files whose content is their name, and of a list.
func archive(t *testing.T, list *Contents, names ...string) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(h *tar.Header, content []byte) {
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		if strings.HasPrefix(name, "link:") {
			add(&tar.Header{Name: name[5:], Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, nil)
			continue
		}
		add(&tar.Header{Name: name, Mode: 0o600}, []byte(name))
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	add(&tar.Header{Name: listName, Mode: 0o600}, data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

func TestBackup_IsReadAsItWasWritten(t *testing.T) {
	dir, into := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{"a": "1", "b.sst": strings.Repeat("x", 100_000), "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	if err := Write(&out, dir, "pebble", at); err != nil {
		t.Fatal(err)
	}
	list, err := Unpack(&out, into)
	if err != nil || len(list.Files) != 3 || !list.At.Equal(at) {
		t.Fatalf("%v, %+v", err, list)
	}
	for name := range list.Files {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(into, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is another: %v", name, err)
		}
	}
}

func TestUnpack_WritesNowhereElse(t *testing.T) {
	for _, name := range []string{"../evil", "/tmp/evil", "a/../../evil", "link:a", "..", ""} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "into")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := Unpack(archive(t, &Contents{Format: 1, Engine: "pebble"}, name), dir)
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v", err)
			}
			if entries, _ := os.ReadDir(parent); len(entries) != 1 {
				t.Errorf("it wrote %v", entries)
			}
		})
	}
}

func TestUnpack_RefusesListsThatDoNotFit(t *testing.T) {
	whole := map[string]File{"a": {1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}}
	tests := []struct {
		name  string
		list  Contents
		files []string
		says  string
	}{
		{"a file twice", Contents{Format: 1, Files: whole}, []string{"a", "a"}, "unexpected file"},
		{"a file too much", Contents{Format: 1, Files: whole}, []string{"a", "b"}, "more files"},
		{"a file that is missing", Contents{Format: 1, Files: whole}, nil, "a is missing"},
		{"of a newer release", Contents{Format: 2, Files: whole}, []string{"a"}, "newer release"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Unpack(archive(t, &test.list, test.files...), t.TempDir())
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
		})
	}
	good := Contents{Format: 1, Engine: "pebble", Files: whole}
	if _, err := Unpack(archive(t, &good, "a"), t.TempDir()); err != nil {
		t.Errorf("a good one: %v", err)
	}
}
