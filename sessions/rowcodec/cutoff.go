package rowcodec

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"authsidecar/sessions"
	"authsidecar/sessions/revocation"
)

// A cutoff is the stored form of a revocation.Cutoff. Names are bytes, since a filter may contain
// invalid UTF-8 and must select the same after it is decoded.
type cutoff struct {
	Version        cutoffVersion `json:"v"`
	User           []byte        `json:"user,omitempty"`
	Actor          *principal    `json:"actor,omitzero"`
	Impersonations bool          `json:"imp,omitzero"`
	By             *principal    `json:"by,omitzero"`
}

type principal struct {
	Issuer  []byte `json:"iss"`
	Subject []byte `json:"sub"`
}

func principalOf(p *sessions.Principal) *principal {
	return &principal{Issuer: []byte(p.Issuer), Subject: []byte(p.Subject)}
}

func (p *principal) read() sessions.Principal {
	return sessions.Principal{Issuer: string(p.Issuer), Subject: string(p.Subject)}
}

var errCutoffOfAll = errors.New("cutoff selects everything")

// EncodeCutoff returns the stored form of the cutoff. An empty filter is an error: all sessions of
// a realm must never be revoked by accident.
func EncodeCutoff(c *revocation.Cutoff) ([]byte, error) {
	if c.Empty() {
		return nil, fmt.Errorf("encoding cutoff: %w", errCutoffOfAll)
	}
	stored := cutoff{Version: formatCutoff, User: []byte(c.User), Impersonations: c.Impersonations}
	if c.Actor != nil {
		stored.Actor = principalOf(c.Actor)
	}
	if c.By != (sessions.Principal{}) {
		stored.By = principalOf(&c.By)
	}
	data, err := json.Marshal(&stored, options)
	if err != nil {
		return nil, fmt.Errorf("encoding cutoff: %w", err)
	}
	return data, nil
}

// DecodeCutoff decodes what EncodeCutoff returned.
func DecodeCutoff(realm, id string, at time.Time, data []byte) (revocation.Cutoff, error) {
	var stored cutoff
	if err := unmarshal(data, &stored, "cutoff"); err != nil {
		return revocation.Cutoff{}, err
	}
	c := revocation.Cutoff{
		Realm: realm, ID: id, At: fromMillis(at.UnixMilli()),
		Filter: sessions.Filter{User: string(stored.User), Impersonations: stored.Impersonations},
	}
	if stored.Actor != nil {
		c.Actor = new(stored.Actor.read())
	}
	if stored.By != nil {
		c.By = stored.By.read()
	}
	if stored.Version < 1 || c.Empty() {
		return revocation.Cutoff{}, corrupt("cutoff")
	}
	return c, nil
}
