package pgstore

import (
	"context"
	"encoding/binary"
	"slices"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/storedrow"
)

// Scan returns a page of the rows of all realms, ordered by realm and id.
func (s *Store) Scan(ctx context.Context, cursor string, limit int) (page sessions.Page, err error) {
	from, err := readScanCursor(cursor)
	if err != nil {
		return page, err
	}
	limit = max(limit, 1)
	key, found := sessions.Key{}, new(foundRow)
	page.Sessions, err = collect(ctx, s.do, s.text(sqlScan), args(from.Realm, from.ID, limit+1), func() (sessions.Session, error) {
		err := found.decode(key)
		return found.row, err
	}, found.columns((*text)(&key.Realm), (*text)(&key.ID))...)
	if err != nil {
		return sessions.Page{}, err
	}
	if len(page.Sessions) > limit {
		page.Next = scanCursor(page.Sessions[limit].Key())
		page.Sessions = page.Sessions[:limit:limit]
	}
	return page, nil
}

// scanCursor returns the cursor of the next page.
func scanCursor(key sessions.Key) string {
	return storedrow.WriteCursor("scan", string(binary.BigEndian.AppendUint64(nil, uint64(len(key.Realm))))+key.Realm+key.ID)
}

func readScanCursor(cursor string) (key sessions.Key, err error) {
	if cursor == "" {
		return key, nil
	}
	at, err := storedrow.ReadCursor("scan", cursor)
	if err != nil || len(at) < 8 {
		return key, sessions.ErrBadCursor
	}
	size, at := binary.BigEndian.Uint64([]byte(at[:8])), at[8:]
	if size > uint64(len(at)) {
		return key, sessions.ErrBadCursor
	}
	return sessions.Key{Realm: at[:size], ID: at[size:]}, nil
}

// Realms returns the realms that have rows, cutoffs or marks, sorted.
func (s *Store) Realms(ctx context.Context) (realms []string, err error) {
	for from := ""; ; {
		var next []string
		for _, sql := range []statement{sqlRealmOfRows, sqlRealmOfCutoffs, sqlRealmOfMarks} {
			found, err := s.texts(ctx, s.do, sql, args(from))
			if err != nil {
				return nil, err
			}
			next = append(next, found...)
		}
		if len(next) == 0 {
			return realms, nil
		}
		first := slices.Min(next)
		realms = append(realms, first)
		from = first + "\x00" // the smallest text after it
	}
}

// Interface guards
var _ sessions.AdminStore = (*Store)(nil)
