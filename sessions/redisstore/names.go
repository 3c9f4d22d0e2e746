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
	return base64.RawURLEncoding.EncodeToString(storedrow.Hash(texts...))
}

// rawHash is hash in the bytes that it has.
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

// rowID is what keys and indexes say of a session: the hash of its realm, and its id.
func rowID(key sessions.Key) string { return hashRealm(key.Realm) + escape(key.ID) }

// The kinds of sessions, in names of keys.
const (
	own    = "o"
	acting = "i" // impersonations
)

// A mark is what the indexes know of a row; it never changes. The nonce distinguishes
// the row from one that had its key before, and from one that lost a race for it.
type mark struct {
	id          string // as rowID gives it
	created     string // as place gives it
	nonce       string
	user, actor string // raw hashes; actor is nobody for a session of one's own
}

var nobody = strings.Repeat("\x00", hashSize)

func newMark(row *sessions.Session, nonce uint64) mark {
	m := mark{
		id: rowID(row.Key()), created: place(row.CreatedAt), nonce: string(binary.BigEndian.AppendUint64(nil, nonce)),
		user: hashUser(row.Realm, row.UserID), actor: nobody,
	}
	if row.Impersonation {
		m.actor = hashActor(row.Realm, &row.Actor)
	}
	return m
}

func (m *mark) kind() string {
	if m.actor == nobody {
		return own
	}
	return acting
}

// The members of indexes are short enough for Redis to keep them close together: 64 bytes at most
// with an id of ours, which has 22 and two zeros behind it.

// entry is what a listing holds of the row, oldest first.
func (m *mark) entry() string { return m.created + m.id[realmSize:] + m.nonce }

// scanned is what the index of all rows holds, by realm and id.
func (m *mark) scanned() string {
	return m.id + m.created + m.nonce + strings.TrimSuffix(m.actor, nobody)
}

// due is what the index of what is due holds, by when.
func (m *mark) due(at string) string { return at + m.id + m.nonce + m.user }

// cutID reads the rowID that text begins with.
func cutID(text string) (id, rest string, ok bool) {
	if len(text) < realmSize {
		return "", "", false
	}
	escaped, rest, ok := strings.Cut(text[realmSize:], stop)
	return text[:realmSize] + escaped + stop, rest, ok
}

// readScanned reads what scanned gave: a mark without its user.
func readScanned(member string) (m mark, ok bool) {
	id, rest, ok := cutID(member)
	if !ok || len(rest) != 8+nonceSize && len(rest) != 8+nonceSize+hashSize {
		return m, false
	}
	return mark{id: id, created: rest[:8], nonce: rest[8:][:nonceSize], actor: cmp.Or(rest[8+nonceSize:], nobody)}, true
}

// readDue reads what due gave: a mark without its beginning and its actor.
func readDue(member string) (m mark, at string, ok bool) {
	if len(member) < 8 {
		return m, "", false
	}
	id, rest, ok := cutID(member[8:])
	if !ok || len(rest) != nonceSize+hashSize {
		return m, "", false
	}
	return mark{id: id, nonce: rest[:nonceSize], user: rest[nonceSize:]}, member[:8], true
}

// readEntry reads the id of what entry gave, with its end.
func readEntry(e string) (created time.Time, id string, ok bool) {
	if len(e) < 8 {
		return created, "", false
	}
	id, rest, ok := unescape(e[8:])
	return placed(e[:8]), id, ok && len(rest) == nonceSize
}

// place writes a time so that times are in the order of their bytes.
func place(at time.Time) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli())^1<<63))
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func placed(b string) time.Time {
	return fromMillis(int64(binary.BigEndian.Uint64([]byte(b)) ^ 1<<63))
}

// keys names what is in the database; the text is what they begin with.
type keys string

func (k keys) row(id string) string           { return string(k) + "row:" + id }
func (k keys) user(kind, hash string) string  { return string(k) + "user:" + kind + ":" + hash }
func (k keys) realm(kind, hash string) string { return k.tree("realm:"+kind, hash) }
func (k keys) actor(hash string) string       { return string(k) + "actor:" + hash }
func (k keys) realms() string                 { return string(k) + "realms" }
func (k keys) named(hash string) string       { return string(k) + "name:" + hash }
func (k keys) mark(hash string) string        { return string(k) + "mark:" + hash }
func (k keys) marked(hash string) string      { return string(k) + "marked:" + hash }
func (k keys) markedRealms() string           { return string(k) + "marked" }
func (k keys) cutoffs() string                { return string(k) + "cutoffs" }
func (k keys) layout() string                 { return string(k) + "layout" }
func (k keys) identity() string               { return string(k) + "identity" }

// place is where the place of the newest cutoff is, in the same slot as the cutoffs.
func (k keys) place() string { return string(k) + "place:{" + k.cutoffs() + "}" }

func (k keys) all(shard int) string { return k.tree("all", strconv.Itoa(shard)) }
func (k keys) due(shard int) string { return k.tree("due", strconv.Itoa(shard)) }
func (k keys) log(shard int) string { return string(k) + "log:" + strconv.Itoa(shard) }

// tree is an index that is in leaves: their names are longer, and in the slot of what the braces hold.
func (k keys) tree(name, slot string) string { return string(k) + "tree:" + name + ":{" + slot + "}" }

// listings are the indexes that a row that is not revoked is in, that of the user first.
func (k keys) listings(m *mark) []string {
	of := []string{k.user(m.kind(), m.user), k.realm(m.kind(), m.id[:realmSize])}
	if m.kind() == acting {
		of = append(of, k.actor(m.actor))
	}
	return of
}

// shard returns in which of so many parts of an index a row is.
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
