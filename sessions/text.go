package sessions

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of text in requests, in bytes.
const (
	maxUserID   = 255
	maxClientID = 255
	maxReason   = 500
	maxAgent    = 255
)

// CheckUserID reports whether s can be a user id: 1 to maxUserID bytes of UTF-8,
// no control, format (which bidi is), invisible and surrogate characters, no U+FFFD,
// and no white space at its ends. Ids are compared byte for byte; nothing is
// trimmed, folded or normalised. The error is ErrUserID.
func CheckUserID(s string) error {
	if s == "" || len(s) > maxUserID || !cleanText(s) || strings.ContainsFunc(s, isInvisible) {
		return ErrUserID
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return ErrUserID
	}
	return nil
}

// cleanText reports whether s is UTF-8 that prints: it keeps what could forge a
// log line or hide in one out of rows, tokens and headers.
func cleanText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && (r == utf8.RuneError || !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r)) || r == 0x7f {
			return false
		}
	}
	return true
}

// clip makes text that a client chose fit for a row: what does not print
// becomes '?', and the rest of a long one is cut.
func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	if cleanText(s) {
		return s
	}
	clean := make([]rune, 0, len(s))
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		clean = append(clean, r)
	}
	return string(clean)
}
