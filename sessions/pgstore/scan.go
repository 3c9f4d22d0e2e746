package pgstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"

	"authsidecar/sessions"
)

// Scan returns a page of the rows of all realms, ordered by realm and id.
func (s *Store) Scan(ctx context.Context, cursor string, limit int) (page sessions.Page, err error) {
	from, err := readScanCursor(cursor)
	if err != nil {
		return page, err
	}
	limit = max(limit, 1)
	key, found := sessions.Key{}, new(foundRow)
	err = s.query(ctx, s.text(sqlScan), args(from.Realm, from.ID, limit+1), func() error {
		err := found.decode(key)
		page.Sessions = append(page.Sessions, found.row)
		return err
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
	at := append(binary.BigEndian.AppendUint64(nil, uint64(len(key.Realm))), key.Realm+key.ID...)
	return base64.RawURLEncoding.EncodeToString(append(sum([]byte("scan"), at), at...))
}

func readScanCursor(cursor string) (key sessions.Key, err error) {
	if cursor == "" {
		return key, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < cursorSum+8 || string(sum([]byte("scan"), raw[cursorSum:])) != string(raw[:cursorSum]) {
		return key, sessions.ErrBadCursor
	}
	size, at := binary.BigEndian.Uint64(raw[cursorSum:]), raw[cursorSum+8:]
	if size > uint64(len(at)) {
		return key, sessions.ErrBadCursor
	}
	return sessions.Key{Realm: string(at[:size]), ID: string(at[size:])}, nil
}

// Realms returns the realms that have rows, cutoffs or marks, sorted.
func (s *Store) Realms(ctx context.Context) (realms []string, err error) {
	for from := ""; ; {
		next, found := "", false
		for _, sql := range []statement{sqlRealmOfRows, sqlRealmOfCutoffs, sqlRealmOfMarks} {
			realm := ""
			err := s.query(ctx, s.text(sql), args(from), func() error {
				if !found || realm < next {
					next, found = realm, true
				}
				return nil
			}, (*text)(&realm))
			if err != nil {
				return nil, err
			}
		}
		if !found {
			return realms, nil
		}
		realms = append(realms, next)
		from = next + "\x00" // the smallest text after it
	}
}

// Interface guards
var _ sessions.AdminStore = (*Store)(nil)
