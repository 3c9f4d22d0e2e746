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

// invisible are the characters that nobody sees: those of which
// Default_Ignorable_Code_Point is made (Unicode Standard Annex #44), and the few that
// are drawn as a blank and are no white space.
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

// fold maps all spellings that a lenient app could take for the same name to one: those
// that differ by case, in any language, by compatibility (NFKC), by which white space
// and which dashes they have, and by what nobody sees. It is not for showing.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	for range mostFolds {
		folded := foldOnce(s)
		if folded == s {
			break
		}
		s = folded
	}
	return s
}

// mostFolds is more than it takes until folding again changes nothing: 2, as is known,
// and one to see that.
const mostFolds = 8

// foldOnce folds upwards and then down, since some letters meet only above (ı and i), and
// others only below (K and the sign of Kelvin). A dot above a letter that has one anyway
// is what is left of the Turkish İ.
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
		case r >= 0x80 && unicode.Is(unicode.Dash, r): // hyphens, minus and the like
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
	_, _ = rand.Read(raw[:]) // it never fails: it ends the process instead
	return encodeID(raw[:])
}

// encodeID returns an id in base64url that begins with a letter or a digit: a command would take
// another for an option.
func encodeID(raw []byte) string {
	const dash = 62 << 2 // the first byte of what begins with - or _
	if raw[0] >= dash {
		raw[0] &^= 1 << 7
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}
