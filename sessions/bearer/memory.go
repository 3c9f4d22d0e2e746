package bearer

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"authsidecar/sessions/jose"
)

// A Memory stores one small value across restarts. The value is public, but anyone who can write it
// can plant keys.
type Memory interface {
	// Load returns the last saved value, or nil without an error if there is none.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces the value.
	Save(ctx context.Context, data []byte) error
}

const memoryFormat = 1

// storedKeySet is the value in a Memory, as JSON: the key set as the issuer sent it, its issuer and
// URL, and when it was fetched. Keys of other issuers and keys that are too old are not used, and
// all keys are checked again when they are read.
type storedKeySet struct {
	Format  int             `json:"v"`
	Issuer  string          `json:"issuer"`
	URL     string          `json:"url"`     // "" for discovery
	Fetched int64           `json:"fetched"` // seconds since 1970
	JWKS    json.RawMessage `json:"jwks"`
}

// Load takes the saved keys if they have the same issuer and URL and are not too old. It makes no
// network requests. It returns only errors of the Memory; an empty Memory is not an error.
func (r *Remote) Load(ctx context.Context) error {
	if r.config.Memory == nil {
		return nil
	}
	data, err := r.config.Memory.Load(ctx)
	if err != nil {
		return fmt.Errorf("loading remembered keys: %w", err)
	}
	var kept storedKeySet
	if len(data) == 0 || len(data) > 2*maxKeyData || json.Unmarshal(data, &kept) != nil ||
		kept.Format != memoryFormat || kept.Issuer != r.config.Issuer || kept.URL != r.config.URL {
		return nil
	}
	at := time.Unix(kept.Fetched, 0).UTC() // keys that are too old are stored but not used
	if at.After(r.config.Now().Add(MaxLeeway)) {
		return nil
	}
	set, skipped, err := jose.ParseSet(kept.JWKS, r.config.Keys)
	if unusableKeysError(set, skipped, err) != nil || r.good.current.Load() != nil {
		return nil //nolint:nilerr // unusable or older keys are ignored
	}
	r.good.install(ctx, r.config.Log, set, skipped, at)
	return nil
}

// remember saves the keys for the next start.
func (r *Remote) remember(ctx context.Context, jwks []byte, at time.Time) {
	if r.config.Memory == nil {
		return
	}
	data, err := json.Marshal(storedKeySet{memoryFormat, r.config.Issuer, r.config.URL, at.Unix(), jwks})
	if err == nil {
		err = r.config.Memory.Save(ctx, data)
	}
	if err != nil {
		r.config.Log.WarnContext(ctx, "keys cannot be remembered", slog.Any("error", err))
	}
}
