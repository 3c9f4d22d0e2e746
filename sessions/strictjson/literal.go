package strictjson

import (
	"bytes"
	"unicode/utf8"
)

// plain tells the bytes of a string that stand for themselves and are ASCII.
var plain = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// text reads a string; raw is what stands between the quotes.
func (s *scanner) text() (raw []byte, escaped bool, err error) {
	s.at++
	begin, wide := s.at, false
	for {
		for s.at < len(s.data) && plain[s.data[s.at]] {
			s.at++
		}
		if s.at >= len(s.data) {
			return nil, false, ErrSyntax
		}
		switch c := s.data[s.at]; {
		case c == '"':
			raw = s.data[begin:s.at]
			s.at++
			if wide && !utf8.Valid(raw) {
				return nil, false, ErrEncoding
			}
			return raw, escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		case c < ' ':
			return nil, false, ErrSyntax
		default:
			wide = true
			s.at++
		}
	}
}

// escape reads an escape, and of a surrogate pair both halves.
func (s *scanner) escape() error {
	if s.at+1 >= len(s.data) {
		return ErrSyntax
	}
	if s.data[s.at+1] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), s.data[s.at+1]) < 0 {
			return ErrSyntax
		}
		s.at += 2
		return nil
	}
	unit, err := s.unit()
	if err != nil || unit < 0xd800 || unit > 0xdfff {
		return err
	}
	if unit >= 0xdc00 || s.at+1 >= len(s.data) || s.data[s.at] != '\\' || s.data[s.at+1] != 'u' {
		return ErrEncoding
	}
	if unit, err = s.unit(); err == nil && (unit < 0xdc00 || unit > 0xdfff) {
		err = ErrEncoding
	}
	return err
}

// unit reads the UTF-16 code unit that a \u escape stands for.
func (s *scanner) unit() (unit int, err error) {
	s.at += 2
	if len(s.data)-s.at < 4 {
		return 0, ErrSyntax
	}
	for _, c := range s.data[s.at : s.at+4] {
		switch {
		case c >= '0' && c <= '9':
			unit = unit<<4 | int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			unit = unit<<4 | int(c|0x20-'a'+10)
		default:
			return 0, ErrSyntax
		}
	}
	s.at += 4
	return unit, nil
}

// number reads a number (RFC 8259 section 6).
func (s *scanner) number() error {
	if s.is('-') {
		s.at++
	}
	first := s.at
	if n := s.digits(); n == 0 || n > 1 && s.data[first] == '0' {
		return ErrSyntax
	}
	if s.is('.') {
		s.at++
		if s.digits() == 0 {
			return ErrSyntax
		}
	}
	if s.is('e') || s.is('E') {
		s.at++
		if s.is('+') || s.is('-') {
			s.at++
		}
		if s.digits() == 0 {
			return ErrSyntax
		}
	}
	return nil
}

func (s *scanner) is(c byte) bool { return s.at < len(s.data) && s.data[s.at] == c }

func (s *scanner) digits() (n int) {
	for ; s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9'; s.at++ {
		n++
	}
	return n
}
