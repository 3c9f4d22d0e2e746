package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

const fuzzDepth = 64

// FuzzRead holds what is accepted against encoding/json, and what is refused for its
// syntax, too.
func FuzzRead(f *testing.F) {
	for _, data := range accepted {
		f.Add(wrap(data))
	}
	for data := range refused {
		if len(data) < 1000 {
			f.Add(wrap(data))
			f.Add([]byte(data))
		}
	}
	for _, data := range samples {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := check(t, data, fuzzDepth)
		if err != nil {
			if json.Valid(data) && (errors.Is(err, ErrSyntax) || errors.Is(err, ErrTrailing)) {
				t.Fatalf("%q is JSON: %v", data, err)
			}
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("%q is no JSON", data)
		}
		whole, stepwise := decode(t, data), walk(t, data)
		if !reflect.DeepEqual(whole, stepwise) {
			t.Fatalf("%q is read as %v and as %v", data, whole, stepwise)
		}
		sameMembers(t, data, whole)
	})
}

func decode(t *testing.T, data []byte) (value any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("%q: more follows", data)
	}
	return value
}

// walk decodes token by token; of two members of one name the first counts.
func walk(t *testing.T, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var value func() any
	value = func() any {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		switch token {
		case json.Delim('['):
			items := []any{}
			for d.More() {
				items = append(items, value())
			}
			_, _ = d.Token()
			return items
		case json.Delim('{'):
			object := map[string]any{}
			for d.More() {
				name, _ := value().(string)
				item := value()
				if _, there := object[name]; there {
					t.Fatalf("%q: a name comes twice", data)
				}
				object[name] = item
			}
			_, _ = d.Token()
			return object
		}
		if text, ok := token.(string); ok && strings.Contains(text, "\ufffd") && !bytes.Contains(data, []byte("\ufffd")) && !bytes.Contains(bytes.ToLower(data), []byte(`\ufffd`)) {
			t.Fatalf("%q: text was replaced", data)
		}
		return token
	}
	return value()
}

func sameMembers(t *testing.T, data []byte, whole any) {
	t.Helper()
	object, _ := whole.(map[string]any)
	members, err := Members(data, fuzzDepth)
	if err != nil || object == nil || len(members) != len(object) {
		t.Fatalf("%q: %v, %v", data, members, err)
	}
	for _, member := range members {
		if !reflect.DeepEqual(decode(t, member.Value), object[member.Name]) || check(t, wrap(string(member.Value)), fuzzDepth+1) != nil {
			t.Fatalf("%q: member %q is %q", data, member.Name, member.Value)
		}
	}
}
