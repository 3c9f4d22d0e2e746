package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// Keys contain the hash of a realm; this table has its name. It is written with the first row,
// cutoff or mark of a realm. In a store from before the table, the name of a realm is added with
// the next write.

// errUnnamed means that rows belong to a realm in which nothing was written since the table of
// names exists.
var errUnnamed = errors.New("rows are of a realm whose name is unknown until a session of it is written")

// realms are the names that are known to be on disk. The zero value is ready to use.
type realms struct {
	mu    sync.RWMutex
	names map[hash]string
}

func (r *realms) name(of hash) (string, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	name, ok := r.names[of]
	return name, ok
}

func (r *realms) add(of hash, name string) {
	if _, known := r.name(of); known {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names == nil {
		r.names = make(map[hash]string)
	}
	r.names[of] = name
}

// nameRealm adds the name to the batch, unless it is on disk.
func (e *engine) nameRealm(b *pebble.Batch, realm hash, name string) error {
	if _, known := e.realms.name(realm); known {
		return nil
	}
	return b.Set(appendPrefix(nil, kindRealm, realm), []byte(name), nil)
}

// realmName returns the name of a realm, or errUnnamed.
func (e *engine) realmName(realm hash) (string, error) {
	if name, known := e.realms.name(realm); known {
		return name, nil
	}
	data, closer, err := e.read(appendPrefix(nil, kindRealm, realm))
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		return "", errUnnamed
	case err != nil:
		return "", err
	}
	name := string(data)
	e.realms.add(realm, name)
	return name, closer.Close()
}

// Realms returns the realms that have rows, cutoffs or marks.
func (s *Store) Realms(ctx context.Context) ([]string, error) {
	e, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	names := make(map[hash]string)
	for _, kind := range []byte{kindRow, kindCutoff, kindMark} {
		if err := e.eachRealm(ctx, kind, func(realm hash, name string) { names[realm] = name }); err != nil {
			return nil, unavailable(err)
		}
	}
	return slices.AppendSeq(make([]string, 0, len(names)), maps.Values(names)), nil
}

// eachRealm visits each realm that has keys of the kind, skipping the rest.
func (e *engine) eachRealm(ctx context.Context, kind byte, report func(hash, string)) (err error) {
	iter, err := e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return cause(err)
	}
	defer func() { err = errors.Join(err, cause(iter.Close())) }()
	for valid := iter.First(); valid; {
		if err := calls.CheckContext(ctx); err != nil {
			return err
		}
		key := iter.Key()
		if len(key) < realmEnd {
			return ErrCorrupt
		}
		realm := hash(key[1:realmEnd])
		next := prefixEnd(bytes.Clone(key[:realmEnd]))
		name, err := e.realmName(realm)
		if err != nil {
			return err
		}
		report(realm, name)
		valid = iter.SeekGE(next)
	}
	return cause(iter.Error())
}
