package sessions

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

// errScan never tells what was read: rows and tokens are nobody's to log.
var errScan = errors.New("not the JSON that was expected")

// maxNesting bounds the depth of values.
const maxNesting = 64

// A scanner reads JSON (RFC 8259) that is small and mostly plain ASCII, several
// times faster than encoding/json does.
type scanner struct {
	data  []byte
	at    int
	depth int
}

// peek skips white space and returns the byte after it, or 0.
func (s *scanner) peek() byte {
	for ; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
		default:
			return s.data[s.at]
		}
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if s.peek() != c {
		return errScan
	}
	s.at++
	return nil
}

// end tells whether nothing follows.
func (s *scanner) end() error {
	if s.peek() != 0 || s.at < len(s.data) {
		return errScan
	}
	return nil
}

// list reads what stands between two brackets; item is called at the begin of
// each item.
func (s *scanner) list(open, shut byte, item func() error) error {
	if err := s.expect(open); err != nil {
		return err
	}
	if s.depth++; s.depth > maxNesting {
		return errScan
	}
	defer func() { s.depth-- }()
	if s.peek() == shut {
		s.at++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.at++
		case shut:
			s.at++
			return nil
		default:
			return errScan
		}
	}
}

// object reads an object; member is called at the begin of each value. The name
// is good until it returns.
func (s *scanner) object(member func(name []byte) error) error {
	return s.list('{', '}', func() error {
		name, err := s.text()
		if err == nil {
			err = s.expect(':')
		}
		if err != nil {
			return err
		}
		return member(name)
	})
}

// text reads a string. The bytes may be those of the input.
func (s *scanner) text() ([]byte, error) {
	if err := s.expect('"'); err != nil {
		return nil, err
	}
	begin, escapes, wide := s.at, false, false
	for s.at < len(s.data) {
		switch c := s.data[s.at]; {
		case c == '"':
			raw := s.data[begin:s.at]
			s.at++
			if escapes || wide && !utf8.Valid(raw) {
				return unquote(s.data[begin-1 : s.at])
			}
			return raw, nil
		case c == '\\':
			escapes = true
			s.at += 2
		case c < 0x20:
			return nil, errScan
		default:
			wide = wide || c >= utf8.RuneSelf
			s.at++
		}
	}
	return nil, errScan
}

// unquote leaves the strings that are not plain to encoding/json.
func unquote(quoted []byte) ([]byte, error) {
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return nil, errScan
	}
	return []byte(text), nil
}

func (s *scanner) string() (string, error) {
	raw, err := s.text()
	return string(raw), err
}

// value reads any value.
func (s *scanner) value() (any, error) {
	switch c := s.peek(); {
	case c == '{':
		object := make(map[string]any)
		return object, s.object(func(raw []byte) error {
			name := string(raw)
			value, err := s.value()
			object[name] = value
			return err
		})
	case c == '[':
		items := []any{}
		err := s.list('[', ']', func() error {
			item, err := s.value()
			items = append(items, item)
			return err
		})
		return items, err
	case c == '"':
		return s.string()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	default:
		return s.word()
	}
}

// word reads true, false or null.
func (s *scanner) word() (any, error) {
	rest := s.data[s.at:]
	switch {
	case len(rest) >= 4 && string(rest[:4]) == "true":
		s.at += 4
		return true, nil
	case len(rest) >= 5 && string(rest[:5]) == "false":
		s.at += 5
		return false, nil
	case len(rest) >= 4 && string(rest[:4]) == "null":
		s.at += 4
		return nil, nil
	default:
		return nil, errScan
	}
}

// literal reads a number as it is written; whole tells that it has neither a
// fraction nor an exponent.
func (s *scanner) literal() (text string, whole bool, err error) {
	s.peek()
	begin := s.at
	if s.at < len(s.data) && s.data[s.at] == '-' {
		s.at++
	}
	first := s.at
	if n := s.digits(); n == 0 || n > 1 && s.data[first] == '0' {
		return "", false, errScan
	}
	whole = true
	if s.at < len(s.data) && s.data[s.at] == '.' {
		s.at++
		if whole = false; s.digits() == 0 {
			return "", false, errScan
		}
	}
	if s.at < len(s.data) && s.data[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.data) && (s.data[s.at] == '+' || s.data[s.at] == '-') {
			s.at++
		}
		if whole = false; s.digits() == 0 {
			return "", false, errScan
		}
	}
	return string(s.data[begin:s.at]), whole, nil
}

func (s *scanner) digits() (n int) {
	for ; s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9'; s.at++ {
		n++
	}
	return n
}

// number reads a number: int64 if its value is whole and fits, else float64.
func (s *scanner) number() (any, error) {
	text, whole, err := s.literal()
	if err != nil {
		return nil, err
	}
	if whole {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, errScan
	}
	if f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 {
		return int64(f), nil
	}
	return f, nil
}

func (s *scanner) uint() (uint64, error) {
	text, _, err := s.literal()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errScan
	}
	return n, nil
}

func (s *scanner) secret(secret *[SecretSize]byte) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	var buf [2 * SecretSize]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(SecretSize) {
		return errScan
	}
	if n, err := base64.RawURLEncoding.Decode(buf[:], text); err != nil || n != SecretSize {
		return errScan
	}
	*secret = [SecretSize]byte(buf[:])
	return nil
}
