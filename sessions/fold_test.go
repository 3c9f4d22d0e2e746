package sessions

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/runenames"
)

// everyRune calls look with each character that a user id or a protected name could hold.
func everyRune(look func(rune)) {
	for r := rune(0x20); r <= unicode.MaxRune; r++ {
		if r != unicode.ReplacementChar && (r < 0xd800 || r > 0xdfff) {
			look(r)
		}
	}
}

// spellings are what software of any language makes of a name when it means the same.
func spellings(s string) map[string]string {
	all := map[string]string{
		"title": strings.ToTitle(s), "upper, simple": strings.ToUpper(s), "lower, simple": strings.ToLower(s),
		"upper, Turkish special": strings.ToUpperSpecial(unicode.TurkishCase, s), "lower, Turkish special": strings.ToLowerSpecial(unicode.TurkishCase, s),
		"NFC": norm.NFC.String(s), "NFD": norm.NFD.String(s), "NFKC": norm.NFKC.String(s), "NFKD": norm.NFKD.String(s),
	}
	for what, caser := range casers {
		all[what] = caser.String(s)
	}
	return all
}

var casers = func() map[string]cases.Caser {
	all := map[string]cases.Caser{"folded": cases.Fold()}
	for _, tag := range []string{"und", "tr", "az", "lt", "nl"} {
		lang := language.MustParse(tag)
		all["upper, "+tag], all["lower, "+tag] = cases.Upper(lang), cases.Lower(lang)
	}
	return all
}()

func TestFold_EverySpellingOfEveryCharacterIsOne(t *testing.T) {
	t.Parallel()
	for _, mark := range []string{"", "\u0327"} { // beside a cedilla, order matters
		var names []string
		everyRune(func(r rune) {
			if underRace && r >= 0x3000 {
				return // nearly all that have several spellings are below
			}
			name := "a" + string(r) + mark + "b"
			if !unicode.IsPrint(r) && !unicode.IsSpace(r) || mark != "" && hasIotaBelow(name) {
				return // in no user id
			}
			names = append(names, name)
			for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
				variant := "a" + string(other) + mark + "b"
				if fold(variant) != fold(name) && (mark == "" || !hasIotaBelow(variant)) {
					t.Errorf("%q is %q, and %q is %q", name, fold(name), variant, fold(variant))
				}
			}
		})
		for batch := range slices.Chunk(names, 256) {
			if len(wrongFolds(strings.Join(batch, " "))) == 0 {
				continue
			}
			t.Errorf("%q to %q: a name is folded in two ways", batch[0], batch[len(batch)-1])
			for _, name := range batch {
				for _, wrong := range wrongFolds(name) {
					t.Error(wrong)
				}
			}
		}
	}
}

// wrongFolds says which spellings of a name are folded to something else. Most are the name.
func wrongFolds(name string) (wrong []string) {
	want := fold(name)
	all := spellings(name)
	all["folded for protect"] = want
	folded := map[string]string{name: want}
	for what, s := range all {
		got, known := folded[s]
		if !known {
			got = fold(s)
			folded[s] = got
		}
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s: %q is %q, folds to %q and not %q", what, name, s, got, want))
		}
	}
	return wrong
}

// hasIotaBelow reports whether there is an iota below a letter, which is a letter of its
// own above: marks that followed it then stand at another letter, so that what the
// Unicode Standard calls a caseless match (D145) depends on their order.
func hasIotaBelow(s string) bool { return strings.ContainsRune(norm.NFKD.String(s), '\u0345') }

func TestFold_OfASCIIIsTheSameTheShortWay(t *testing.T) {
	for r := rune(0x20); r < 0x7f; r++ {
		if long := foldOnce("x" + string(r)); long != fold("x"+string(r)) {
			t.Errorf("%q: %q", r, long)
		}
	}
}

// ignorable reports whether a character has the property Default_Ignorable_Code_Point,
// by the formula of DerivedCoreProperties.txt.
func ignorable(r rune) bool {
	if unicode.Is(unicode.White_Space, r) || unicode.Is(unicode.Prepended_Concatenation_Mark, r) || r >= 0xfff9 && r <= 0xfffb || r >= 0x13430 && r <= 0x13440 {
		return false
	}
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Cf, unicode.Variation_Selector)
}

func TestH2_WhatNobodySeesIsInNoUserIDAndHidesNone(t *testing.T) {
	p := Policy{Protect: []string{"root", "admin-*"}}
	seen := 0
	everyRune(func(r rune) {
		if !ignorable(r) {
			return
		}
		seen++
		for _, id := range []string{"ro" + string(r) + "ot", string(r) + "root", "ROOT" + string(r), "adm" + string(r) + "in-1", string(r)} {
			if err := CheckUserID(id); !errors.Is(err, ErrUserID) {
				t.Errorf("%U: %q: %v, want ErrUserID", r, id, err)
			}
			if id != string(r) && !p.protected(id) {
				t.Errorf("%U: %q is not protected", r, id)
			}
		}
	})
	if seen < 4000 { // 4174 in Unicode 15, most of them reserved
		t.Errorf("%d characters were looked at", seen)
	}
}

// What Unicode calls invisible is refused, also where no property says so.
func TestH2_WhatIsNamedForBeingInvisibleIsInNoUserID(t *testing.T) {
	visible := map[rune]string{
		0x1806: "a hyphen", 0x2422: "the symbol ␢", 0xa8f9: "a sign of Devanagari", 0x10af6: "a line", 0x1144e: "a sign of Newa",
		0x11945: "a sign of Dives Akuru", 0x11c44: "a sign of Bhaiksuki", 0x11c45: "another one", 0x11f48: "a sign of Kawi",
	}
	everyRune(func(r rune) {
		name := runenames.Name(r)
		for _, word := range []string{"BLANK", "FILLER", "INVISIBLE", "ZERO WIDTH", "NULL NOTEHEAD", "VARIATION SELECTOR", "WORD JOINER", "GRAPHEME JOINER", "SOFT HYPHEN"} {
			if _, known := visible[r]; strings.Contains(name, word) && !known && CheckUserID("a"+string(r)+"b") == nil {
				t.Errorf("%U %s is accepted", r, name)
			}
		}
	})
}

func TestProtect_SeesThroughSpellings(t *testing.T) {
	t.Parallel()
	p := Policy{Protect: []string{"root", "admin-*", "İstanbul", "straße", "sys op"}}
	for _, id := range []string{
		"root", "ROOT", "ｒｏｏｔ", "ro\u034fot", "root\ufe0f", "\u3164root", "ro\u2800ot", "ro\u180bot", "r\U000e0100oot", "ro\u00adot",
		"admin-1", "ADMIN-1", "admın-1", "ADMİN-1", "admi\u0307n-1", "ADMI\u0307N-1", "adm\u1d62n-1", "Ａdmin-x", "admin-",
		"istanbul", "ISTANBUL", "ıstanbul", "İSTANBUL", "STRASSE", "STRAẞE", "ſtraſſe", "sys\u00a0op", "SYS\u3000OP", "sys\u1680op", "ﬆraße",
		"admin\u20101", "admin\u20111", "admin\u20121", "admin\u20131", "admin\u20141", "admin\u20151", "admin\u22121",
	} {
		if !p.protected(id) {
			t.Errorf("%q is not protected", id)
		}
	}
	admins := Policy{Protect: []string{"admin-*"}}
	everyRune(func(r rune) {
		if id := "admin" + string(r) + "1"; admins.protected(id) != unicode.Is(unicode.Dash, r) {
			t.Errorf("%q is protected %v", id, admins.protected(id))
		}
	})
	for _, id := range []string{"roof", "toor", "r\u00f6\u00f6t", "\u0440oot", "admin", "xadmin-1", "istanbul2", "sysop", "strase"} {
		if p.protected(id) {
			t.Errorf("%q is protected", id)
		}
	}
}

// Of two spellings that some software takes for one, both are protected or none is.
func FuzzFold(f *testing.F) {
	for _, seed := range []string{"admın-1", "ADMİN", "i\u0323\u0307\u0307", "ǅ", "ΐ", "\u1fd3\u0301", "ＡＢＣ", "ﬃ", "\u3164\u2800x", "İ\u1734", "İ\u0328\u0307"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s = strings.ToValidUTF8(s, ""); hasIotaBelow(s) {
			return
		}
		for _, wrong := range wrongFolds(s) {
			t.Error(wrong)
		}
	})
}
