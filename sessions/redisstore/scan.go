package redisstore

import (
	"context"
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
		members, refs, err := s.refs(ctx, part, after, n)
		if err != nil {
			return sessions.Page{}, err
		}
		rows, err := s.readScanned(ctx, refs, realms)
		if err != nil {
			return sessions.Page{}, err
		}
		page.Sessions = append(page.Sessions, rows...)
		if len(refs) < n {
			part, after = part+1, ""
		} else {
			after = members[n-1]
		}
		if err := calls.CheckContext(ctx); err != nil {
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
	if part, err = strconv.Atoi(number); err != nil || part < 0 || part >= s.shards || !strings.HasSuffix(last, terminator) {
		return 0, "", sessions.ErrBadCursor
	}
	// After all refs of that row, whose next bytes are a time.
	return part, last + strings.Repeat("\xff", 9), nil
}

// refs reads the index of all rows.
func (s *Store) refs(ctx context.Context, part int, after string, n int) (members []string, refs []ref, err error) {
	members, _, err = s.walk(ctx, s.run, s.keys.all(part), after, n, "")
	for _, member := range members {
		m, ok := parseScanned(member)
		if !ok {
			return nil, nil, calls.ErrCorrupt
		}
		refs = append(refs, m)
	}
	return members, refs, err
}

// key returns the key of the ref's session.
func (m *ref) key(realms map[string]string) (key sessions.Key, ok bool) {
	realm, ok := realms[m.id[:realmSize]]
	id, _, _ := unescape(m.id[realmSize:])
	return sessions.Key{Realm: realm, ID: id}, ok
}

// readScanned reads the rows of refs that exist.
func (s *Store) readScanned(ctx context.Context, refs []ref, realms map[string]string) (rows []sessions.Session, err error) {
	keys := make([]sessions.Key, len(refs))
	for i := range refs {
		keys[i], _ = refs[i].key(realms)
	}
	return s.readRows(ctx, keys, false, func(i int, found *storedRow) bool { return found.ref.scanned() == refs[i].scanned() })
}

// readRows reads rows, or only their headers, and returns those that exist and that take accepts.
func (s *Store) readRows(ctx context.Context, keys []sessions.Key, headers bool, take func(i int, found *storedRow) bool) (rows []sessions.Session, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	read, commands := decode, make([]rueidis.Completed, len(keys))
	for i, key := range keys {
		if name := s.keys.row(rowID(key)); headers {
			read, commands[i] = readKey, s.client.B().Getrange().Key(name).Start(0).End(fixedSize-1).Build()
		} else {
			commands[i] = s.client.B().Get().Key(name).Build()
		}
	}
	results, err := s.ask(ctx, commands...)
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		value, _ := results[i].ToString()
		if value == "" { // there is no row, and so no header
			continue
		}
		found, err := read(key, value)
		if err != nil {
			return nil, err
		}
		if take(i, found) {
			rows = append(rows, found.row)
		}
	}
	return rows, nil
}

// Interface guards
var _ sessions.AdminStore = (*Store)(nil)
