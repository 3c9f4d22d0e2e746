package redisstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
)

// AddCutoff stores the cutoff, and notifies the other nodes in the same script.
func (s *Store) AddCutoff(ctx context.Context, c revocation.Cutoff) (revocation.Cutoff, error) {
	data, err := rowcodec.EncodeCutoff(&c)
	if err != nil {
		return c, unavailable(err)
	}
	at, from := millis(c.At), place(c.At)
	if c.At.IsZero() {
		newest, err := c.Newest(ctx, s)
		if err != nil {
			return c, err
		}
		at, from = "", millis(newest)
	}
	r, err := s.run(ctx, s.lua.addCutoff, s.keys.cutoffs(), at, from, label(sessions.Key{Realm: c.Realm, ID: c.ID}), string(data))
	if err != nil {
		return c, err
	}
	c.At = r.time()
	return c, r.err
}

// A storedCutoff is a cutoff before decoding.
type storedCutoff struct {
	key  sessions.Key
	at   time.Time
	data string
}

func (c *storedCutoff) decode() (revocation.Cutoff, error) {
	return rowcodec.DecodeCutoff(c.key.Realm, c.key.ID, c.at, []byte(c.data))
}

// cutoffField is the field of a cutoff in the hash: time, realm and id.
func cutoffField(c *revocation.Cutoff) string {
	return place(c.At) + label(sessions.Key{Realm: c.Realm, ID: c.ID})
}

// allCutoffs returns the cutoffs of all realms, oldest first.
func (s *Store) allCutoffs(ctx context.Context) (all []storedCutoff, err error) {
	results, err := s.ask(ctx, s.client.B().Hgetall().Key(s.keys.cutoffs()).Build())
	if err != nil {
		return nil, err
	}
	found, err := results[0].AsStrMap()
	if err != nil {
		return nil, unavailable(err)
	}
	for field, data := range found {
		if len(field) < 8 {
			return nil, calls.ErrCorrupt
		}
		key, rest, ok := cutLabel(field[8:])
		if !ok || rest != "" {
			return nil, calls.ErrCorrupt
		}
		all = append(all, storedCutoff{key: key, at: parsePlace(field[:8]), data: data})
	}
	slices.SortFunc(all, func(a, b storedCutoff) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.key.ID, b.key.ID))
	})
	return all, nil
}

// Cutoffs returns the cutoffs of the realm, oldest first. If one cannot be read, it fails: a
// revocation must not be missed.
func (s *Store) Cutoffs(ctx context.Context, realm string) (all []revocation.Cutoff, err error) {
	stored, err := s.allCutoffs(ctx)
	if err != nil {
		return nil, err
	}
	for i := range stored {
		if stored[i].key.Realm != realm {
			continue
		}
		c, err := stored[i].decode()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// RemoveCutoff deletes a cutoff; it is no error if there is none.
func (s *Store) RemoveCutoff(ctx context.Context, c revocation.Cutoff) error {
	_, err := s.ask(ctx, s.client.B().Hdel().Key(s.keys.cutoffs()).Field(cutoffField(&c)).Build())
	return err
}

// Identity returns a text that no other store has. It changes if the store is emptied.
func (s *Store) Identity(ctx context.Context) (string, error) {
	results, err := s.askNow(ctx, s.client.B().Get().Key(s.keys.identity()).Build())
	if err != nil {
		return "", err
	}
	found, err := results[0].ToString()
	if err == nil || !rueidis.IsRedisNil(err) {
		return found, unavailable(err)
	}
	r, err := s.runNow(ctx, s.lua.layout, s.keys.identity(), revocation.NewIdentity())
	if err != nil {
		return "", err
	}
	return r.text(), r.err
}

// Interface guard
var _ revocation.Store = (*Store)(nil)
