package strictjson

import (
	"github.com/go-json-experiment/json/jsontext"
)

// A Member is a member of an object.
type Member struct {
	// Name is the unescaped name.
	Name string
	// Value is the value as written, without surrounding white space. It shares the memory of the
	// data.
	Value jsontext.Value
}

// Text returns the value if it is a string.
func (m *Member) Text() (text string, ok bool) {
	if m.Value.Kind() != jsontext.KindString {
		return "", false
	}
	raw, err := jsontext.AppendUnquote(nil, m.Value)
	return string(raw), err == nil
}

// Members parses data, which must be a single object nested no deeper than maxDepth, and returns
// its members in order.
func Members(data []byte, maxDepth int) ([]Member, error) {
	m := members{data: data}
	if err := Unmarshal(data, maxDepth, &m); err != nil {
		return nil, err
	}
	return m.list, nil
}

// OuterMembers is Members, but allows duplicate names in nested values: each value is checked when
// it is used, so that an invalid one does not affect the others.
func OuterMembers(data []byte, maxDepth int) ([]Member, error) {
	m := members{data: data}
	if err := Unmarshal(data, maxDepth, &m, jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(m.list))
	for _, member := range m.list {
		if names[member.Name] {
			return nil, ErrDuplicate
		}
		names[member.Name] = true
	}
	return m.list, nil
}

type members struct {
	data []byte
	list []Member
}

// UnmarshalJSONFrom decodes an object.
func (m *members) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return eachMember(d, func(name string) error {
		value, err := d.ReadValue()
		end := int(d.InputOffset())
		m.list = append(m.list, Member{Name: name, Value: m.data[end-len(value) : end : end]})
		return err
	})
}
