package pebblestore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/storetest/servertest"
)

// contents returns everything about a directory: names, modes and bytes.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sum := ""
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = fmt.Sprintf("%x", sha256.Sum256(data))
		}
		all[path] = fmt.Sprint(info.Mode(), sum)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func row(id, user string) sessions.Session {
	now := time.UnixMilli(1700000000000).UTC()
	return sessions.Session{
		Realm: "https://app.example.com", ID: id, UserID: user, ClientID: "app", KeyID: "key",
		Actor:     sessions.Principal{Issuer: "https://idp.example.com", Subject: user},
		CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(1e6 * time.Hour), Idle: 1e6 * time.Hour,
	}
}

// filled makes a store with n sessions and closes it.
func filled(t *testing.T, dir string, n int) {
	t.Helper()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, _, _, err := s.Create(t.Context(), row(fmt.Sprint(i), "alice")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.engine.Load().db.Flush(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, _, _, err := s.Create(t.Context(), row(fmt.Sprint(n+i), "alice")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// change does something to the files of a pattern, of which there must be some.
func change(t *testing.T, pattern string, do func(path string) error) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	for _, path := range paths {
		if err := do(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADirectoryThatIsNotOursStaysAsItWas(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir string)
		want error
	}{
		{"a home", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, ".ssh", "id_ed25519"), "key")
			write(t, filepath.Join(dir, "notes.txt"), "notes")
		}, ErrForeign},
		{"a lone file called CURRENT", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "CURRENT"), "MANIFEST-1") }, ErrForeign},
		{"a Pebble of somebody else", func(t *testing.T, dir string) {
			db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{}})
			if err == nil {
				err = errors.Join(db.Set([]byte("k"), []byte("v"), pebble.Sync), db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}, ErrForeign},
		{"a marker of somebody else", func(t *testing.T, dir string) { write(t, filepath.Join(dir, markerName), "hello\n") }, ErrForeign},
		{"an empty marker", func(t *testing.T, dir string) { write(t, filepath.Join(dir, markerName), "") }, ErrForeign},
		{"a newer format", func(t *testing.T, dir string) {
			filled(t, dir, 5)
			write(t, filepath.Join(dir, markerName), "authsidecar sessions, format 2\nand what it says more\n")
		}, ErrNewer},
		{"no manifest", func(t *testing.T, dir string) {
			filled(t, dir, 5)
			change(t, filepath.Join(dir, "MANIFEST-*"), os.Remove)
		}, ErrCorrupt},
		{"neither manifest nor its markers", func(t *testing.T, dir string) {
			filled(t, dir, 5)
			change(t, filepath.Join(dir, "MANIFEST-*"), os.Remove)
			change(t, filepath.Join(dir, "marker.*"), os.Remove)
		}, ErrCorrupt},
		{"an empty manifest", func(t *testing.T, dir string) {
			filled(t, dir, 5)
			change(t, filepath.Join(dir, "MANIFEST-*"), func(path string) error { return os.Truncate(path, 0) })
		}, ErrCorrupt},
		{"a garbled manifest", func(t *testing.T, dir string) {
			filled(t, dir, 5)
			change(t, filepath.Join(dir, "MANIFEST-*"), func(path string) error {
				return os.WriteFile(path, []byte(strings.Repeat("garbage", 100)), 0o600)
			})
		}, ErrCorrupt},
		{"a table lost", func(t *testing.T, dir string) {
			filled(t, dir, 5)
			change(t, filepath.Join(dir, "*.sst"), os.Remove)
		}, ErrCorrupt},
		{"a log garbled in its middle", func(t *testing.T, dir string) {
			filled(t, dir, 500)
			change(t, filepath.Join(dir, "*.log"), func(path string) error {
				data, err := os.ReadFile(path)
				if err != nil || len(data) < 4000 {
					return err
				}
				copy(data[2000:], strings.Repeat("garbage", 10))
				return os.WriteFile(path, data, 0o600)
			})
		}, ErrCorrupt},
		{"another order of keys", func(t *testing.T, dir string) {
			db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{}})
			if err == nil {
				err = db.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, markerName), markerText(format))
		}, ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			c.make(t, dir)
			before := contents(t, dir)
			s, err := Open(Options{Dir: dir})
			if err == nil {
				t.Fatal("it was opened", s.Close())
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%v, not %v", err, c.want)
			}
			if after := contents(t, dir); !maps.Equal(before, after) {
				t.Errorf("the directory was\n%v\nand is\n%v", before, after)
			}
		})
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) { panic("fatal") }

func TestAnEmptyDirectoryIsTaken(t *testing.T) {
	for name, files := range map[string][]string{
		"empty": nil, "a new file system": {"lost+found/"}, "a first try that got no further": {lockName, markerTemp},
	} {
		dir := t.TempDir()
		for _, file := range files {
			if strings.HasSuffix(file, "/") {
				_ = os.Mkdir(filepath.Join(dir, file), 0o700)
			} else {
				write(t, filepath.Join(dir, file), "")
			}
		}
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Whoever only wants to read a store does not make one by a slip of the pen.
func TestMustExist_MakesNothing(t *testing.T) {
	for name, make := range map[string]func(dir string){
		"nothing":                    func(string) {},
		"an empty directory":         func(dir string) { _ = os.Mkdir(dir, 0o700) },
		"a lock":                     func(dir string) { write(t, filepath.Join(dir, lockName), "") },
		"an interrupted making":      func(dir string) { write(t, filepath.Join(dir, markerName), markerText(format)+making) },
		"one whose parent is absent": func(string) {},
	} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "store")
		make(dir)
		before := contents(t, parent)
		if name == "one whose parent is absent" {
			dir = filepath.Join(dir, "store")
		}
		if _, err := Open(Options{Dir: dir, MustExist: true}); !errors.Is(err, sessions.ErrNoStore) {
			t.Errorf("%s: %v", name, err)
		}
		if after := contents(t, parent); !maps.Equal(before, after) {
			t.Errorf("%s: %v became %v", name, before, after)
		}
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "notes.txt"), "notes")
	if _, err := Open(Options{Dir: dir, MustExist: true}); !errors.Is(err, ErrForeign) {
		t.Errorf("something else: %v", err)
	}
	dir = filepath.Join(t.TempDir(), "store")
	filled(t, dir, 3)
	openStore(t, Options{Dir: dir, MustExist: true})
}

func TestAMakingThatWasInterruptedIsMadeAgain(t *testing.T) {
	for name, make := range map[string]func(dir string){
		"before Pebble": func(string) {},
		"after Pebble":  func(dir string) { filled(t, dir, 0) },
	} {
		dir := t.TempDir()
		make(dir)
		write(t, filepath.Join(dir, markerName), markerText(format)+making)
		filled(t, dir, 3)
		s := openStore(t, Options{Dir: dir})
		if _, err := s.Get(t.Context(), sessions.Key{Realm: "https://app.example.com", ID: "5"}); err != nil {
			t.Errorf("interrupted %s: %v", name, err)
		}
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	filled(t, dir, 100)
	s := openStore(t, Options{Dir: dir})
	if err := s.engine.Load().db.Flush(); err != nil {
		t.Fatal(err)
	}
	for path, about := range contents(t, dir) {
		want := "-rw-------"
		if path == dir {
			want = "drwx------"
		}
		if !strings.HasPrefix(about, want) {
			t.Errorf("%s is %.10s", path, about)
		}
	}
}

func TestADirectoryInUseIsNotOpened(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("in the same process: %v, not ErrInUse", err)
	}
	// A process that asks must not end our lock, nor find it free.
	for range 2 {
		if out := inChild(t, dir, "open"); !strings.Contains(out, ErrInUse.Error()) {
			t.Errorf("in another process: %s", out)
		}
	}
	if _, _, _, err := s.Create(t.Context(), row("1", "alice")); err != nil {
		t.Error(err)
	}
}

func TestADirectoryThatWasClosedIsOpened(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for i := range 3 {
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := s.Create(t.Context(), row(fmt.Sprint(i), "alice")); err != nil {
			t.Error(err)
		}
		page, err := s.List(t.Context(), sessions.Query{Realm: "https://app.example.com", User: "alice", Limit: 9})
		if err != nil || len(page.Sessions) != i+1 {
			t.Errorf("%d sessions, %v", len(page.Sessions), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What this process is to do instead of testing.
const (
	childDir  = "PEBBLESTORE_DIR"
	childTask = "PEBBLESTORE_TASK"
)

func child(t testing.TB, dir, task string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestMain$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childTask+"="+task)
	return cmd
}

func inChild(t testing.TB, dir, task string) string {
	t.Helper()
	out, _ := child(t, dir, task).CombinedOutput()
	return string(out)
}

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	switch os.Getenv(childTask) {
	case "":
		servertest.Main(m)
	case "open":
		_, err := Open(Options{Dir: dir})
		fmt.Println(err)
	case "million":
		reportOpening(dir)
	case "write":
		writeUntilKilled(dir)
	}
}
