package forward

import (
	"net/http"
	"slices"
	"strings"
)

// DropCookies removes the cookies that are refresh tokens of the issuer; of those of that
// name, however an app may read it, each that says it is a token of the issuer and is not
// keep, and all of them where drop is set. Others stay as they are, byte for byte.
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
		for part := range pieces(cookie) {
			if ours, refresh := Claims(part, issuer); refresh || ours && named {
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

// isName reports whether an app may read the name of a cookie as that one. PHP decodes it, takes
// what follows a bracket for the index of an array, and dots, blanks and brackets for underscores.
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

// DropNamed removes the cookies of those names from the request, however an app may read them, and
// those whose names begin with prefix. Others stay as they are, byte for byte.
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

// dropCookies removes the cookies that are bad.
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
