package pebblestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
)

// The kinds of keys, the first byte of each. They are part of the format.
const (
	kindRow     = 0x01
	kindUser    = 0x02
	kindActor   = 0x03
	kindAll     = 0x04
	kindExpiry  = 0x05
	kindRevoked = 0x06
	kindCutoff  = 0x07
	kindRealm   = 0x08
	kindClock   = 0x09
	kindID      = 0x0a
	kindName    = 0x0b
	kindMark    = 0x0c
	kindMarkDue = 0x0d
)

const (
	hashSize   = 16 // of a realm, a user, an actor
	timeSize   = 8
	realmEnd   = 1 + hashSize
	userPrefix = realmEnd + hashSize + 1
	hashPrefix = realmEnd + hashSize
)

// hash names a realm, a user or an actor in keys: fixed in size, so that no name
// is a prefix of another.
type hash [hashSize]byte

func hashString(s string) hash {
	sum := sha256.Sum256([]byte(s))
	return hash(sum[:hashSize])
}

func hashActor(p *sessions.Principal) hash {
	buf := make([]byte, 0, 256)
	buf = binary.BigEndian.AppendUint64(buf, uint64(len(p.Issuer)))
	buf = append(append(buf, p.Issuer...), p.Subject...)
	sum := sha256.Sum256(buf)
	return hash(sum[:hashSize])
}

// splitKey gives the part of a key that Bloom filters hold: what a lookup knows.
func splitKey(key []byte) int {
	if len(key) == 0 {
		return 0
	}
	n := len(key)
	switch key[0] {
	case kindUser:
		n = userPrefix
	case kindActor, kindName:
		n = hashPrefix
	case kindAll:
		n = realmEnd
	case kindExpiry, kindRevoked, kindMarkDue:
		n = 1
	}
	return min(n, len(key))
}

// comparer orders keys by their bytes. Its name is in the database, and Pebble
// opens none with another.
var comparer = &pebble.Comparer{
	Name:                 "authsidecar.sessions",
	Compare:              bytes.Compare,
	Equal:                bytes.Equal,
	ComparePointSuffixes: bytes.Compare,
	CompareRangeSuffixes: bytes.Compare,
	AbbreviatedKey:       pebble.DefaultComparer.AbbreviatedKey,
	Separator:            pebble.DefaultComparer.Separator,
	Successor:            pebble.DefaultComparer.Successor,
	ImmediateSuccessor:   pebble.DefaultComparer.ImmediateSuccessor,
	FormatKey:            func(key []byte) fmt.Formatter { return keyOfKind(key) },
	Split:                splitKey,
}

// keyOfKind is how Pebble's errors and logs show a key: they need not know whose
// it is.
type keyOfKind []byte

// Format writes the kind of the key.
func (k keyOfKind) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "key of kind %x", []byte(k[:min(1, len(k))]))
}

func appendPrefix(dst []byte, kind byte, realm hash) []byte {
	return append(append(dst, kind), realm[:]...)
}

func appendRowKey(dst []byte, realm hash, id string) []byte {
	return append(appendPrefix(dst, kindRow, realm), id...)
}

func appendUserPrefix(dst []byte, realm, user hash, impersonation bool) []byte {
	dst = append(appendPrefix(dst, kindUser, realm), user[:]...)
	if impersonation {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendActorPrefix(dst []byte, realm, actor hash) []byte {
	return append(appendPrefix(dst, kindActor, realm), actor[:]...)
}

// appendTimedKey writes a key of an index by time: when a session or a mark is due, or was revoked.
func appendTimedKey(dst []byte, kind byte, at time.Time, realm hash, name string) []byte {
	dst = append(appendTime(append(dst, kind), at), realm[:]...)
	return append(dst, name...)
}

// timedKey reads what appendTimedKey wrote, or is ErrCorrupt.
func timedKey(key []byte) (at time.Time, realm hash, name string, err error) {
	const head = 1 + timeSize
	if len(key) < head+hashSize {
		return at, realm, "", ErrCorrupt
	}
	return storedTime(key[1:]), hash(key[head : head+hashSize]), string(key[head+hashSize:]), nil
}

// appendTime writes milliseconds so that their bytes order as they do, those
// before 1970 too.
func appendTime(dst []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t.UnixMilli())^(1<<63))
}

// storedTime reads what appendTime wrote.
func storedTime(b []byte) time.Time { return fromMillis(int64(binary.BigEndian.Uint64(b) ^ (1 << 63))) }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// appendPlace writes where a session stands in a listing: newest first, and of
// the same time the greater id first. Of two ids of which one begins the other,
// the longer is the greater: hence the end mark, and an escaped NUL.
func appendPlace(dst []byte, created time.Time, id string) []byte {
	dst = binary.BigEndian.AppendUint64(dst, ^(uint64(created.UnixMilli()) ^ (1 << 63)))
	for i := range len(id) {
		dst = append(dst, ^id[i])
		if id[i] == 0 {
			dst = append(dst, 0x00)
		}
	}
	return append(dst, 0xFF, 0xFE)
}

// place reads what appendPlace wrote.
func place(key []byte) (created time.Time, id string, ok bool) {
	if len(key) < timeSize+2 {
		return time.Time{}, "", false
	}
	created = time.UnixMilli(int64(^binary.BigEndian.Uint64(key) ^ (1 << 63))).UTC()
	key = key[timeSize:]
	raw := make([]byte, 0, len(key))
	for i := 0; i < len(key); i++ {
		if key[i] != 0xFF {
			raw = append(raw, ^key[i])
			continue
		}
		i++
		switch {
		case i == len(key)-1 && key[i] == 0xFE:
			return created, string(raw), true
		case i < len(key) && key[i] == 0x00:
			raw = append(raw, 0)
		default:
			return time.Time{}, "", false
		}
	}
	return time.Time{}, "", false
}

// prefixEnd returns the first key after all that begin with prefix.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
