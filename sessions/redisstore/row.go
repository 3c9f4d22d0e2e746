package redisstore

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/storedrow"
	"authsidecar/sessions/rowcodec"
)

// A row is a string: first the fields that scripts read and change, then the rest, as encoded by
// rowcodec.EncodeRest. The first part has this format for Lua's struct; times, and the idle time,
// are encoded by place.
//
//	f    format of the rest     c, n  created at, nonce     q  its time in the index of due rows
//	x    expires at             d     idle                  g  generation
//	s, p secret, previous one   t     rotated at            e  revoked at, or zeros
//	h    hash of user and client, or zeros while it is pending
//	u, a hashes of user and actor
//	k, o, w                     key id, rotated from, end reason: each after its length
const header = ">c1c8c8c8c8c8c8c16c16c8c8c16c16c16Hc0Hc0Hc0"

// fixedSize is the size of the first part without the texts of variable length.
const fixedSize = 1 + 6*8 + 2*sessions.SecretSize + 2*8 + 3*hashSize

// never encodes a zero time.
const never = "\x00\x00\x00\x00\x00\x00\x00\x00"

// errLong means that a text is too long for a row.
var errLong = fmt.Errorf("%w: a text of a session is too long to store", sessions.ErrUnavailable)

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// ownFormat is the newest format that this release knows.
var ownFormat = strconv.Itoa(rowcodec.Format)

// generation encodes a generation as in a row.
func generation(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// A storedRow is a row as it is read or written.
type storedRow struct {
	row   sessions.Session
	ref   ref
	due   string // its time in the index of due rows, encoded by place
	value string
}

// encode returns the stored form of a session; if due is "", it is PurgeAt.
func encode(row *sessions.Session, m ref, due string) (*storedRow, error) {
	for _, text := range []string{row.KeyID, row.RotatedFrom, string(row.EndReason)} {
		if len(text) > math.MaxUint16 {
			return nil, errLong
		}
	}
	data, err := rowcodec.EncodeRest(row)
	if err != nil {
		return nil, calls.Unavailable(err)
	}
	ended, holder := never, nobody
	if !row.RevokedAt.IsZero() {
		ended = place(row.RevokedAt)
	}
	if row.Pending == nil {
		holder = hashHolder(row.UserID, row.ClientID)
	}
	b := make([]byte, 0, fixedSize+6+len(row.KeyID)+len(row.RotatedFrom)+len(row.EndReason)+len(data))
	b = append(b, byte(rowcodec.FormatOf(row)))
	for _, part := range []string{
		m.created, m.nonce, cmp.Or(due, place(row.PurgeAt())), place(row.ExpiresAt), place(fromMillis(row.Idle.Milliseconds())), generation(row.Generation),
		string(row.Secret[:]), string(row.SecretPrev[:]), place(row.RotatedAt), ended, holder, m.user, m.actor,
	} {
		b = append(b, part...)
	}
	for _, text := range []string{row.KeyID, row.RotatedFrom, string(row.EndReason)} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
	}
	return parse(row.Key(), string(append(b, data...)))
}

// decode parses the stored form of a session.
func decode(key sessions.Key, value string) (*storedRow, error) {
	found, err := parse(key, value)
	// Keys and indexes contain a short hash of the realm; the hash of the user covers the whole
	// realm.
	if err == nil && found.ref.user != hashUser(key.Realm, found.row.UserID) {
		return nil, calls.ErrCorrupt
	}
	return found, err
}

// parse is decode for a row that this node wrote.
func parse(key sessions.Key, value string) (*storedRow, error) {
	head, texts, ok := readHeader(key, value)
	if !ok {
		return nil, calls.ErrCorrupt
	}
	kid, texts, ok1 := cutText(texts)
	from, texts, ok2 := cutText(texts)
	why, rest, ok3 := cutText(texts)
	if !ok1 || !ok2 || !ok3 {
		return nil, calls.ErrCorrupt
	}
	head.row.KeyID, head.row.RotatedFrom, head.row.EndReason = kid, from, sessions.EndReason(why)
	row, err := rowcodec.DecodeRest(key, []byte(rest))
	if err != nil {
		return nil, err
	}
	row.Idle = head.row.Idle
	storedrow.Keep(&row, &head.row)
	head.row = row
	return head, nil
}

// readHeader parses the first part of a row, and returns the texts of variable length unparsed.
func readHeader(key sessions.Key, value string) (found *storedRow, texts string, ok bool) {
	if len(value) < fixedSize {
		return nil, "", false
	}
	found, rest := &storedRow{value: value}, value[1:]
	next := func(n int) (part string) { part, rest = rest[:n], rest[n:]; return part }
	m, row := &found.ref, &found.row
	row.Realm, row.ID = key.Realm, key.ID
	m.id, m.created, m.nonce, found.due = rowID(key), next(8), next(nonceSize), next(8)
	row.CreatedAt, row.ExpiresAt = parsePlace(m.created), parsePlace(next(8))
	row.Idle = time.Duration(parsePlace(next(8)).UnixMilli()) * time.Millisecond
	row.Generation = binary.BigEndian.Uint64([]byte(next(8)))
	copy(row.Secret[:], next(len(row.Secret)))
	copy(row.SecretPrev[:], next(len(row.SecretPrev)))
	row.RotatedAt = parsePlace(next(8))
	if at := next(8); at != never {
		row.RevokedAt = parsePlace(at)
	}
	next(hashSize) // the holder
	m.user, m.actor = next(hashSize), next(hashSize)
	return found, rest, true
}

func cutText(text string) (first, rest string, ok bool) {
	if len(text) < 2 {
		return "", "", false
	}
	n := int(binary.BigEndian.Uint16([]byte(text[:2])))
	if len(text) < 2+n {
		return "", "", false
	}
	return text[2 : 2+n], text[2+n:], true
}

// readRow parses a row of a result, or returns ErrNotFound if there is none.
func readRow(key sessions.Key, value rueidis.RedisMessage) (*storedRow, error) {
	if value.IsNil() {
		return nil, sessions.ErrNotFound
	}
	text, err := value.ToString()
	if err != nil {
		return nil, calls.ErrCorrupt
	}
	return decode(key, text)
}

// A reader reads a result from left to right. If an element cannot be read, the rest is zero and
// there is an error at the end.
type reader struct {
	values []rueidis.RedisMessage
	at     time.Time // used by the script
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

func (r *reader) text() string {
	value := r.next()
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

func (r *reader) time() time.Time { return fromMillis(r.int()) }
