package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// overrideHeaders are headers with which an app may treat a request as one with another method.
var overrideHeaders = [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// overridden reports whether something in the request could make an app treat it as one with
// another method.
func overridden(r *http.Request) bool {
	for name := range r.Header {
		if isOverride(name) {
			return true
		}
	}
	return strings.ContainsAny(r.URL.RawQuery, queryTwins)
}

// headerTwins are characters that some gateways turn into a hyphen in the name of a header, and
// queryTwins those that PHP turns into an underscore in the name of a parameter, or drops.
var headerTwins = strings.NewReplacer("_", "-", ".", "-")

const queryTwins = "_.[%+"

func isOverride(name string) bool {
	if len(name) < len("X-Http-Method") || name[0] != 'X' {
		return false
	}
	name = headerTwins.Replace(name)
	return slices.ContainsFunc(overrideHeaders[:], func(o string) bool { return strings.EqualFold(o, name) })
}

// DropOverrides removes what could make an app treat the request as one with another method:
// headers and their variants, and the parameter _method.
func DropOverrides(r *http.Request) {
	for name := range r.Header {
		if isOverride(name) {
			delete(r.Header, name)
		}
	}
	if !strings.ContainsAny(r.URL.RawQuery, queryTwins) {
		return
	}
	all := strings.FieldsFunc(r.URL.RawQuery, func(c rune) bool { return c == '&' || c == ';' })
	if kept := slices.DeleteFunc(slices.Clone(all), isMethodParameter); len(kept) < len(all) {
		r.URL.RawQuery = strings.Join(kept, "&")
	}
}

func isMethodParameter(part string) bool {
	name, _, _ := strings.Cut(part, "=")
	decoded, err := url.QueryUnescape(name)
	return err == nil && (isMethodName(decoded) || isMethodName(strings.TrimLeft(decoded, " ")))
}

// isMethodName reports whether an app may read the name of a parameter as _method. PHP truncates it
// at a NUL, and treats what follows a bracket as an array index.
func isMethodName(name string) bool {
	const method = "_method"
	name, _, _ = strings.Cut(name, "\x00")
	return len(name) >= len(method) && strings.ContainsAny(name[:1], "_.[ ") &&
		strings.EqualFold(name[1:len(method)], method[1:]) && (len(name) == len(method) || name[len(method)] == '[')
}
