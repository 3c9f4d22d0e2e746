package forward

import (
	"net/http"
	"slices"
	"strings"
)

// DropCookies removes cookies with refresh tokens of the issuer. Of the cookies with the given
// name, in any form that an app may accept, it also removes those that claim to be tokens of the
// issuer, except keep, and all of them if drop is set. Other cookies are left unchanged, byte for
// byte.
func DropCookies(r *http.Request, issuer, name, keep string, drop bool) {
	bad := func(cookie string) bool {
		before, value, _ := strings.Cut(cookie, "=")
		named := name != "" && isName(strings.Trim(before, " \t"), name)
		if named && drop {
			return true
		}
		if !mayHoldToken(cookie) || named && keep != "" && strings.Trim(value, " \t\"") == keep {
			return false
		}
		for part := range tokenParts(cookie) {
			if ours, refresh := ClaimsIssuer(part, issuer); refresh || ours && named {
				return true
			}
		}
		return false
	}
	if !slices.ContainsFunc(r.Header["Cookie"], func(value string) bool { return drop || mayHoldToken(value) }) {
		return
	}
	dropCookies(r.Header, bad)
}

// isName reports whether an app may take the name of a cookie for name. PHP decodes names, treats
// what follows a bracket as an array index, and turns dots, blanks and brackets into underscores.
func isName(read, name string) bool {
	if read == name {
		return true
	}
	if decoded := unescape(read); decoded != "" {
		read = strings.TrimLeft(decoded, " ")
	}
	read, _, _ = strings.Cut(read, "\x00")
	if len(read) < len(name) || len(read) > len(name) && read[len(name)] != '[' {
		return false
	}
	for i := range len(name) {
		if read[i] != name[i] && (name[i] != '_' || !strings.ContainsRune("._ [", rune(read[i]))) {
			return false
		}
	}
	return true
}

// DropNamed removes cookies with these names, in any form that an app may accept, and cookies whose
// names begin with prefix. Other cookies are left unchanged, byte for byte.
func DropNamed(header http.Header, names []string, prefix string) {
	dropCookies(header, func(cookie string) bool {
		name, _, _ := strings.Cut(cookie, "=")
		name = strings.Trim(name, " \t")
		return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) || slices.ContainsFunc(names, func(ours string) bool { return strings.EqualFold(name, ours) || isName(name, ours) })
	})
}

func mayHoldToken(cookie string) bool {
	return strings.Contains(cookie, tokenStart) || strings.Contains(cookie, "%")
}

// dropCookies removes the cookies for which bad returns true.
func dropCookies(header http.Header, bad func(cookie string) bool) {
	values := header["Cookie"]
	kept := values[:0]
	for _, value := range values {
		if left := strings.Join(slices.DeleteFunc(strings.Split(value, ";"), bad), ";"); strings.Trim(left, " \t") != "" {
			kept = append(kept, strings.TrimLeft(left, " \t"))
		}
	}
	if header["Cookie"] = kept; len(kept) == 0 {
		delete(header, "Cookie")
	}
}
