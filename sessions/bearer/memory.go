package bearer

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"authsidecar/sessions/jose"
)

// A Memory keeps one small value over restarts. What it keeps is public, but
// who can write it can make up keys.
type Memory interface {
	// Load returns what was saved last; nil and no error if nothing was.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces what is kept.
	Save(ctx context.Context, data []byte) error
}

const memoryFormat = 1

// remembered is what a Memory keeps, as JSON: the key set as the issuer sent it,
// and of whom, from where and when. Others' keys and those that are too old are
// not used, and all of them are checked again when they are read.
type remembered struct {
	Format  int             `json:"v"`
	Issuer  string          `json:"issuer"`
	URL     string          `json:"url"`     // "" for discovery
	Fetched int64           `json:"fetched"` // seconds since 1970
	JWKS    json.RawMessage `json:"jwks"`
}

// Load takes the keys that were remembered, if they are of the same issuer and
// URL and not too old. It asks nothing over the network. The error is the
// memory's; to have remembered nothing is none.
func (r *Remote) Load(ctx context.Context) error {
	if r.config.Memory == nil {
		return nil
	}
	data, err := r.config.Memory.Load(ctx)
	if err != nil {
		return fmt.Errorf("loading remembered keys: %w", err)
	}
	var kept remembered
	if len(data) == 0 || len(data) > 2*maxKeyData || json.Unmarshal(data, &kept) != nil ||
		kept.Format != memoryFormat || kept.Issuer != r.config.Issuer || kept.URL != r.config.URL {
		return nil
	}
	at := time.Unix(kept.Fetched, 0).UTC() // if it is too long ago, they are there and not used
	if at.After(r.config.Now().Add(MaxLeeway)) {
		return nil
	}
	set, skipped, err := jose.ParseSet(kept.JWKS, r.config.Keys)
	if err != nil || set.Len() == 0 || r.good.current.Load() != nil {
		return nil //nolint:nilerr // what is not usable, or not the newest, is not remembered
	}
	if r.good.install(set, at) {
		logChange(ctx, r.config.Log, r.good.current.Load(), skipped)
	}
	return nil
}

// remember saves the keys for the next start.
func (r *Remote) remember(ctx context.Context, jwks []byte, at time.Time) {
	if r.config.Memory == nil {
		return
	}
	data, err := json.Marshal(remembered{memoryFormat, r.config.Issuer, r.config.URL, at.Unix(), jwks})
	if err == nil {
		err = r.config.Memory.Save(ctx, data)
	}
	if err != nil {
		r.config.Log.WarnContext(ctx, "keys cannot be remembered", slog.Any("error", err))
	}
}
