package sessions

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"
)

// Maximum sizes of text in requests, in bytes.
const (
	maxUserID   = 255
	maxClientID = 255
	maxReason   = 500
	maxAgent    = 255
)

// CheckUserID returns nil if s can be a user id: 1 to maxUserID bytes of UTF-8 without control,
// format (including bidi), invisible and surrogate characters, U+FFFD, and white space at its ends.
// Ids are compared byte for byte; they are not trimmed, folded or normalized. The error is
// ErrUserID.
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

// cleanText reports whether s is printable UTF-8. This keeps text that could forge a log line, or
// hide in one, out of rows, tokens and headers.
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

// clip makes text from a client fit for a row: it replaces unprintable characters by '?' and
// truncates long text.
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

// invisible are characters that are not drawn: those from which Default_Ignorable_Code_Point is
// derived (Unicode Standard Annex #44), and the few that are drawn as a blank but are not white
// space.
var invisible = rangetable.Merge(
	unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Cf,
	rangetable.New(
		'\u2800',     // braille pattern blank
		'\U00013441', // Egyptian hieroglyph full blank
		'\U00013442', // Egyptian hieroglyph half blank
		'\U00016FE4', // Khitan small script filler
		'\U0001D159', // musical symbol null notehead
	),
)

func isInvisible(r rune) bool { return r >= 0x80 && unicode.Is(invisible, r) }

// fold maps all spellings that a lenient app could treat as the same name to one. They may differ
// in case (in any language), compatibility forms (NFKC), white space, dashes and invisible
// characters. The result is not for display.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	for range maxFolds {
		folded := foldOnce(s)
		if folded == s {
			break
		}
		s = folded
	}
	return s
}

// maxFolds is more than the number of folds until the text stops changing: 2, as far as known, and
// one to detect that.
const maxFolds = 8

// foldOnce folds to upper case and then to lower case, since some letters are equal only in upper
// case (ı and i) and others only in lower case (K and the Kelvin sign). A combining dot above a
// letter that already has one is a remnant of the Turkish İ.
func foldOnce(s string) string {
	s = cases.Fold().String(cases.Upper(language.Und).String(norm.NFKD.String(s)))
	var out strings.Builder
	dotted := false
	for _, r := range norm.NFKD.String(s) {
		switch {
		case isInvisible(r):
			continue
		case r >= 0x80 && unicode.IsSpace(r):
			r = ' '
		case r >= 0x80 && unicode.Is(unicode.Dash, r): // hyphens, minus signs and the like
			r = '-'
		case !unicode.Is(unicode.M, r):
			dotted = unicode.Is(unicode.Soft_Dotted, r)
		case r == '\u0307' && dotted:
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// randomID returns 128 random bits in base64url.
func randomID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails: it crashes the process instead
	return encodeID(raw[:])
}

// encodeID returns an id in base64url that begins with a letter or a digit: a command would take
// any other for an option.
func encodeID(raw []byte) string {
	const dash = 62 << 2 // the first byte of an id that would begin with - or _
	if raw[0] >= dash {
		raw[0] &^= 1 << 7
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}
