package pebblestore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
)

// A cursor is the name of its query and the place of the last row of the page.

// setName names the query, so that a cursor of another one is refused.
func (sel *selection) setName() {
	h := sha256.New()
	_, _ = h.Write(sel.realm[:])
	for _, prefix := range sel.prefixes {
		_, _ = h.Write(prefix)
	}
	if sel.actor != nil {
		_, _ = h.Write(sel.actor[:])
	}
	copy(sel.name[:], h.Sum(nil))
}

func (sel *selection) cursor(last []byte) string {
	return base64.RawURLEncoding.EncodeToString(slices.Concat(sel.name[:], last))
}

func (sel *selection) readCursor(cursor string) (after []byte, err error) {
	if cursor == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || !bytes.HasPrefix(raw, sel.name[:]) {
		return nil, sessions.ErrBadCursor
	}
	after = raw[len(sel.name):]
	if _, _, ok := place(after); !ok {
		return nil, sessions.ErrBadCursor
	}
	return after, nil
}

// scanPlaces finds the first places after one among all own sessions of a realm,
// by looking at all of them: a question that only audits ask.
func (sel *selection) scanPlaces(ctx context.Context, e *engine, after []byte, most int) ([][]byte, error) {
	prefix := appendPrefix(nil, kindUser, sel.realm)
	iter, err := e.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return nil, cause(err)
	}
	defer func() { _ = iter.Close() }()
	first := make([][]byte, 0, 64)
	n := 0
	for iter.First(); iter.Valid(); iter.Next() {
		if n++; n%1024 == 0 {
			if err := calls.Done(ctx); err != nil {
				return nil, err
			}
		}
		key := iter.Key()
		if len(key) < userPrefix || key[userPrefix-1] != 0 {
			continue
		}
		at := key[userPrefix:]
		if bytes.Compare(at, after) <= 0 || len(first) == most && bytes.Compare(at, first[most-1]) >= 0 {
			continue
		}
		i := sort.Search(len(first), func(i int) bool { return bytes.Compare(first[i], at) > 0 })
		if len(first) == most {
			first = first[:most-1]
		}
		first = slices.Insert(first, i, bytes.Clone(at))
	}
	return first, iter.Error()
}
