package caddymodule_test

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"authsidecar/caddymodule/internal/sidecartest"
)

// A backup that is taken while the server serves under load holds every session that
// was acknowledged before it began, and what it is restored to serves them.
func TestBackup_UnderLoadHoldsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	app := sidecartest.Echo(t)
	const words = sidecartest.Lifecycle + "\n\t\tsession {\n\t\t\tmax_per_user 0\n\t\t}\n\t\tstore pebble DIR/"
	s.Start(provider.Site(s, app, words+"one"))
	token := provider.Token("alice", nil)

	load := startLoad(s, token)
	var backups []string
	acknowledged := make(map[string][]string)
	for round := range 3 {
		load.waitFor(t, 150*(round+1))
		before := load.soFar()
		var made struct {
			File  string
			Bytes int64
		}
		if err := json.Unmarshal([]byte(s.MustSessions("backup", s.Dir, "--json")), &made); err != nil || made.Bytes == 0 {
			t.Fatalf("%v %+v", err, made)
		}
		backups = append(backups, made.File)
		acknowledged[made.File] = before
	}
	load.stop()
	wantNoLeftovers(t, s.Dir, "one")
	s.Stop()

	for _, backup := range backups {
		target := strings.TrimSuffix(filepath.Base(backup), ".tar")
		got := s.Sessions("", "restore", backup, filepath.Join(s.Dir, target))
		if !got.OK {
			t.Fatalf("%+v", got)
		}
		sidecartest.WantIn(t, got.Out, "store pebble "+filepath.Join(s.Dir, target))
		s.Start(provider.Site(s, app, words+target))
		tokens := acknowledged[backup]
		for _, refresh := range tokens {
			if got := s.Refresh(refresh); got.Status != 200 {
				t.Fatalf("%s: an acknowledged session is lost: %d %s", target, got.Status, got.Body)
			}
		}
		t.Logf("%s: %d sessions acknowledged before it, all there", target, len(tokens))
		s.Stop()
	}
}

// A load creates sessions until it is stopped.
type creations struct {
	mu     sync.Mutex
	tokens []string
	ended  atomic.Bool
	group  sync.WaitGroup
}

func startLoad(s *sidecartest.Sidecar, token string) *creations {
	l := new(creations)
	for range 6 {
		l.group.Go(func() {
			for !l.ended.Load() {
				got, err := s.TryCreate(token, `{"user_id":"alice"}`)
				if err != nil || got.Status != 200 {
					continue
				}
				l.mu.Lock()
				l.tokens = append(l.tokens, got.Text("refresh_token"))
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *creations) soFar() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.tokens)
}

func (l *creations) waitFor(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(l.soFar()) < n; {
		if time.Now().After(deadline) {
			t.Fatal("no load came about")
		}
		time.Sleep(time.Millisecond) // polling what another process does in its own time
	}
}

func (l *creations) stop() {
	l.ended.Store(true)
	l.group.Wait()
}

// wantNoLeftovers expects that nothing of a backup is left, in the store nor beside
// the files that were asked for.
func wantNoLeftovers(t *testing.T, dir, store string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if name := entry.Name(); strings.HasPrefix(name, "BACKUP-") || strings.HasPrefix(name, ".auth_sessions") || strings.HasPrefix(name, ".backup") {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, store)); err != nil {
		t.Error(err)
	}
}

// What a process left that ended while it sent a backup is gone when the store opens
// again, and after the next backup.
func TestBackup_TidiesUpAfterACrash(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	config := provider.Site(s, sidecartest.Echo(t), "store pebble DIR/one")
	s.Start(config)
	s.Stop()
	left := filepath.Join(s.Dir, "one", "BACKUP-LEFTOVER")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Start(config)
	wantNoLeftovers(t, s.Dir, "one")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	s.MustSessions("backup", filepath.Join(s.Dir, "b.tar"))
	wantNoLeftovers(t, s.Dir, "one")
	if info, err := os.Stat(filepath.Join(s.Dir, "b.tar")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestBackup_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	one := provider.Site(s, sidecartest.Echo(t), "store pebble DIR/one")
	two := strings.NewReplacer("SITE", "http://:"+sidecartest.Port(t), "issuer https://app", "issuer https://other", "DIR/one", "DIR/two").Replace(one)
	three := strings.NewReplacer("SITE", "http://:"+sidecartest.Port(t), "issuer https://app", "issuer https://third", "pebble DIR/one", "forgetful").Replace(one)
	s.Start(one + two + three)
	s.Write("there.tar", "mine")
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"several stores", []string{"backup", "b.tar"}, "by --issuer"},
		{"a file that exists", []string{"backup", "there.tar", "--issuer", "https://app.example.com"}, "exists"},
		{"a directory that does not", []string{"backup", "nowhere/", "--issuer", "https://app.example.com"}, "no directory"},
		{"a file in one", []string{"backup", "nowhere/b.tar", "--issuer", "https://app.example.com"}, "no such file"},
		{"a store that makes no copy", []string{"backup", "b.tar", "--issuer", "https://third.example.com"}, "store forgetful makes no copy of itself"},
		{"no target", []string{"backup"}, "say where the backup goes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := s.Sessions("", append(test.args, "--address", s.Admin)...)
			if got.OK || !strings.Contains(got.Err, test.says) {
				t.Errorf("%+v, want %q", got, test.says)
			}
		})
	}
	if data, _ := os.ReadFile(filepath.Join(s.Dir, "there.tar")); string(data) != "mine" {
		t.Error("it was written over")
	}
	entries, _ := filepath.Glob(filepath.Join(s.Dir, "*b.tar*"))
	if len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	s.MustSessions("backup", "b.tar", "--issuer", "https://other.example.com")
}

// A server that ends, or is cut off, while it sends a backup leaves no file that could
// pass for one.
func TestBackup_BrokenOffLeavesNothing(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), "store pebble DIR/one"))
	good := s.Ask("GET", "backup")
	sidecartest.WantStatus(t, good, 200)
	for name, send := range map[string]func(w http.ResponseWriter){
		"cut": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, good.Body[:len(good.Body)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"cut at its end": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, good.Body[:len(good.Body)-1024])
			panic(http.ErrAbortHandler)
		},
		"short":             func(w http.ResponseWriter) { _, _ = io.WriteString(w, good.Body[:1024]) },
		"something else":    func(w http.ResponseWriter) { _, _ = io.WriteString(w, "{}") },
		"nothing":           func(http.ResponseWriter) {},
		"not without error": func(w http.ResponseWriter) { w.WriteHeader(500); _, _ = io.WriteString(w, good.Body) },
	} {
		t.Run(name, func(t *testing.T) {
			server := sidecartest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { send(w) })
			got := s.Sessions("", "backup", "b.tar", "--address", strings.TrimPrefix(server, "http://"))
			if got.OK || got.Out != "" {
				t.Errorf("%+v", got)
			}
			if left, _ := filepath.Glob(filepath.Join(s.Dir, "*b.tar*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
			if left, _ := filepath.Glob(filepath.Join(s.Dir, ".b.tar*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestRestore_TakesNothingThatIsNotWhole(t *testing.T) {
	t.Parallel()
	provider := sidecartest.NewIDP(t, "https://idp.example.com")
	s := sidecartest.New(t)
	s.Start(provider.Site(s, sidecartest.Echo(t), "store pebble DIR/one"))
	sidecartest.WantStatus(t, s.Create(provider.Token("alice", nil), `{"user_id":"alice"}`), 200)
	good := filepath.Join(s.Dir, "good.tar")
	s.MustSessions("backup", good)
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) string {
		changed := append([]byte(nil), data...)
		changed[at] ^= 1
		return string(changed)
	}
	s.Write("foreign.txt", "hello")
	tests := map[string]string{
		"empty": "", "of something else": "hello", "cut off": string(data[:len(data)/2]), "without its list": string(data[:len(data)-4096]),
		"with a changed name": flipped(0), "with a changed byte in a file": flipped(1600), "of the rest of a disk": strings.Repeat("\x00", 4096),
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			file, target := s.Write("bad.tar", content), filepath.Join(s.Dir, "target")
			got := s.Sessions("", "restore", file, target)
			if got.OK || !strings.Contains(got.Err, "nothing was restored") {
				t.Errorf("%+v", got)
			}
			if _, err := os.Stat(target); err == nil {
				t.Error("there is something")
			}
		})
	}
	for target, says := range map[string]string{s.Dir: "is not empty", filepath.Join(s.Dir, "good.tar"): "not a directory", "/nonexistent/a/b": "no such file"} {
		if got := s.Sessions("", "restore", good, target); got.OK || !strings.Contains(got.Err, says) {
			t.Errorf("%s: %+v", target, got)
		}
	}
	if err := os.Mkdir(filepath.Join(s.Dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"empty", "fresh"} {
		got := s.Sessions("", "restore", good, target, "--json")
		if !got.OK || !strings.Contains(got.Out, `"sessions":1,"live":1`) {
			t.Errorf("%s: %+v", target, got)
		}
	}
	left, _ := filepath.Glob(filepath.Join(s.Dir, ".*.*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
