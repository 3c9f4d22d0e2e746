package keyring

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"authsidecar/sessions/jose"
)

type storedKeys struct {
	Format int         `json:"v"`
	Keys   []storedKey `json:"keys"`
}

type storedKey struct {
	From int64           `json:"from"`
	JWK  json.RawMessage `json:"jwk"`
}

// Encode serializes records for storage. The result contains private keys.
func Encode(records []Record) ([]byte, error) {
	stored := storedKeys{Format: 1, Keys: make([]storedKey, len(records))}
	for i, record := range records {
		jwk, err := record.Key.JWK()
		if err != nil {
			return nil, fmt.Errorf("serialising signing key: %w", err)
		}
		stored.Keys[i] = storedKey{From: record.From.UnixMilli(), JWK: jwk}
	}
	return json.Marshal(stored)
}

// Decode reads what Encode wrote. Its errors contain nothing of the data.
func Decode(data []byte) ([]Record, error) {
	var stored storedKeys
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, errors.New("signing keys are not JSON")
	}
	if stored.Format != 1 {
		return nil, fmt.Errorf("signing keys have format %d, which this release does not know", stored.Format)
	}
	if len(stored.Keys) == 0 {
		return nil, errors.New("signing keys are missing") // an empty list is never stored
	}
	records := make([]Record, len(stored.Keys))
	for i, k := range stored.Keys {
		key, err := jose.ParsePrivate(k.JWK, "")
		if err != nil {
			return nil, fmt.Errorf("reading signing key %d: %w", i+1, err)
		}
		records[i] = Record{From: time.UnixMilli(k.From).UTC(), Key: key}
		if i > 0 && records[i].From.Before(records[i-1].From) {
			return nil, errors.New("signing keys are out of order")
		}
	}
	return records, nil
}
