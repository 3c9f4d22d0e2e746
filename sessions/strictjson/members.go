package strictjson

import (
	"github.com/go-json-experiment/json/jsontext"
)

// A Member is a member of an object.
type Member struct {
	// Name is the name with its escapes resolved.
	Name string
	// Value is the value as it is written, without space around it. It shares the
	// memory of the data.
	Value jsontext.Value
}

// Text returns the string that the value is; ok is false for other values.
func (m *Member) Text() (text string, ok bool) {
	if m.Value.Kind() != jsontext.KindString {
		return "", false
	}
	raw, err := jsontext.AppendUnquote(nil, m.Value)
	return string(raw), err == nil
}

// Members reads data, which is one object and nothing else, nested no deeper than
// maxDepth, and returns the members of the object in their order.
func Members(data []byte, maxDepth int) ([]Member, error) {
	m := members{data: data}
	if err := Unmarshal(data, maxDepth, &m); err != nil {
		return nil, err
	}
	return m.list, nil
}

// OuterMembers is Members, but a name may come twice in what is nested: each
// value is checked when it is used, so that a bad one does not spoil those
// beside it.
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

// UnmarshalJSONFrom reads an object.
func (m *members) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return eachMember(d, func(name string) error {
		value, err := d.ReadValue()
		end := int(d.InputOffset())
		m.list = append(m.list, Member{Name: name, Value: m.data[end-len(value) : end : end]})
		return err
	})
}
