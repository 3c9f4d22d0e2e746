package redisstore

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/storedrow"
)

const scanName = "scan"

// Scan returns a page of the rows of all realms, ordered by the realm's hash and the id, in a
// cluster part by part.
func (s *Store) Scan(ctx context.Context, cursor string, limit int) (page sessions.Page, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return page, err
	}
	defer s.gate.Leave()
	part, after, err := s.readScanCursor(cursor)
	if err != nil {
		return page, err
	}
	realms, err := s.realmNames(ctx)
	if err != nil {
		return page, err
	}
	limit = max(limit, 1)
	for part < s.shards && len(page.Sessions) <= limit {
		n := min(limit+1, listBatch)
		members, marks, err := s.marks(ctx, part, after, n)
		if err != nil {
			return sessions.Page{}, err
		}
		rows, err := s.scanned(ctx, marks, realms)
		if err != nil {
			return sessions.Page{}, err
		}
		page.Sessions = append(page.Sessions, rows...)
		if len(marks) < n {
			part, after = part+1, ""
		} else {
			after = members[n-1]
		}
		if err := calls.Done(ctx); err != nil {
			return sessions.Page{}, err
		}
	}
	if len(page.Sessions) > limit {
		page.Sessions = page.Sessions[:limit:limit]
		last := rowID(page.Sessions[limit-1].Key())
		page.Next = storedrow.WriteCursor(scanName, strconv.Itoa(shard(last, s.shards))+" "+last)
	}
	return page, nil
}

// readScanCursor returns where the next page begins.
func (s *Store) readScanCursor(cursor string) (part int, after string, err error) {
	if cursor == "" {
		return 0, "", nil
	}
	place, err := storedrow.ReadCursor(scanName, cursor)
	if err != nil {
		return 0, "", err
	}
	number, last, _ := strings.Cut(place, " ")
	if part, err = strconv.Atoi(number); err != nil || part < 0 || part >= s.shards || !strings.HasSuffix(last, stop) {
		return 0, "", sessions.ErrBadCursor
	}
	// After all marks of that row, whose next bytes are a time.
	return part, last + strings.Repeat("\xff", 9), nil
}

// marks reads the index of all rows.
func (s *Store) marks(ctx context.Context, part int, after string, n int) (members []string, marks []mark, err error) {
	members, _, err = s.walk(ctx, s.run, s.keys.all(part), after, n, "")
	for _, member := range members {
		m, ok := readScanned(member)
		if !ok {
			return nil, nil, calls.ErrCorrupt
		}
		marks = append(marks, m)
	}
	return members, marks, err
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

// key returns the key of the mark's session.
func (m *mark) key(realms map[string]string) (key sessions.Key, ok bool) {
	realm, ok := realms[m.id[:realmSize]]
	id, _, _ := unescape(m.id[realmSize:])
	return sessions.Key{Realm: realm, ID: id}, ok
}

// scanned reads the rows of marks that exist.
func (s *Store) scanned(ctx context.Context, marks []mark, realms map[string]string) (rows []sessions.Session, err error) {
	keys := make([]sessions.Key, len(marks))
	for i := range marks {
		keys[i], _ = marks[i].key(realms)
	}
	err = s.readRows(ctx, keys, func(i int, found *storedRow) {
		if found.mark.scanned() == marks[i].scanned() {
			rows = append(rows, found.row)
		}
	})
	return rows, err
}

// readRows reads rows, and reports those that exist with their index.
func (s *Store) readRows(ctx context.Context, keys []sessions.Key, report func(i int, found *storedRow)) error {
	if len(keys) == 0 {
		return nil
	}
	commands := make([]rueidis.Completed, len(keys))
	for i, key := range keys {
		commands[i] = s.client.B().Get().Key(s.keys.row(rowID(key))).Build()
	}
	results, err := s.ask(ctx, commands...)
	if err != nil {
		return err
	}
	for i, key := range keys {
		value, err := results[i].ToString()
		if rueidis.IsRedisNil(err) {
			continue
		}
		found, err := decode(key, value)
		if err != nil {
			return err
		}
		report(i, found)
	}
	return nil
}

// Realms returns the realms that have rows, cutoffs or marks, sorted.
func (s *Store) Realms(ctx context.Context) (realms []string, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	names, err := s.realmNames(ctx)
	if err != nil {
		return nil, err
	}
	for part := range s.shards {
		for after := ""; ; {
			_, marks, err := s.marks(ctx, part, after, 1)
			if err != nil {
				return nil, err
			}
			if len(marks) == 0 {
				break
			}
			if key, ok := marks[0].key(names); ok {
				realms = append(realms, key.Realm)
			}
			after = marks[0].id[:realmSize] + "\xff" // after all of this realm
		}
	}
	marked, err := s.members(ctx, s.keys.markedRealms())
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

// Interface guards
var _ sessions.AdminStore = (*Store)(nil)
