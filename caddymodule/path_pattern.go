package caddymodule

import (
	"path"
	"slices"
	"strings"
)

// pathPatterns are patterns of Caddy's path matcher, in lower case. They match canonical
// paths as that does, which have no need to be cleaned again for each pattern.
type pathPatterns []string

func newPathPatterns(patterns []string) pathPatterns {
	lower := make(pathPatterns, len(patterns))
	for i, pattern := range patterns {
		lower[i] = strings.ToLower(pattern)
	}
	return lower
}

// match reports whether one of the patterns matches a canonical path, in any case.
func (ps pathPatterns) match(p string) bool {
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
