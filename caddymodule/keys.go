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
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"authsidecar/sessions/keyring"
)

// Each node loads new signing keys every keySync. A key does not sign before everyone can verify
// it: all nodes must have loaded it, and clients that cache our key set for keyCache must have
// fetched it again.
var (
	keySync  = 5 * time.Minute
	keyCache = time.Hour
)

// keyKeep is the minimum time for which a key still verifies after it last signed.
const keyKeep = 366 * 24 * time.Hour

// keyPublish is how long a key is published before it signs. A node may miss one keySync.
func keyPublish() time.Duration { return keyCache + 2*keySync }

// keyStore stores the secrets of one issuer in Caddy's storage, which a cluster shares: signing
// keys, and the secret from which session ids are derived.
type keyStore struct {
	storage certmagic.Storage
	prefix  string
	syncing sync.Mutex // held while rings are synchronized, so that none gets old keys
}

func newKeyStore(storage certmagic.Storage, issuer string) *keyStore {
	return &keyStore{storage: storage, prefix: path.Join("auth_sessions", storageName(issuer))}
}

// storageName returns a storage key for any string: readable, and different for different strings.
func storageName(s string) string {
	sum := sha256.Sum256([]byte(s))
	return certmagic.StorageKeys.Safe(s) + "-" + hex.EncodeToString(sum[:8])
}

// syncRing synchronizes the ring with the storage, and the storage with the schedule. It locks the
// storage only if a key is missing or due. An unreadable key is an error, and is never replaced.
func (k *keyStore) syncRing(ctx context.Context, r *ringPlan) error {
	k.syncing.Lock()
	defer k.syncing.Unlock()
	now := time.Now()
	records, err := k.loadRing(ctx, r)
	if err != nil {
		return err
	}
	if _, due := r.plan.Due(records, now); due {
		if records, err = k.change(ctx, r, r.plan.Plan); err != nil {
			return err
		}
	}
	return r.set(records, now)
}

// renewRing adds a new key, which signs once every node has loaded it.
func (k *keyStore) renewRing(ctx context.Context, r *ringPlan) error {
	k.syncing.Lock()
	defer k.syncing.Unlock()
	now := time.Now()
	records, err := k.change(ctx, r, r.plan.Renew)
	if err != nil {
		return err
	}
	return r.set(records, now)
}

// set sets the keys of the ring, which were read at that time. A key that was generated since signs
// at least keyPublish later, by a clock that may be ahead of ours.
func (r *ringPlan) set(records []keyring.Record, at time.Time) error {
	if err := r.ring.Set(records); err != nil {
		return err
	}
	r.ring.CompleteUntil(at.Add(r.plan.Publish - keySync))
	return nil
}

// change updates the stored keys under the lock of the storage.
func (k *keyStore) change(
	ctx context.Context, r *ringPlan, plan func([]keyring.Record, time.Time) ([]keyring.Record, bool, error),
) (records []keyring.Record, err error) {
	err = k.withLock(ctx, func() error {
		current, err := k.loadRing(ctx, r)
		if err != nil {
			return err
		}
		var changed bool
		if records, changed, err = plan(current, time.Now()); err != nil || !changed {
			return err
		}
		data, err := keyring.Encode(records)
		if err != nil {
			return err
		}
		return k.store(ctx, r.name+".json", data)
	})
	return records, err
}

// rotateKeys generates new signing keys, whatever the schedule says, and publishes them; they sign
// after keyPublish. Tokens signed with the current keys stay valid until they expire. It is an
// error if the keys are the operator's files.
func (inst *instance) rotateKeys(ctx context.Context) error {
	if len(inst.rings) == 0 {
		return errKeyFiles
	}
	if err := inst.open(ctx); err != nil {
		return err
	}
	for i := range inst.rings {
		if err := inst.keys.renewRing(ctx, &inst.rings[i]); err != nil {
			return fmt.Errorf("rotating the %s token's key: %w", inst.rings[i].name, err)
		}
	}
	return nil
}

var errKeyFiles = errors.New("the signing keys are files: replace them and reload")

// withLock calls do while holding the lock of the storage.
func (k *keyStore) withLock(ctx context.Context, do func() error) (err error) {
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

// loadRing reads the keys of a ring. It is no error if it never had any, but keys that are gone are
// not replaced, since that would invalidate all sessions.
func (k *keyStore) loadRing(ctx context.Context, r *ringPlan) ([]keyring.Record, error) {
	records, err := k.loadKeys(ctx, r.name)
	if err == nil && len(records) == 0 && len(r.ring.Public()) > 0 {
		return nil, fmt.Errorf("%s is gone from Caddy's storage: put it back; to end all sessions and start with new keys, restart",
			path.Join(k.prefix, r.name+".json"))
	}
	return records, err
}

// loadKeys reads the keys with that name, if there are any.
func (k *keyStore) loadKeys(ctx context.Context, name string) ([]keyring.Record, error) {
	data, err := k.load(ctx, name+".json")
	if err != nil || data == nil {
		return nil, err
	}
	records, err := keyring.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s in Caddy's storage cannot be used: %w; restore it from a backup, or remove it to end all sessions and start with new keys", path.Join(k.prefix, name+".json"), err)
	}
	return records, nil
}

// idSecret returns the secret from which session ids are derived, and creates it if there is none.
func (k *keyStore) idSecret(ctx context.Context) ([]byte, error) {
	secret, err := k.loadSecret(ctx)
	if err != nil || secret != nil {
		return secret, err
	}
	err = k.withLock(ctx, func() error {
		if secret, err = k.loadSecret(ctx); err != nil || secret != nil {
			return err
		}
		secret = make([]byte, 32)
		_, _ = rand.Read(secret) // never fails: it crashes the process instead
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
		data = []byte{} // present but empty
	}
	return data, nil
}

func (k *keyStore) store(ctx context.Context, name string, data []byte) error {
	if err := k.storage.Store(ctx, path.Join(k.prefix, name), data); err != nil {
		return fmt.Errorf("writing %s to Caddy's storage: %w", path.Join(k.prefix, name), err)
	}
	return nil
}

// issuerMemory stores the last usable key set of a trusted issuer, so that callers can be verified
// after a restart while the issuer is down.
type issuerMemory struct {
	keyStore
	name string
}

func newIssuerMemory(storage certmagic.Storage, issuer, url string) *issuerMemory {
	return &issuerMemory{keyStore{storage: storage, prefix: path.Join("auth_sessions", "trusted")}, storageName(issuer+" "+url) + ".json"}
}

// Load returns what was saved, or nil.
func (m *issuerMemory) Load(ctx context.Context) ([]byte, error) { return m.load(ctx, m.name) }

// Save keeps data.
func (m *issuerMemory) Save(ctx context.Context, data []byte) error {
	return m.store(ctx, m.name, data)
}
