package bearer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"authsidecar/sessions/jose"
)

// Interval is how often a File is read.
const Interval = 5 * time.Second

// A FileConfig is the configuration of a File.
type FileConfig struct {
	// Path of a PEM, JWK or JWKS file, up to 1 MiB. Required.
	Path string
	// Keys selects the keys of the file that are used.
	Keys jose.KeyPolicy
	// Log receives changes and read errors. By default nothing is logged.
	Log *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// A File provides the keys in a file that may be replaced. It compares the content, so any way of
// replacing the file works. Content without a usable key changes nothing.
type File struct {
	config FileConfig
	good   lastGood

	mu   sync.Mutex
	seen []byte // content that was checked last
	err  error  // the error of that content, or of reading it
}

// NewFile validates the configuration. It does not read the file.
func NewFile(c FileConfig) (*File, error) {
	if c.Path == "" {
		return nil, errors.New("no path")
	}
	c.Log, c.Now = logger(c.Log).With(slog.String("file", c.Path)), clock(c.Now)
	return &File{config: c}, nil
}

// Load reads the file. The error says why its keys cannot be used; previous keys stay in use.
func (f *File) Load(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := readSmall(f.config.Path)
	if err == nil && f.seen != nil && bytes.Equal(data, f.seen) {
		return f.err
	}
	known := f.err
	f.seen, f.err = data, err
	if err == nil {
		f.err = f.install(ctx, data)
	}
	if f.err != nil && (known == nil || known.Error() != f.err.Error()) {
		what := "keys cannot be read, and there are none yet"
		if f.good.current.Load() != nil {
			what = "keys cannot be read; the last ones stay in use"
		}
		f.config.Log.ErrorContext(ctx, what, slog.Any("error", f.err))
	}
	return f.err
}

func (f *File) install(ctx context.Context, data []byte) error {
	set, skipped, err := jose.ParseKeys(data, f.config.Keys)
	if err := unusableKeysError(set, skipped, err); err != nil {
		return err
	}
	if slices.ContainsFunc(set.Keys(), (*jose.Key).FromPrivate) {
		f.config.Log.WarnContext(ctx, "this file has a private key: whoever can read it can sign tokens as the issuer; keep only public keys in it")
	}
	f.good.install(ctx, f.config.Log, set, skipped, f.config.Now())
	return nil
}

// Run reads the file at each interval until ctx ends.
func (f *File) Run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		_ = f.Load(ctx) // the error is logged, and in the status
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Refresh reads the file now, as Load does.
func (f *File) Refresh(ctx context.Context) error { return f.Load(ctx) }

// Key returns a key of the last usable content, or ErrKeysUnavailable if there was none.
func (f *File) Key(_ context.Context, kid string, alg jose.Algorithm) (*jose.Key, error) {
	return f.good.current.Load().lookup(kid, alg)
}

// Version changes when the keys change.
func (f *File) Version() uint64 { return f.good.current.Load().number() }

// Public returns the keys that are in use.
func (f *File) Public() []*jose.Key { return f.good.current.Load().keys() }

// Status returns the current state.
func (f *File) Status() Status {
	now := f.good.current.Load()
	status := Status{Source: f.config.Path, Keys: now.status()}
	if now != nil {
		status.FetchedAt = now.at
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		status.Error = f.err.Error()
	}
	return status
}

// readSmall reads a regular file, or the target of a link to one: reading anything else could
// block.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("finding keys: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("finding keys: not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening keys: %w", err)
	}
	defer func() { _ = file.Close() }()
	return readAll(file)
}
