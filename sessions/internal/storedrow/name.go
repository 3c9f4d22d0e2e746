package storedrow

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"authsidecar/sessions"
)

// HashSize is how long a Hash is, in bytes.
const HashSize = 16

// Hash names a text, or several, in an index: of one length, whatever they hold.
func Hash(texts ...string) []byte {
	h := sha256.New()
	for _, text := range texts {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		_, _ = h.Write([]byte(text))
	}
	return h.Sum(nil)[:HashSize]
}

const cursorSum = 8

// cursorMAC binds a place to its query.
func cursorMAC(query, place string) []byte {
	h := sha256.Sum256([]byte("cursor" + query + place))
	return h[:cursorSum]
}

// WriteCursor writes the place where a page of a query ended. query is different for queries whose
// pages do not continue each other.
func WriteCursor(query, place string) string {
	return base64.RawURLEncoding.EncodeToString(append(cursorMAC(query, place), place...))
}

// ReadCursor reads the place that WriteCursor wrote for that query, or is sessions.ErrBadCursor.
func ReadCursor(query, cursor string) (place string, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < cursorSum || !bytes.Equal(cursorMAC(query, string(raw[cursorSum:])), raw[:cursorSum]) {
		return "", sessions.ErrBadCursor
	}
	return string(raw[cursorSum:]), nil
}
