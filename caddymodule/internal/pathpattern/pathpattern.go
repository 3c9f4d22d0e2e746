// Package pathpattern matches paths as Caddy's path matcher does.
package pathpattern

import (
	"path"
	"slices"
	"strings"
)

// A Set is a set of patterns in the form of Caddy's path matcher, in lower case. It is for
// canonical paths, which need no cleaning for each pattern.
type Set []string

// New returns a set of patterns.
func New(patterns []string) Set {
	lower := make(Set, len(patterns))
	for i, pattern := range patterns {
		lower[i] = strings.ToLower(pattern)
	}
	return lower
}

// Match reports whether one of the patterns matches a canonical path, ignoring case.
func (ps Set) Match(p string) bool {
	p = strings.ToLower(p)
	return slices.ContainsFunc(ps, func(pattern string) bool { return matchesPattern(pattern, p) })
}

func matchesPattern(pattern, p string) bool {
	stars := strings.Count(pattern, "*")
	before, after := strings.HasPrefix(pattern, "*"), strings.HasSuffix(pattern, "*")
	switch {
	case pattern == "*":
		return true
	case stars == 2 && before && after:
		return strings.Contains(p, pattern[1:len(pattern)-1])
	case stars == 1 && before:
		return strings.HasSuffix(p, pattern[1:])
	case stars == 1 && after:
		return strings.HasPrefix(p, pattern[:len(pattern)-1])
	default:
		match, err := path.Match(pattern, p)
		return match && err == nil
	}
}

// Check returns why a pattern can match no path, or others than it seems to; "" if it is fine.
func Check(pattern string) string {
	plain := strings.ReplaceAll(pattern, "*", "x")
	switch {
	case !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "*"):
		return "starts neither with a slash nor with a star"
	case strings.ContainsAny(pattern, `%;?#\[]`):
		return `has one of % ; ? # \ [ ]`
	case strings.ContainsFunc(pattern, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "has a blank"
	case path.Clean("/"+plain) != "/"+strings.Trim(plain, "/"):
		return "has empty or dotted segments"
	}
	return ""
}
