package sessions

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"
)

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
