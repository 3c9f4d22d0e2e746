package redisstore

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"authsidecar/sessions"
)

// A session is known by its label: realm and id, each ended by two zeros, with a zero
// within written as 00 ff. So labels are in the order of what they hold, none begins
// another, and any bytes are in them.

const stop = "\x00\x00"

func escape(text string) string { return strings.ReplaceAll(text, "\x00", "\x00\xff") + stop }

func label(key sessions.Key) string { return escape(key.Realm) + escape(key.ID) }

// cutLabel reads the label that text begins with.
func cutLabel(text string) (key sessions.Key, rest string, ok bool) {
	realm, rest, ok1 := unescape(text)
	id, rest, ok2 := unescape(rest)
	return sessions.Key{Realm: realm, ID: id}, rest, ok1 && ok2
}

func unescape(text string) (plain, rest string, ok bool) {
	escaped, rest, ok := strings.Cut(text, stop)
	return strings.ReplaceAll(escaped, "\x00\xff", "\x00"), rest, ok
}

// hash names texts in the names of keys: of one length, whatever they hold.
func hash(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		_, _ = h.Write([]byte(text))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

func hashRealm(realm string) string      { return hash("realm", realm) }
func hashUser(realm, user string) string { return hash("user", realm, user) }
func hashActor(realm string, p *sessions.Principal) string {
	return hash("actor", realm, p.Issuer, p.Subject)
}
func hashHolder(user, client string) string { return hash("holder", user, client) }

// The kinds of sessions, in names of keys.
const (
	own    = "o"
	acting = "i" // impersonations
)

func kindOf(impersonation bool) string {
	if impersonation {
		return acting
	}
	return own
}

// A mark is what the indexes know of a row; it never changes. The nonce distinguishes
// the row from one that had its key before, and from one that lost a race for it.
//
//	label | created, 8 bytes | nonce, 8 bytes | kind | realm, user, actor: hashes
type mark string

const (
	hashSize = 22
	tailSize = 8 + 8 + 1 + 3*hashSize
)

func newMark(row *sessions.Session, nonce uint64) mark {
	b := []byte(label(row.Key()))
	b = append(b, place(row.CreatedAt)...)
	b = binary.BigEndian.AppendUint64(b, nonce)
	b = append(b, kindOf(row.Impersonation)+hashRealm(row.Realm)+hashUser(row.Realm, row.UserID)+hashActor(row.Realm, &row.Actor)...)
	return mark(b)
}

// place writes a time so that times are in the order of their bytes.
func place(at time.Time) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli())^1<<63))
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func placed(b string) time.Time {
	return fromMillis(int64(binary.BigEndian.Uint64([]byte(b)) ^ 1<<63))
}

func (m mark) ok() bool {
	if len(m) < tailSize {
		return false
	}
	_, rest, ok := cutLabel(string(m))
	return ok && len(rest) == tailSize
}

func (m mark) label() string      { return string(m[:len(m)-tailSize]) }
func (m mark) tail() string       { return string(m[len(m)-tailSize:]) }
func (m mark) created() time.Time { return placed(m.tail()[:8]) }
func (m mark) key() sessions.Key  { key, _, _ := cutLabel(string(m)); return key }
func (m mark) kind() string       { return m.tail()[16:17] }
func (m mark) realm() string      { return m.tail()[17 : 17+hashSize] }
func (m mark) user() string       { return m.tail()[17+hashSize : 17+2*hashSize] }
func (m mark) actor() string      { return m.tail()[17+2*hashSize:] }

// entry is what a listing holds of the row, oldest first:
//
//	created, 8 bytes | id, escaped | nonce, 8 bytes
func (m mark) entry() string {
	return m.tail()[:8] + escape(m.key().ID) + m.tail()[8:16]
}

// readEntry reads what entry gave.
func readEntry(e string) (created time.Time, id, nonce string, ok bool) {
	if len(e) < 8 {
		return time.Time{}, "", "", false
	}
	id, nonce, ok = unescape(e[8:])
	return placed(e[:8]), id, nonce, ok && len(nonce) == 8
}

// keys names what is in the database; the text is what they begin with.
type keys string

func (k keys) row(label string) string        { return string(k) + "row:" + label }
func (k keys) user(kind, hash string) string  { return string(k) + "user:" + kind + ":" + hash }
func (k keys) realm(kind, hash string) string { return string(k) + "realm:" + kind + ":" + hash }
func (k keys) actor(hash string) string       { return string(k) + "actor:" + hash }
func (k keys) named(hash string) string       { return string(k) + "name:" + hash }
func (k keys) mark(hash string) string        { return string(k) + "mark:" + hash }
func (k keys) marked(hash string) string      { return string(k) + "marked:" + hash }
func (k keys) markedRealms() string           { return string(k) + "marked" }
func (k keys) cutoffs() string                { return string(k) + "cutoffs" }
func (k keys) layout() string                 { return string(k) + "layout" }
func (k keys) identity() string               { return string(k) + "identity" }

// place is where the place of the newest cutoff is, in the same slot as the cutoffs.
func (k keys) place() string { return string(k) + "place:{" + k.cutoffs() + "}" }

func (k keys) all(shard int) string { return string(k) + "all:" + strconv.Itoa(shard) }
func (k keys) due(shard int) string { return string(k) + "due:" + strconv.Itoa(shard) }
func (k keys) log(shard int) string { return string(k) + "log:" + strconv.Itoa(shard) }

// listings are the indexes that a row that is not revoked is in.
func (k keys) listings(m mark) []string {
	of := []string{k.user(m.kind(), m.user()), k.realm(m.kind(), m.realm())}
	if m.kind() == acting {
		of = append(of, k.actor(m.actor()))
	}
	return of
}

// shard returns in which of so many parts of an index a row is.
func shard(label string, of int) int {
	if of == 1 {
		return 0
	}
	return int(hash32(label) % uint32(of))
}

func hash32(label string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(label))
	return h.Sum32()
}
