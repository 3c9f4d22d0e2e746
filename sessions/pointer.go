package sessions

import (
	"strconv"
	"strings"
)

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// Find returns the claim of that name. A name that starts with "/" is a JSON
// pointer (RFC 6901) into nested claims.
func (c Claims) Find(name string) (any, bool) {
	if !strings.HasPrefix(name, "/") {
		value, ok := c[name]
		return value, ok
	}
	var at any = map[string]any(c)
	for part := range strings.SplitSeq(name[1:], "/") {
		part = unescapePointer.Replace(part)
		switch node := at.(type) {
		case map[string]any:
			next, ok := node[part]
			if !ok {
				return nil, false
			}
			at = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(node) || strconv.Itoa(i) != part {
				return nil, false
			}
			at = node[i]
		default:
			return nil, false
		}
	}
	return at, true
}

// topLevel returns the top-level claim that a name or pointer leads into.
func topLevel(name string) string {
	if !strings.HasPrefix(name, "/") {
		return name
	}
	first, _, _ := strings.Cut(name[1:], "/")
	return unescapePointer.Replace(first)
}
