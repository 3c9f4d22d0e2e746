package strictjson

import "encoding/json"

// Check tells whether data is exactly one JSON value (RFC 8259) and nothing that
// two parsers could read in two ways: valid UTF-8 without a byte order mark, no
// half of a surrogate pair, no name twice in an object, nothing after the value,
// objects and arrays nested no deeper than maxDepth. Numbers are checked for
// their form alone.
//
// The error is one of this package's; it holds nothing of the data.
func Check(data []byte, maxDepth int) error {
	s := scanner{data: data, depth: maxDepth, marked: -1}
	return s.check()
}

// CheckObject is Check, and the value must be an object.
func CheckObject(data []byte, maxDepth int) error {
	s := scanner{data: data, depth: maxDepth, objectOnly: true, marked: -1}
	return s.check()
}

// A Member is a member of an object.
type Member struct {
	// Name is the name with its escapes resolved.
	Name string
	// Value is the value as it is written, without space around it. It shares the
	// memory of the data.
	Value json.RawMessage
}

// Text returns the string that the value is; ok is false where it is none.
func (m *Member) Text() (text string, ok bool) {
	if len(m.Value) < 2 || m.Value[0] != '"' {
		return "", false
	}
	raw, err := unquote(m.Value)
	return string(raw), err == nil
}

// OuterMembers is Members, but a name may come twice in what is nested: whoever
// uses a value checks it by itself, so that one that is bad does not spoil those
// beside it.
func OuterMembers(data []byte, maxDepth int) ([]Member, error) {
	return members(data, maxDepth, true)
}

// Members is CheckObject, and returns the members of the object in their order.
func Members(data []byte, maxDepth int) ([]Member, error) {
	return members(data, maxDepth, false)
}

func members(data []byte, maxDepth int, outer bool) ([]Member, error) {
	s := scanner{data: data, depth: maxDepth, objectOnly: true, marked: maxDepth - 1, outer: outer, members: make([]Member, 0, 8)}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s.members, nil
}
