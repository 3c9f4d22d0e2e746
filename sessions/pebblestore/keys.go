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

// The kinds of keys: the first byte. They are part of the format.
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

// A hash stands for a realm, a user or an actor in keys. Its size is fixed, so none is a prefix of
// another.
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

// splitKey returns the length of the part of a key that is in Bloom filters: what a lookup knows.
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

// comparer orders keys bytewise. Its name is stored in the database, and Pebble opens no database
// with another.
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

// keyOfKind is how Pebble's errors and logs show a key: without its contents.
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

// appendTimedKey appends a key of an index by time: when a session or a mark is due, or was
// revoked.
func appendTimedKey(dst []byte, kind byte, at time.Time, realm hash, name string) []byte {
	dst = append(appendTime(append(dst, kind), at), realm[:]...)
	return append(dst, name...)
}

// timedKey parses what appendTimedKey wrote, or returns ErrCorrupt.
func timedKey(key []byte) (at time.Time, realm hash, name string, err error) {
	const head = 1 + timeSize
	if len(key) < head+hashSize {
		return at, realm, "", ErrCorrupt
	}
	return storedTime(key[1:]), hash(key[head : head+hashSize]), string(key[head+hashSize:]), nil
}

// appendTime appends milliseconds in bytes that sort by time, including times before 1970.
func appendTime(dst []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t.UnixMilli())^(1<<63))
}

// storedTime parses what appendTime wrote.
func storedTime(b []byte) time.Time { return fromMillis(int64(binary.BigEndian.Uint64(b) ^ (1 << 63))) }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// appendPlace appends the position of a session in a listing: newest first, and the greater id
// first at the same time. If one id is a prefix of another, the longer one is greater: hence the
// end mark, and the escaped NUL.
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

// place parses what appendPlace wrote.
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

// prefixEnd returns the first key after all keys with that prefix.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
