package redisstore

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

const scanName = "scan"

// Scan returns a page of the rows of all realms: by realm and id, in a cluster part
// for part.
func (s *Store) Scan(ctx context.Context, cursor string, limit int) (page sessions.Page, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return page, err
	}
	defer s.gate.Leave()
	part, after, err := s.readScanCursor(cursor)
	if err != nil {
		return page, err
	}
	limit = max(limit, 1)
	for part < s.shards && len(page.Sessions) <= limit {
		n := min(limit+1, listBatch)
		marks, err := s.marks(ctx, part, after, n)
		if err != nil {
			return sessions.Page{}, err
		}
		rows, err := s.scanned(ctx, marks)
		if err != nil {
			return sessions.Page{}, err
		}
		page.Sessions = append(page.Sessions, rows...)
		if len(marks) < n {
			part, after = part+1, "-"
		} else {
			after = "(" + string(marks[n-1])
		}
		if err := calls.Done(ctx); err != nil {
			return sessions.Page{}, err
		}
	}
	if len(page.Sessions) > limit {
		page.Sessions = page.Sessions[:limit:limit]
		last := label(page.Sessions[limit-1].Key())
		page.Next = writeCursor(scanName, strconv.Itoa(shard(last, s.shards))+" "+last)
	}
	return page, nil
}

// readScanCursor returns where the next page begins.
func (s *Store) readScanCursor(cursor string) (part int, after string, err error) {
	if cursor == "" {
		return 0, "-", nil
	}
	place, err := readCursor(scanName, cursor)
	if err != nil {
		return 0, "", err
	}
	number, last, _ := strings.Cut(place, " ")
	if part, err = strconv.Atoi(number); err != nil || part < 0 || part >= s.shards || !strings.HasSuffix(last, stop) {
		return 0, "", sessions.ErrBadCursor
	}
	// Beyond all marks of that label, whose next bytes are those of a time.
	return part, "(" + last + strings.Repeat("\xff", 9), nil
}

// marks reads from the index of all rows.
func (s *Store) marks(ctx context.Context, part int, after string, n int) (marks []mark, err error) {
	results, err := s.ask(ctx, s.client.B().Zrangebylex().Key(s.keys.all(part)).Min(after).Max("+").Limit(0, int64(n)).Build())
	if err != nil {
		return nil, err
	}
	members, err := results[0].AsStrSlice()
	if err != nil {
		return nil, unavailable(err)
	}
	for _, member := range members {
		if !mark(member).ok() {
			return nil, calls.ErrCorrupt
		}
		marks = append(marks, mark(member))
	}
	return marks, nil
}

// scanned reads the rows of marks, those that are there.
func (s *Store) scanned(ctx context.Context, marks []mark) (rows []sessions.Session, err error) {
	keys := make([]sessions.Key, len(marks))
	for i, m := range marks {
		keys[i] = m.key()
	}
	err = s.readRows(ctx, keys, func(i int, found *foundRow) {
		if found.mark == marks[i] {
			rows = append(rows, found.row)
		}
	})
	return rows, err
}

// readRows reads rows, and reports those that are there, by their place.
func (s *Store) readRows(ctx context.Context, keys []sessions.Key, report func(i int, found *foundRow)) error {
	if len(keys) == 0 {
		return nil
	}
	commands := make([]rueidis.Completed, len(keys))
	for i, key := range keys {
		commands[i] = s.client.B().Hmget().Key(s.keys.row(label(key))).Field(fields...).Build()
	}
	results, err := s.ask(ctx, commands...)
	if err != nil {
		return err
	}
	for i, key := range keys {
		values, err := results[i].ToArray()
		if err != nil {
			return unavailable(err)
		}
		found, err := readRow(key, &reader{values: values})
		switch {
		case err == sessions.ErrNotFound: //nolint:errorlint // as readRow returns it
		case err != nil:
			return err
		default:
			report(i, &found)
		}
	}
	return nil
}

// Realms returns the realms that have rows, cutoffs or marks, in order.
func (s *Store) Realms(ctx context.Context) (realms []string, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	for part := range s.shards {
		for after := "-"; ; {
			marks, err := s.marks(ctx, part, after, 1)
			if err != nil {
				return nil, err
			}
			if len(marks) == 0 {
				break
			}
			realm := marks[0].key().Realm
			realms = append(realms, realm)
			after = "[" + strings.TrimSuffix(escape(realm), stop) + "\x00\x01" // beyond all of it
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
