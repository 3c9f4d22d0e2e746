package redisstore

import (
	"cmp"
	"context"
	"slices"
)

// claim reserves the hash of a realm in keys and indexes for that realm: it has 48 bits, so two realms
// may share one. The second is refused (ErrRealm), before anything is done by the hash alone. A realm
// keeps its hash when its rows are swept, so a process asks once.
func (s *Store) claim(ctx context.Context, realm string) error {
	if _, ours := s.realms.Load(realm); ours {
		return nil
	}
	r, err := s.run(ctx, s.lua.claim, s.keys.realms(), hashRealm(realm), realm)
	if err != nil {
		return err
	}
	if first := r.text(); r.err != nil || first != realm {
		return cmp.Or(r.err, ErrRealm)
	}
	s.realms.Store(realm, true)
	return nil
}

// realmNames returns the realms by their hashes. A realm without a name has no rows yet.
func (s *Store) realmNames(ctx context.Context) (map[string]string, error) {
	results, err := s.askNow(ctx, s.client.B().Hgetall().Key(s.keys.realms()).Build())
	if err != nil {
		return nil, err
	}
	names, err := results[0].AsStrMap()
	return names, unavailable(err)
}

// Realms returns the realms that have rows, cutoffs or refs, sorted.
func (s *Store) Realms(ctx context.Context) (realms []string, err error) {
	names, err := s.realmNames(ctx)
	if err != nil {
		return nil, err
	}
	for part := range s.shards {
		for after := ""; ; {
			_, refs, err := s.refs(ctx, part, after, 1)
			if err != nil {
				return nil, err
			}
			if len(refs) == 0 {
				break
			}
			if key, ok := refs[0].key(names); ok {
				realms = append(realms, key.Realm)
			}
			after = refs[0].id[:realmSize] + "\xff" // after all of this realm
		}
	}
	marked, err := s.members(ctx, s.keys.realmsWithMarks())
	if err != nil {
		return nil, err
	}
	realms = append(realms, marked...)
	cutoffs, err := s.allCutoffs(ctx)
	if err != nil {
		return nil, err
	}
	for i := range cutoffs {
		realms = append(realms, cutoffs[i].key.Realm)
	}
	slices.Sort(realms)
	return slices.Compact(realms), nil
}
