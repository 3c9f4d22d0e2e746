package redisstore

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/storedrow"
)

// The label of a session is its realm and id, each terminated by two zeros, with a zero inside
// written as 00 ff. So labels sort like their contents, none is a prefix of another, and they can
// contain any bytes.

const terminator = "\x00\x00"

func escape(text string) string { return strings.ReplaceAll(text, "\x00", "\x00\xff") + terminator }

func label(key sessions.Key) string { return escape(key.Realm) + escape(key.ID) }

// cutLabel parses the label at the beginning of text.
func cutLabel(text string) (key sessions.Key, rest string, ok bool) {
	realm, rest, ok1 := unescape(text)
	id, rest, ok2 := unescape(rest)
	return sessions.Key{Realm: realm, ID: id}, rest, ok1 && ok2
}

func unescape(text string) (plain, rest string, ok bool) {
	escaped, rest, ok := strings.Cut(text, terminator)
	return strings.ReplaceAll(escaped, "\x00\xff", "\x00"), rest, ok
}

// hash stands for texts in the names of keys; its length is fixed.
func hash(texts ...string) string {
	return base64.RawURLEncoding.EncodeToString(storedrow.Hash(texts...))
}

// rawHash is hash in binary.
func rawHash(texts ...string) string { return string(storedrow.Hash(texts...)) }

const (
	hashSize  = storedrow.HashSize
	realmSize = 8 // of hashRealm
	nonceSize = 8
)

func hashRealm(realm string) string      { return hash("realm", realm)[:realmSize] }
func hashUser(realm, user string) string { return rawHash("user", realm, user) }
func hashActor(realm string, p *sessions.Principal) string {
	return rawHash("actor", realm, p.Issuer, p.Subject)
}
func hashHolder(user, client string) string { return rawHash("holder", user, client) }

// rowID identifies a session in keys and indexes: the hash of its realm, and its id.
func rowID(key sessions.Key) string { return hashRealm(key.Realm) + escape(key.ID) }

// The kinds of sessions, in the names of keys.
const (
	own    = "o"
	acting = "i" // impersonations
)

// A ref is the part of a row that is in the indexes; it never changes. The nonce distinguishes the
// row from an earlier one with its key, and from one that lost a race for it.
type ref struct {
	id          string // from rowID
	created     string // from place
	nonce       string
	user, actor string // raw hashes; actor is nobody for an own session
}

var nobody = strings.Repeat("\x00", hashSize)

func newRef(row *sessions.Session, nonce uint64) ref {
	m := ref{
		id: rowID(row.Key()), created: place(row.CreatedAt), nonce: string(binary.BigEndian.AppendUint64(nil, nonce)),
		user: hashUser(row.Realm, row.UserID), actor: nobody,
	}
	if row.Impersonation {
		m.actor = hashActor(row.Realm, &row.Actor)
	}
	return m
}

func (m *ref) kind() string {
	if m.actor == nobody {
		return own
	}
	return acting
}

// Members of indexes are short enough for Redis to store them compactly: at most 64 bytes with one
// of our ids, which has 22 bytes and is followed by two zeros.

// entry is the row's member in a listing, ordered by creation.
func (m *ref) entry() string { return m.created + m.id[realmSize:] + m.nonce }

// scanned is the row's member in the index of all rows, ordered by realm and id.
func (m *ref) scanned() string {
	return m.id + m.created + m.nonce + strings.TrimSuffix(m.actor, nobody)
}

// due is the row's member in the index of due rows, ordered by time.
func (m *ref) due(at string) string { return at + m.id + m.nonce + m.user }

// cutID parses the rowID at the beginning of text.
func cutID(text string) (id, rest string, ok bool) {
	if len(text) < realmSize {
		return "", "", false
	}
	escaped, rest, ok := strings.Cut(text[realmSize:], terminator)
	return text[:realmSize] + escaped + terminator, rest, ok
}

// parseScanned parses what scanned returned: a ref without its user.
func parseScanned(member string) (m ref, ok bool) {
	id, rest, ok := cutID(member)
	if !ok || len(rest) != 8+nonceSize && len(rest) != 8+nonceSize+hashSize {
		return m, false
	}
	return ref{id: id, created: rest[:8], nonce: rest[8:][:nonceSize], actor: cmp.Or(rest[8+nonceSize:], nobody)}, true
}

// parseDue parses what due returned: a ref without its creation time and its actor.
func parseDue(member string) (m ref, at string, ok bool) {
	if len(member) < 8 {
		return m, "", false
	}
	id, rest, ok := cutID(member[8:])
	if !ok || len(rest) != nonceSize+hashSize {
		return m, "", false
	}
	return ref{id: id, nonce: rest[:nonceSize], user: rest[nonceSize:]}, member[:8], true
}

// parseEntry parses the creation time and the id of what entry returned, the id with its end.
func parseEntry(e string) (created time.Time, id string, ok bool) {
	if len(e) < 8 {
		return created, "", false
	}
	id, rest, ok := unescape(e[8:])
	return parsePlace(e[:8]), id, ok && len(rest) == nonceSize
}

// place encodes a time in bytes that sort by time.
func place(at time.Time) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli())^1<<63))
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func parsePlace(b string) time.Time {
	return fromMillis(int64(binary.BigEndian.Uint64([]byte(b)) ^ 1<<63))
}

// keys returns the names of keys; its text is their prefix.
type keys string

func (k keys) row(id string) string           { return string(k) + "row:" + id }
func (k keys) user(kind, hash string) string  { return string(k) + "user:" + kind + ":" + hash }
func (k keys) realm(kind, hash string) string { return k.tree("realm:"+kind, hash) }
func (k keys) actor(hash string) string       { return string(k) + "actor:" + hash }
func (k keys) realms() string                 { return string(k) + "realms" }
func (k keys) named(hash string) string       { return string(k) + "name:" + hash }
func (k keys) mark(hash string) string        { return string(k) + "mark:" + hash }
func (k keys) marks(hash string) string       { return string(k) + "marked:" + hash }
func (k keys) realmsWithMarks() string        { return string(k) + "marked" }
func (k keys) cutoffs() string                { return string(k) + "cutoffs" }
func (k keys) layout() string                 { return string(k) + "layout" }
func (k keys) identity() string               { return string(k) + "identity" }

// place is the key with the position of the newest cutoff, in the same slot as the cutoffs.
func (k keys) place() string { return string(k) + "place:{" + k.cutoffs() + "}" }

func (k keys) all(shard int) string { return k.tree("all", strconv.Itoa(shard)) }
func (k keys) due(shard int) string { return k.tree("due", strconv.Itoa(shard)) }
func (k keys) log(shard int) string { return string(k) + "log:" + strconv.Itoa(shard) }

// tree is the key of an index that is split into leaves. The names of the leaves are longer, and in
// the slot of the text in braces.
func (k keys) tree(name, slot string) string { return string(k) + "tree:" + name + ":{" + slot + "}" }

// listings returns the indexes of an unrevoked row, that of the user first.
func (k keys) listings(m *ref) []string {
	of := []string{k.user(m.kind(), m.user), k.realm(m.kind(), m.id[:realmSize])}
	if m.kind() == acting {
		of = append(of, k.actor(m.actor))
	}
	return of
}

// shard returns the part of an index that has a row.
func shard(id string, of int) int {
	if of == 1 {
		return 0
	}
	return int(hash32(id) % uint32(of))
}

func hash32(text string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text))
	return h.Sum32()
}
