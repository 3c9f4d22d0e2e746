package urlpath

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold replaces each character of p that looks like another by that one: it folds compatibility
// characters (NFKC) and removes blanks and format characters. It returns p itself if nothing
// changes.
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
