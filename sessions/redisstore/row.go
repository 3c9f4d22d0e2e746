package redisstore

import (
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/storedrow"
	"authsidecar/sessions/rowcodec"
)

// A row is a hash. What does not change in a rotation is in the field b, as rowcodec.Encode
// gives it; what does has fields of its own, which go before what b says of it. So do
// those that the step set which wrote the row: created at, which is in the mark, and
// expires at. Times are in milliseconds.
//
//	m  mark          v  revision       f  format of b   h  hash of user and client, "" while it is pending
//	x  expires at    d  idle           g  generation    s, p  secret, the one before
//	k  key id        t  rotated at     o  rotated from  e, w  revoked at, why

// fields are what a row is read from, in the order of readRow.
var fields = []string{"m", "v", "x", "g", "s", "p", "k", "t", "o", "e", "w", "b"}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// ownFormat is the newest version that this release knows.
var ownFormat = strconv.Itoa(rowcodec.Format)

// A storedRow is a row as it is written.
type storedRow struct{ *storedrow.Row }

func encode(row *sessions.Session) (*storedRow, error) {
	w, err := storedrow.Encode(row)
	return &storedRow{w}, err
}

// revoked is RevokedAt as it is stored.
func revoked(row *sessions.Session) string {
	if row.RevokedAt.IsZero() {
		return ""
	}
	return millis(row.RevokedAt)
}

// fields adds names and values of all that an update may change.
func (w *storedRow) fields(args []string) []string {
	row := &w.Session
	return append(args,
		"f", strconv.FormatInt(rowcodec.FormatOf(row), 10), "h", holderOf(row), "x", millis(row.ExpiresAt),
		"d", strconv.FormatInt(row.Idle.Milliseconds(), 10), "g", strconv.FormatUint(row.Generation, 10),
		"s", string(row.Secret[:]), "p", string(row.SecretPrev[:]), "k", row.KeyID, "t", millis(row.RotatedAt),
		"o", row.RotatedFrom, "e", revoked(row), "w", string(row.EndReason), "b", string(w.Data))
}

// holderOf is what a token of the row has to be of. A pending session has none.
func holderOf(row *sessions.Session) string {
	if row.Pending != nil {
		return ""
	}
	return hashHolder(row.UserID, row.ClientID)
}

// A foundRow is a row as it was found.
type foundRow struct {
	row  sessions.Session
	mark mark
	rev  string
}

// readRow reads fields; ErrNotFound where there is no row.
func readRow(key sessions.Key, r *reader) (found foundRow, err error) {
	first := r.next()
	if r.err == nil && first.IsNil() {
		return found, sessions.ErrNotFound
	}
	found.mark, found.rev = mark(r.textOf(first)), r.text()
	hot := sessions.Session{ExpiresAt: r.time(), Generation: r.uint()}
	r.array(hot.Secret[:])
	r.array(hot.SecretPrev[:])
	hot.KeyID, hot.RotatedAt, hot.RotatedFrom = r.text(), r.time(), r.text()
	if at := r.text(); at != "" {
		hot.RevokedAt = r.timeOf(at)
	}
	hot.EndReason = sessions.EndReason(r.text())
	data := r.text()
	if r.err != nil {
		return found, r.err
	}
	if !found.mark.ok() || found.mark.key() != key {
		return foundRow{}, calls.ErrCorrupt
	}
	hot.CreatedAt = found.mark.created()
	found.row, err = storedrow.Decode(key, []byte(data), &hot)
	return found, err
}

// A reader reads an answer from the left. What cannot be read is an error at the end,
// and zero until then.
type reader struct {
	values []rueidis.RedisMessage
	at     time.Time // that the script went by
	err    error
}

func (r *reader) next() rueidis.RedisMessage {
	if len(r.values) == 0 {
		r.err = calls.ErrCorrupt
		return rueidis.RedisMessage{}
	}
	value := r.values[0]
	r.values = r.values[1:]
	return value
}

// list reads an array.
func (r *reader) list() *reader {
	value := r.next()
	if r.err != nil {
		return r
	}
	values, err := value.ToArray()
	if err != nil {
		r.err = calls.ErrCorrupt
	}
	return &reader{values: values, err: r.err}
}

func (r *reader) text() string { return r.textOf(r.next()) }

func (r *reader) textOf(value rueidis.RedisMessage) string {
	if r.err != nil {
		return ""
	}
	text, err := value.ToString()
	if err != nil {
		r.err = calls.ErrCorrupt
	}
	return text
}

func (r *reader) int() int64 {
	value := r.next()
	if r.err != nil {
		return 0
	}
	n, err := value.AsInt64()
	if err != nil {
		r.err = calls.ErrCorrupt
	}
	return n
}

func (r *reader) uint() uint64 {
	n, err := strconv.ParseUint(r.text(), 10, 64)
	if err != nil {
		r.err = calls.ErrCorrupt
	}
	return n
}

func (r *reader) time() time.Time { return r.timeOf(r.text()) }

func (r *reader) timeOf(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		r.err = calls.ErrCorrupt
	}
	return fromMillis(ms)
}

// array reads bytes of one size.
func (r *reader) array(dst []byte) {
	if value := r.text(); copy(dst, value) != len(dst) || len(value) != len(dst) {
		r.err = calls.ErrCorrupt
	}
}
