package caddymodule

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/caddyserver/certmagic"

	"authsidecar/sessions"
)

// Signing keys are shown for keyPublish before they sign, which is as long as
// others may remember our key set; nodes look for new ones each keySync.
const (
	keyPublish = time.Hour
	keySync    = 5 * time.Minute
	// keyKeep is the least time that a key verifies after it signed last.
	keyKeep = 366 * 24 * time.Hour
)

// keyStore keeps the secrets of one issuer in Caddy's storage, which a cluster
// shares: signing keys, and the secret that session ids are made with.
type keyStore struct {
	storage certmagic.Storage
	prefix  string
}

func newKeyStore(storage certmagic.Storage, issuer string) *keyStore {
	return &keyStore{storage: storage, prefix: path.Join("auth_sessions", storageName(issuer))}
}

// storageName makes a storage key of any string: readable, and never the same
// for two strings.
func storageName(s string) string {
	sum := sha256.Sum256([]byte(s))
	return certmagic.StorageKeys.Safe(s) + "-" + hex.EncodeToString(sum[:8])
}

// syncRing brings the ring up to date with the storage, and the storage with
// the schedule. The storage's lock is taken only when a key is missing or due.
// What cannot be read is an error, and never replaced.
func (k *keyStore) syncRing(ctx context.Context, ring *sessions.Ring, name string, plan *sessions.Schedule) error {
	records, err := k.loadKeys(ctx, name)
	if err != nil {
		return err
	}
	if _, due := plan.Due(records, time.Now()); due {
		if records, err = k.planLocked(ctx, name, plan); err != nil {
			return err
		}
	}
	return ring.Set(records)
}

func (k *keyStore) planLocked(ctx context.Context, name string, plan *sessions.Schedule) (records []sessions.KeyRecord, err error) {
	err = k.locked(ctx, func() error {
		current, err := k.loadKeys(ctx, name)
		if err != nil {
			return err
		}
		var changed bool
		if records, changed, err = plan.Plan(current, time.Now()); err != nil || !changed {
			return err
		}
		data, err := sessions.EncodeKeys(records)
		if err != nil {
			return err
		}
		return k.store(ctx, name+".json", data)
	})
	return records, err
}

// locked runs do while no other node does.
func (k *keyStore) locked(ctx context.Context, do func() error) (err error) {
	if err := k.storage.Lock(ctx, k.prefix); err != nil {
		return fmt.Errorf("locking the storage of signing keys: %w", err)
	}
	defer func() {
		unlockErr := k.storage.Unlock(context.WithoutCancel(ctx), k.prefix)
		if unlockErr != nil && err == nil {
			err = fmt.Errorf("unlocking the storage of signing keys: %w", unlockErr)
		}
	}()
	return do()
}

// loadKeys reads the keys of that name; none is no error.
func (k *keyStore) loadKeys(ctx context.Context, name string) ([]sessions.KeyRecord, error) {
	data, err := k.load(ctx, name+".json")
	if err != nil || data == nil {
		return nil, err
	}
	records, err := sessions.DecodeKeys(data)
	if err != nil {
		return nil, fmt.Errorf("%s in Caddy's storage cannot be used: %w; restore it from a backup, or remove it to end all sessions and start with new keys", path.Join(k.prefix, name+".json"), err)
	}
	return records, nil
}

// idSecret returns the secret that session ids are made with, and makes it
// where none is stored.
func (k *keyStore) idSecret(ctx context.Context) ([]byte, error) {
	secret, err := k.loadSecret(ctx)
	if err != nil || secret != nil {
		return secret, err
	}
	err = k.locked(ctx, func() error {
		if secret, err = k.loadSecret(ctx); err != nil || secret != nil {
			return err
		}
		secret = make([]byte, 32)
		_, _ = rand.Read(secret) // it never fails: it ends the process instead
		return k.store(ctx, "id_secret", []byte(base64.RawStdEncoding.EncodeToString(secret)))
	})
	return secret, err
}

func (k *keyStore) loadSecret(ctx context.Context) ([]byte, error) {
	data, err := k.load(ctx, "id_secret")
	if err != nil || data == nil {
		return nil, err
	}
	secret, err := base64.RawStdEncoding.DecodeString(string(bytes.TrimSpace(data)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("%s in Caddy's storage is not a secret of ours: restore it from a backup, or remove it", path.Join(k.prefix, "id_secret"))
	}
	return secret, nil
}

func (k *keyStore) load(ctx context.Context, name string) ([]byte, error) {
	data, err := k.storage.Load(ctx, path.Join(k.prefix, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s from Caddy's storage: %w", path.Join(k.prefix, name), err)
	}
	if data == nil {
		data = []byte{} // there, and empty
	}
	return data, nil
}

func (k *keyStore) store(ctx context.Context, name string, data []byte) error {
	if err := k.storage.Store(ctx, path.Join(k.prefix, name), data); err != nil {
		return fmt.Errorf("writing %s to Caddy's storage: %w", path.Join(k.prefix, name), err)
	}
	return nil
}

// issuerMemory keeps the last good key set of a trusted issuer, so that callers
// can be verified after a restart while the issuer is down.
type issuerMemory struct {
	storage certmagic.Storage
	key     string
}

func newIssuerMemory(storage certmagic.Storage, issuer, url string) *issuerMemory {
	return &issuerMemory{storage: storage, key: path.Join("auth_sessions", "trusted", storageName(issuer+" "+url)+".json")}
}

// Load returns what was saved, or nothing.
func (m *issuerMemory) Load(ctx context.Context) ([]byte, error) {
	data, err := m.storage.Load(ctx, m.key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Save keeps data.
func (m *issuerMemory) Save(ctx context.Context, data []byte) error {
	return m.storage.Store(ctx, m.key, data)
}
