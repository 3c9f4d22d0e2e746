package pgstore

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/serverclock"
)

// args are the arguments of a statement, $1 first. Texts are sent as bytes, which may contain NUL.
func args(all ...any) []any {
	for i, value := range all {
		if text, ok := value.(string); ok {
			all[i] = []byte(text)
		}
	}
	return all
}

// texts is an array of bytes.
func texts(all []string) [][]byte {
	array := make([][]byte, len(all))
	for i, text := range all {
		array[i] = []byte(text)
	}
	return array
}

// timed are the arguments of a statement that needs the time: $1, which is NULL for the server's.
func (s *Store) timed(all ...any) []any {
	var at any
	if now := s.clock.Fixed(); now != nil {
		at = *now
	}
	return args(append([]any{at}, all...)...)
}

// now returns what the server's time is scanned into.
func (s *Store) now(at *time.Time) *reading { return &reading{at: at, clock: s.clock} }

// orNull returns the text, or NULL if it is empty.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// millisOrNull returns the time, or NULL if it is zero.
func millisOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return millis(t)
}

// What columns are scanned into. NULL, as in an outer join without a match, becomes zero.
type (
	text    string // of bytes
	moment  time.Time
	number  uint64
	secret  [sessions.SecretSize]byte
	reading struct { // of the server's clock
		at    *time.Time
		clock *serverclock.Clock
		asked time.Duration // when the statement was sent, by Clock.Passed
	}
)

func (t *text) ScanBytes(b []byte) error { *t = text(b); return nil }

func (n *number) ScanInt64(v pgtype.Int8) error { *n = number(v.Int64); return nil }

func (m *moment) ScanInt64(ms pgtype.Int8) error {
	if *m = (moment{}); ms.Valid {
		*m = moment(fromMillis(ms.Int64))
	}
	return nil
}

func (s *secret) ScanBytes(b []byte) error {
	if copy(s[:], b); b != nil && len(b) != len(s) {
		return calls.ErrCorrupt
	}
	return nil
}

func (r *reading) ScanInt64(ms pgtype.Int8) error {
	*r.at = fromMillis(ms.Int64)
	r.clock.Learn(r.asked, ms.Int64)
	return nil
}
