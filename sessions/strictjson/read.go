package strictjson

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Unmarshal decodes data, which must be a single object nested no deeper than maxDepth, into the
// value that into points to, like json.Unmarshal. The error is one of this package, and contains
// nothing of the data. ErrType means that a member has the wrong type, or is unknown with
// json.RejectUnknownMembers.
func Unmarshal(data []byte, maxDepth int, into any, opts ...json.Options) error {
	switch kind := jsontext.Value(data).Kind(); {
	case tooDeep(data, maxDepth):
		return ErrDepth
	case kind != jsontext.KindBeginObject && jsontext.Value(data).IsValid():
		return ErrNotObject
	case kind != jsontext.KindBeginObject:
		return syntaxOf(data)
	}
	err := json.Unmarshal(data, into, opts...)
	if err == nil {
		return nil
	}
	for _, known := range []error{ErrDuplicate, ErrRange, ErrType} {
		if errors.Is(err, known) {
			return known
		}
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return ErrDuplicate
	}
	if _, ok := errors.AsType[*json.SemanticError](err); ok {
		return ErrType
	}
	return syntaxOf(data)
}

// syntaxOf returns what is wrong with data that is not JSON.
func syntaxOf(data []byte) error {
	lenient := json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) || jsontext.Value(data).IsValid(lenient) {
		return ErrEncoding
	}
	if _, err := jsontext.NewDecoder(bytes.NewReader(data)).ReadValue(); err == nil {
		return ErrTrailing
	}
	return ErrSyntax
}

// tooDeep reports whether objects and arrays are nested deeper than most. For invalid JSON the
// result is arbitrary.
func tooDeep(data []byte, most int) bool {
	if bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("[")) <= most {
		return false // the usual case: too few brackets
	}
	depth, inText := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			inText = !inText
		case c == '\\':
			i++
		case inText:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// A Text is a string member that may be absent but not null.
type Text struct {
	String  string
	Present bool
}

// UnmarshalJSONFrom decodes a string.
func (t *Text) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	token, err := d.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != jsontext.KindString {
		return ErrType
	}
	t.String, t.Present = token.String(), true
	return nil
}
