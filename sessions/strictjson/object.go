package strictjson

import (
	"bytes"
	"math"

	"github.com/go-json-experiment/json/jsontext"
)

// Object parses data, which must be a single object nested no deeper than maxDepth. Values are nil,
// bool, string, int64, float64, []any and map[string]any: whole numbers that fit are int64, so that
// a value stays the same however often it is written and read. The strings share a single copy of
// the data.
func Object(data []byte, maxDepth int) (map[string]any, error) {
	o := object{size: min(len(data)/bytesOfMember, 64), text: string(data)}
	if err := Unmarshal(data, maxDepth, &o); err != nil {
		return nil, err
	}
	return o.members, nil
}

// bytesOfMember is the usual size of a claim, for allocating the map.
const bytesOfMember = 20

type object struct {
	members map[string]any
	size    int    // expected number of members
	text    string // what is read
}

// UnmarshalJSONFrom decodes an object.
func (o *object) UnmarshalJSONFrom(d *jsontext.Decoder) (err error) {
	o.members, err = (&reader{d, o.text}).object(o.size)
	return err
}

// A reader reads from text.
type reader struct {
	*jsontext.Decoder
	text string
}

// object reads an object with about size members.
func (r *reader) object(size int) (map[string]any, error) {
	object := make(map[string]any, size)
	err := eachMember(r.Decoder, func(name string) (err error) {
		object[name], err = r.value()
		return err
	})
	return object, err
}

// eachMember reads an object; member is called with each name, and reads its value.
func eachMember(d *jsontext.Decoder, member func(name string) error) error {
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() != jsontext.KindEndObject {
		var name jsontext.Value
		if name, err = d.ReadValue(); err == nil {
			err = member(nameOf(name))
		}
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	return err
}

// nameOf returns the unescaped name, without copying common ones.
func nameOf(text jsontext.Value) string {
	if known, ok := commonNames[string(text)]; ok {
		return known
	}
	name, _ := jsontext.AppendUnquote(nil, text) // cannot fail for a string that was decoded
	return string(name)
}

// commonNames are the quoted names of common claims (RFC 7519 section 4.1, RFC 9068 section 2.2,
// RFC 8693 section 4, OpenID Connect Core 1.0 section 2, and ours).
var commonNames = func() map[string]string {
	written := make(map[string]string)
	for _, name := range [...]string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "azp", "act", "auth_time", "acr", "amr",
		"email", "email_verified", "name", "preferred_username", "roles", "groups", "typ", "sid", "sid_iat", "store", "reason",
	} {
		written[`"`+name+`"`] = name
	}
	return written
}()

func (r *reader) value() (any, error) {
	switch r.PeekKind() {
	case jsontext.KindBeginObject:
		return r.object(0)
	case jsontext.KindBeginArray:
		return r.array()
	case jsontext.KindString:
		return r.string()
	default:
		return r.scalar()
	}
}

// string reads a string, without copying it if it has no escapes.
func (r *reader) string() (any, error) {
	value, err := r.ReadValue()
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(value, '\\') < 0 {
		end := int(r.InputOffset())
		return r.text[end-len(value)+1 : end-1], nil
	}
	text, err := jsontext.AppendUnquote(nil, value)
	return string(text), err
}

func (r *reader) scalar() (any, error) {
	token, err := r.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case jsontext.KindNull:
		return nil, nil
	case jsontext.KindNumber:
		return readNumber(token)
	default:
		return token.Bool(), nil
	}
}

func (r *reader) array() ([]any, error) {
	items := []any{}
	_, err := r.ReadToken()
	for err == nil && r.PeekKind() != jsontext.KindEndArray {
		var item any
		if item, err = r.value(); err == nil {
			items = append(items, item)
		}
	}
	if err == nil {
		_, err = r.ReadToken()
	}
	return items, err
}

func readNumber(token jsontext.Token) (any, error) {
	if n, err := token.Int(); err == nil {
		return n, nil
	}
	f, err := token.Float()
	switch {
	case err != nil:
		return nil, ErrRange
	case f == math.Trunc(f) && f >= -1<<63 && f < 1<<63:
		return int64(f), nil
	default:
		return f, nil
	}
}
