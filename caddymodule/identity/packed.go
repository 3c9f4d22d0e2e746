package identity

import (
	"encoding/binary"
	"math"
	"time"

	"authsidecar/sessions/forward"
)

// What is packed of an identity, for a token of which little else is remembered: by whom, two bits,
// when its session was created and its token expires (milliseconds since 1970), and texts, each
// behind its length, of which the last are the headers that are claims.
const (
	packedOwn = 1 << iota
	packedImpersonation
)

// packedHead is how many bytes come before the texts.
const packedHead = 4 + 1 + 8 + 8

// texts are those of an identity that are packed.
func (id *identity) texts() [7]*string {
	w := id.Who
	return [...]*string{&w.UserID, &w.SessionID, &w.Actor.Issuer, &w.Actor.Subject, &w.Reason, &w.ClientID, &id.store}
}

// pack returns the identity in few bytes; nil where it has a long text.
func (id *identity) pack() []byte {
	out := binary.LittleEndian.AppendUint32(nil, id.by.maker)
	var bits byte
	if id.own {
		bits |= packedOwn
	}
	if id.Impersonation {
		bits |= packedImpersonation
	}
	out = append(out, bits)
	out = binary.LittleEndian.AppendUint64(out, uint64(id.created.UnixMilli()))
	out = binary.LittleEndian.AppendUint64(out, uint64(id.expires.UnixMilli()))
	var values []string
	for _, text := range id.texts() {
		values = append(values, *text)
	}
	for i, isClaim := range id.by.claims {
		if isClaim {
			values = append(values, id.headers[i])
		}
	}
	for _, value := range values {
		if len(value) > math.MaxUint8 {
			return nil
		}
		out = append(append(out, byte(len(value))), value...)
	}
	return out
}

// unpack returns the identity that m packed, for one request; nil where it did not.
func (m *Middleware) unpack(packed string) *identity {
	if len(packed) < packedHead || binary.LittleEndian.Uint32([]byte(packed[:4])) != m.maker {
		return nil
	}
	var made struct { // in one piece
		identity
		who forward.Who
	}
	id := &made.identity
	bits, rest := packed[4], packed[packedHead:]
	id.Who, id.by, id.own = &made.who, m, bits&packedOwn != 0
	id.Impersonation = bits&packedImpersonation != 0
	id.created, id.expires = unpackTime(packed[5:13]), unpackTime(packed[13:21])
	for _, text := range id.texts() {
		*text, rest = unpackText(rest)
	}
	id.headers = make([]string, len(m.fields))
	for i, field := range m.fields {
		if m.claims[i] {
			id.headers[i], rest = unpackText(rest)
		} else {
			id.headers[i] = field.Value(id.Who, nil)
		}
	}
	return id
}

func unpackText(packed string) (text, rest string) {
	end := 1 + int(packed[0])
	return packed[1:end], packed[end:]
}

func unpackTime(packed string) time.Time {
	return time.UnixMilli(int64(binary.LittleEndian.Uint64([]byte(packed)))).UTC()
}
