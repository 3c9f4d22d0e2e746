package strictjson

import (
	"bytes"
	"encoding/json"
	"slices"
)

var bom = []byte("\xef\xbb\xbf")

// A scanner reads a value from its begin to its end, once.
type scanner struct {
	data  []byte
	at    int
	depth int // how many objects and arrays may still be opened

	objectOnly bool
	marked     int  // the depth whose members are kept, or -1
	outer      bool // names may repeat below the members that are kept
	members    []Member
}

func (s *scanner) check() error {
	var room [32][]byte // for the names of all open objects; on the stack, and enough for most data
	if bytes.HasPrefix(s.data, bom) {
		return ErrEncoding
	}
	if c := s.peek(); s.objectOnly && c != '{' {
		return s.noObject(c)
	}
	if err := s.value(room[:0]); err != nil {
		return err
	}
	if s.peek(); s.at < len(s.data) {
		return ErrTrailing
	}
	return nil
}

// noObject tells other values from what is none.
func (s *scanner) noObject(c byte) error {
	if s.at < len(s.data) && bytes.IndexByte([]byte(`["-0123456789tfn`), c) >= 0 {
		return ErrNotObject
	}
	return ErrSyntax
}

// peek skips white space and returns the byte after it, or 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// value reads any value; free is room for names, and may be too small.
func (s *scanner) value(free [][]byte) error {
	switch c := s.peek(); c {
	case '{':
		return s.object(free)
	case '[':
		return s.array(free)
	case '"':
		_, _, err := s.text()
		return err
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

func (s *scanner) word(word string) error {
	if rest := s.data[s.at:]; len(rest) < len(word) || string(rest[:len(word)]) != word {
		return ErrSyntax
	}
	s.at += len(word)
	return nil
}

// next reads what follows an item: more tells whether another one does.
func (s *scanner) next(shut byte) (more bool, err error) {
	c := s.peek()
	if c != ',' && c != shut {
		return false, ErrSyntax
	}
	s.at++
	if c == shut {
		return false, nil
	}
	s.peek()
	return true, nil
}

// open reads the bracket of an object or array; more tells whether it has items.
func (s *scanner) open(shut byte) (more bool, err error) {
	if s.depth <= 0 {
		return false, ErrDepth
	}
	s.depth--
	s.at++
	if s.peek() == shut {
		s.at++
		return false, nil
	}
	return true, nil
}

func (s *scanner) array(free [][]byte) error {
	more, err := s.open(']')
	for more && err == nil {
		if err = s.value(free); err == nil {
			more, err = s.next(']')
		}
	}
	s.depth++
	return err
}

// object keeps the names in a variable of its own: what a field or a result
// holds would not stay on the stack.
func (s *scanner) object(names [][]byte) error {
	more, err := s.open('}')
	for more && err == nil {
		var name []byte
		if name, err = s.key(); err != nil {
			return err
		}
		names = append(names, name)
		begin := s.at
		if err = s.value(names[len(names):]); err != nil {
			return err
		}
		if s.depth == s.marked {
			s.members = append(s.members, Member{Name: string(name), Value: s.data[begin:s.at:s.at]})
		}
		more, err = s.next('}')
	}
	s.depth++
	if err == nil && (!s.outer || s.depth > s.marked) && repeated(names) {
		err = ErrDuplicate
	}
	return err
}

// key reads a name and all that stands before its value.
func (s *scanner) key() (name []byte, err error) {
	if s.peek() != '"' {
		return nil, ErrSyntax
	}
	name, err = s.name()
	if err != nil {
		return nil, err
	}
	if s.peek() != ':' {
		return nil, ErrSyntax
	}
	s.at++
	s.peek()
	return name, nil
}

// name reads a string and resolves its escapes.
func (s *scanner) name() ([]byte, error) {
	begin := s.at
	raw, escaped, err := s.text()
	if err != nil || !escaped {
		return raw, err
	}
	return unquote(bytes.Clone(s.data[begin:s.at])) // a copy, or the names would not stay on the stack
}

// unquote resolves the escapes of a string that was checked.
func unquote(quoted []byte) ([]byte, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return nil, ErrSyntax
	}
	return []byte(text), nil
}

// repeated tells whether two names are equal. Many are sorted, in place: nobody
// makes that quadratic.
func repeated(names [][]byte) bool {
	if len(names) > 16 {
		slices.SortFunc(names, bytes.Compare)
		for i := 1; i < len(names); i++ {
			if bytes.Equal(names[i-1], names[i]) {
				return true
			}
		}
		return false
	}
	for i, name := range names {
		for _, other := range names[:i] {
			if bytes.Equal(name, other) {
				return true
			}
		}
	}
	return false
}
