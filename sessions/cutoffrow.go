package sessions

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// cutoffFormat is the version of the encoding that this release writes. A release
// reads its own and every earlier one.
const cutoffFormat = 1

// storedCutoff is the value of a Cutoff. Realm, At and ID are the key. Names are
// bytes, since who asks for a cutoff may name what is not UTF-8, and what is read
// again must select the same.
type storedCutoff struct {
	Format         int          `json:"v"`
	User           []byte       `json:"user,omitempty"`
	Actor          *storedActor `json:"actor,omitempty"`
	Impersonations bool         `json:"imp,omitempty"`
	By             *storedActor `json:"by,omitempty"`
}

type storedActor struct {
	Issuer  []byte `json:"iss"`
	Subject []byte `json:"sub"`
}

var errCutoffOfAll = errors.New("cutoff selects everything")

// EncodeCutoff gives the value under which a store keeps the cutoff. One that
// names nothing is an error: nobody may end all sessions of a realm by accident.
func EncodeCutoff(c *Cutoff) ([]byte, error) {
	if c.Empty() {
		return nil, fmt.Errorf("encoding cutoff: %w", errCutoffOfAll)
	}
	stored := storedCutoff{Format: cutoffFormat, User: []byte(c.User), Impersonations: c.Impersonations}
	if c.Actor != nil {
		stored.Actor = &storedActor{Issuer: []byte(c.Actor.Issuer), Subject: []byte(c.Actor.Subject)}
	}
	if c.By != (Principal{}) {
		stored.By = &storedActor{Issuer: []byte(c.By.Issuer), Subject: []byte(c.By.Subject)}
	}
	data, err := json.Marshal(&stored)
	if err != nil {
		return nil, fmt.Errorf("encoding cutoff: %w", err)
	}
	return data, nil
}

// DecodeCutoff reads what EncodeCutoff gave, of this or an earlier release. A
// cutoff of a later release is ErrNewerRow, an unreadable one wraps
// ErrUnavailable: in both cases nobody may guess whom it ended.
func DecodeCutoff(realm, id string, at time.Time, data []byte) (Cutoff, error) {
	var version struct {
		Format int `json:"v"`
	}
	if json.Unmarshal(data, &version) != nil {
		return Cutoff{}, fmt.Errorf("%w: cutoff is corrupt", ErrUnavailable)
	}
	if version.Format > cutoffFormat {
		return Cutoff{}, ErrNewerRow
	}
	var stored storedCutoff
	if json.Unmarshal(data, &stored) != nil || stored.Format < 1 {
		return Cutoff{}, fmt.Errorf("%w: cutoff is corrupt", ErrUnavailable)
	}
	c := Cutoff{
		Realm: realm, ID: id, At: fromMillis(at.UnixMilli()),
		Filter: Filter{User: string(stored.User), Impersonations: stored.Impersonations},
	}
	if stored.Actor != nil {
		c.Actor = &Principal{Issuer: string(stored.Actor.Issuer), Subject: string(stored.Actor.Subject)}
	}
	if stored.By != nil {
		c.By = Principal{Issuer: string(stored.By.Issuer), Subject: string(stored.By.Subject)}
	}
	if c.Empty() {
		return Cutoff{}, fmt.Errorf("%w: cutoff is corrupt: %w", ErrUnavailable, errCutoffOfAll)
	}
	return c, nil
}
