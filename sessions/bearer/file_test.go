package bearer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"authsidecar/sessions/jose"
)

// book is a log that a test reads.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *book) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func newFile(t *testing.T, c FileConfig) *File {
	t.Helper()
	f, err := NewFile(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// has reports whether the source finds the key.
func has(t *testing.T, source KeySource, key *jose.PrivateKey) bool {
	t.Helper()
	_, err := source.Key(t.Context(), key.ID(), key.Algorithm())
	if err != nil && !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("not found, but: %v", err)
	}
	return err == nil
}

func TestFile_ContentIsPickedUpHoweverItIsReplaced(t *testing.T) {
	first, second := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
	for name, test := range map[string]struct {
		place, replace func(t *testing.T, path, content string)
	}{
		"written over":   {write, write},
		"renamed over":   {write, renameOver},
		"links switched": {link, link},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.json")
			test.place(t, path, jwks(t, jwk(t, first, nil)))
			synctest.Test(t, func(t *testing.T) {
				f := newFile(t, FileConfig{Path: path})
				if err := f.Load(t.Context()); err != nil {
					t.Fatal(err)
				}
				stop := run(t, f)
				defer stop()
				pass(time.Minute)
				version := f.Version()
				if !has(t, f, first) || version == 0 {
					t.Fatalf("the first key is not there, version %d", version)
				}
				test.replace(t, path, jwks(t, jwk(t, second, nil)))
				pass(Interval)
				if has(t, f, first) || !has(t, f, second) || f.Version() == version {
					t.Errorf("first %v, second %v, version %d after %d", has(t, f, first), has(t, f, second), f.Version(), version)
				}
			})
		})
	}
}

func TestFile_IsLookedAtEveryFiveSeconds(t *testing.T) {
	first, second := keyOf("first", jose.ES256), keyOf("second", jose.ES256)
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, jwks(t, jwk(t, first, nil)))
	synctest.Test(t, func(t *testing.T) {
		f := newFile(t, FileConfig{Path: path})
		stop := run(t, f)
		defer stop()
		pass(time.Millisecond)
		write(t, path, jwks(t, jwk(t, second, nil)))
		pass(5*time.Second - 2*time.Millisecond)
		if !has(t, f, first) {
			t.Error("it was looked at too soon")
		}
		pass(time.Millisecond)
		if !has(t, f, second) {
			t.Error("it was not looked at")
		}
	})
}

func TestFile_StatusSaysSinceWhenItsKeysAreInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	f := newFile(t, FileConfig{Path: path, Now: func() time.Time { return now }})
	if status := f.Status(); status.Source != path || len(status.Keys) != 0 || !status.FetchedAt.IsZero() {
		t.Errorf("before it is read: %+v", status)
	}
	write(t, path, jwks(t, jwk(t, keyOf("first", jose.ES256), nil)))
	must(t, f.Load(t.Context()))
	if status := f.Status(); len(status.Keys) != 1 || !status.FetchedAt.Equal(now) {
		t.Errorf("when it is read: %+v", status)
	}
}

func renameOver(t *testing.T, path, content string) {
	write(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// link does what Kubernetes does with a mounted secret: the path leads through a
// link to a folder that is switched.
func link(t *testing.T, path, content string) {
	folder, err := os.MkdirTemp(filepath.Dir(path), "data")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "keys.json"), content)
	data := filepath.Join(filepath.Dir(path), "..data")
	if err := os.Symlink(folder, data+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(data+".new", data); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		err = os.Symlink(filepath.Join("..data", "keys.json"), path)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestFile_KeepsTheLastGoodKeys(t *testing.T) {
	key := keyOf("first", jose.ES256)
	good := jwks(t, jwk(t, key, nil))
	for name, spoil := range map[string]func(t *testing.T, path string){
		"gone":           func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"empty":          func(t *testing.T, path string) { write(t, path, "") },
		"no keys":        func(t *testing.T, path string) { write(t, path, `{"keys":[]}`) },
		"half written":   func(t *testing.T, path string) { write(t, path, good[:len(good)/2]) },
		"no usable keys": func(t *testing.T, path string) { write(t, path, jwks(t, jwk(t, key, object{"use": "enc"}))) },
		"too large":      func(t *testing.T, path string) { write(t, path, good+strings.Repeat(" ", 1<<20)) },
		"a folder": func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
		},
		"a pipe": func(t *testing.T, path string) { // opening it would wait for a writer
			must(t, os.Remove(path))
			must(t, syscall.Mkfifo(path, 0o600))
		},
		"V4 secret": func(t *testing.T, path string) {
			write(t, path, `{"kty":"oct","alg":"HS256","kid":"`+key.ID()+`","k":"`+strings.Repeat("A", 43)+`"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.json")
			write(t, path, good)
			var log book
			f := newFile(t, FileConfig{Path: path, Log: log.logger()})
			must(t, f.Load(t.Context()))
			version := f.Version()

			spoil(t, path)
			for range 3 {
				if err := f.Load(t.Context()); err == nil {
					t.Error("loading it is no error")
				}
			}
			if !has(t, f, key) || f.Version() != version {
				t.Error("the last good key is not used")
			}
			if got := strings.Count(log.String(), "level=ERROR"); got != 1 || !strings.Contains(log.String(), "the last ones stay in use") {
				t.Errorf("reported %d times:\n%s", got, log.String())
			}
			if status := f.Status(); status.Error == "" || len(status.Keys) != 1 {
				t.Errorf("%+v", status)
			}
			must(t, os.RemoveAll(path))
			write(t, path, good)
			if err := f.Load(t.Context()); err != nil || f.Status().Error != "" || f.Version() != version {
				t.Errorf("good again: %v, %+v", err, f.Status())
			}
		})
	}
}

func TestFile_SaysWhichAlgorithmsItsKeysAreFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, jwks(t, jwk(t, keyOf("first", jose.ES256), nil)))
	f := newFile(t, FileConfig{Path: path, Keys: jose.KeyPolicy{Algorithms: []jose.Algorithm{jose.RS256}}})
	want := "parsing keys: no usable key in it: key 0: algorithm is not allowed: the key is for ES256"
	if err := f.Load(t.Context()); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFile_WarnsOfAPrivateKey(t *testing.T) {
	key := keyOf("private", jose.ES256)
	private, err := key.JWK()
	must(t, err)
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	must(t, err)
	for content, warns := range map[string]bool{
		string(private):                      true,
		`{"keys":[` + string(private) + `]}`: true,
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})): true,
		jwks(t, jwk(t, key, nil)): false,
		`{"kty":"oct","alg":"HS256","k":"` + strings.Repeat("A", 43) + `"}`: false,
	} {
		path, log := filepath.Join(t.TempDir(), "keys"), new(book)
		write(t, path, content)
		f := newFile(t, FileConfig{Path: path, Keys: jose.KeyPolicy{Symmetric: true}, Log: log.logger()})
		must(t, f.Load(t.Context()))
		if strings.Contains(log.String(), "a private key") != warns {
			t.Errorf("%t: %s", warns, log)
		}
	}
}

func TestFile_ThatAppearsLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	key := keyOf("first", jose.ES256)
	synctest.Test(t, func(t *testing.T) {
		var log book
		f := newFile(t, FileConfig{Path: path, Log: log.logger()})
		if err := f.Load(t.Context()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("loading what is not there: %v", err)
		}
		if got := log.String(); !strings.Contains(got, "keys cannot be read, and there are none yet") || strings.Contains(got, "last good") {
			t.Errorf("the log of what is not there:\n%s", got)
		}
		if _, err := f.Key(t.Context(), key.ID(), key.Algorithm()); !errors.Is(err, ErrKeysUnavailable) {
			t.Errorf("without keys: %v", err)
		}
		stop := run(t, f)
		defer stop()
		synctest.Wait()
		write(t, path, jwks(t, jwk(t, key, nil)))
		pass(Interval)
		if !has(t, f, key) {
			t.Error("not picked up")
		}
	})
}

func TestFile_RefusesToBeNothing(t *testing.T) {
	if _, err := NewFile(FileConfig{}); err == nil {
		t.Error("a file without a path was accepted")
	}
}

func TestV4_StaticKeysAreOfOneKind(t *testing.T) {
	secret, err := jose.NewSecret(bytes.Repeat([]byte("k3"), 32), "HS256")
	must(t, err)
	if _, err := NewStatic(secret, idpKey().Public()); err == nil {
		t.Error("a secret beside a public key: accepted")
	}
	if _, err := NewStatic(); err == nil {
		t.Error("no key: accepted")
	}
	s, err := NewStatic(secret)
	must(t, err)
	if _, err := s.Key(context.Background(), "any", "HS256"); err != nil {
		t.Errorf("a lone secret answers to any key id: %v", err)
	}
}
