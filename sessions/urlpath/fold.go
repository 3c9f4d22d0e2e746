package urlpath

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold returns p with each letter that looks like another, or like nothing, as what it
// looks like: compatibility characters folded (NFKC), blanks and format characters
// dropped. It returns p itself where there are none.
func Fold(p string) string {
	if isPrintableASCII(p) {
		return p
	}
	return strings.Map(dropBlank, norm.NFKC.String(strings.ToValidUTF8(p, "")))
}

func isPrintableASCII(p string) bool {
	for i := range len(p) {
		if p[i] <= ' ' || p[i] >= 0x7f {
			return false
		}
	}
	return true
}

func dropBlank(r rune) rune {
	if r <= ' ' || r == 0x7f || r == utf8.RuneError || unicode.In(r, unicode.Cf, unicode.Zs, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return -1
	}
	return r
}
