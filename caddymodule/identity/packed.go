package identity

import (
	"encoding/binary"

	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
)

// The packed form of an identity, for a token of which the cache keeps only a mark: the middleware,
// two bits, the creation of the session and the expiry of the token (milliseconds since 1970), and
// texts, each after its length. The last texts are the headers with claims.
const (
	packedOwn = 1 << iota
	packedImpersonation
)

// packedHead is the number of bytes before the texts.
const packedHead = 4 + 1 + 8 + 8

// texts returns the texts of an identity that are packed.
func (id *identity) texts() [7]*string {
	w := id.Who
	return [...]*string{&w.UserID, &w.SessionID, &w.Actor.Issuer, &w.Actor.Subject, &w.Reason, &w.ClientID, &id.store}
}

// pack returns the packed identity; nil if it would be too large, or a text is too long.
func (id *identity) pack() []byte {
	values := make([]string, 0, 16)
	for _, text := range id.texts() {
		values = append(values, *text)
	}
	for i, isClaim := range id.by.claims {
		if isClaim {
			values = append(values, id.headers[i])
		}
	}
	size := packedHead
	for _, value := range values {
		if size += 1 + len(value); size > bearer.MaxPacked {
			return nil
		}
	}
	var bits byte
	if id.own {
		bits |= packedOwn
	}
	if id.Impersonation {
		bits |= packedImpersonation
	}
	out := binary.LittleEndian.AppendUint32(make([]byte, 0, size), id.by.maker)
	out = append(out, bits)
	out = binary.LittleEndian.AppendUint64(out, uint64(id.created))
	out = binary.LittleEndian.AppendUint64(out, uint64(id.expires))
	for _, value := range values {
		out = append(append(out, byte(len(value))), value...)
	}
	return out
}

// unpack returns the identity for a request if m has packed it, and nil otherwise.
func (m *Middleware) unpack(packed string) *identity {
	if len(packed) < packedHead || binary.LittleEndian.Uint32([]byte(packed[:4])) != m.maker {
		return nil
	}
	var made struct { // in a single allocation
		identity
		who     forward.Who
		headers [3]string // as many as there are by default
	}
	id := &made.identity
	bits, rest := packed[4], packed[packedHead:]
	id.Who, id.by, id.own, id.assertion = &made.who, m, bits&packedOwn != 0, m.newAssertion()
	id.Impersonation = bits&packedImpersonation != 0
	id.created, id.expires = unpackTime(packed[5:13]), unpackTime(packed[13:21])
	for _, text := range id.texts() {
		*text, rest = unpackText(rest)
	}
	if id.headers = made.headers[:0]; len(m.fields) > len(made.headers) {
		id.headers = make([]string, 0, len(m.fields))
	}
	for i, field := range m.fields {
		var value string
		if m.claims[i] {
			value, rest = unpackText(rest)
		} else {
			value = field.Value(id.Who, nil)
		}
		id.headers = append(id.headers, value)
	}
	return id
}

func unpackText(packed string) (text, rest string) {
	end := 1 + int(packed[0])
	return packed[1:end], packed[end:]
}

func unpackTime(packed string) int64 { return int64(binary.LittleEndian.Uint64([]byte(packed))) }
