package strictjson

import (
	"math"

	"github.com/go-json-experiment/json/jsontext"
)

// Object reads data, which is one object and nothing else, nested no deeper than maxDepth.
// Its members are nil, bool, string, int64, float64, []any and map[string]any: numbers
// that are whole and fit are int64, so that a value is the same however often it is
// written and read.
func Object(data []byte, maxDepth int) (map[string]any, error) {
	var o object
	if err := Unmarshal(data, maxDepth, &o); err != nil {
		return nil, err
	}
	return o, nil
}

type object map[string]any

// UnmarshalJSONFrom reads an object.
func (o *object) UnmarshalJSONFrom(d *jsontext.Decoder) (err error) {
	*o, err = readObject(d)
	return err
}

func readObject(d *jsontext.Decoder) (map[string]any, error) {
	object := make(map[string]any)
	err := eachMember(d, func(name string) (err error) {
		object[name], err = readValue(d)
		return err
	})
	return object, err
}

// eachMember reads an object; member is called with each name, and reads its value.
func eachMember(d *jsontext.Decoder, member func(name string) error) error {
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() != jsontext.KindEndObject {
		var name jsontext.Token
		if name, err = d.ReadToken(); err == nil {
			err = member(name.String())
		}
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	return err
}

func readValue(d *jsontext.Decoder) (any, error) {
	switch d.PeekKind() {
	case jsontext.KindBeginObject:
		return readObject(d)
	case jsontext.KindBeginArray:
		return readArray(d)
	default:
		return readScalar(d)
	}
}

func readScalar(d *jsontext.Decoder) (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case jsontext.KindNull:
		return nil, nil
	case jsontext.KindString:
		return token.String(), nil
	case jsontext.KindNumber:
		return readNumber(token)
	default:
		return token.Bool(), nil
	}
}

func readArray(d *jsontext.Decoder) ([]any, error) {
	items := []any{}
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() != jsontext.KindEndArray {
		var item any
		if item, err = readValue(d); err == nil {
			items = append(items, item)
		}
	}
	if err == nil {
		_, err = d.ReadToken()
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
