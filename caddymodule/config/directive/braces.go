package directive

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"authsidecar/caddymodule/config"
)

// An openBlock is a block that is being parsed.
type openBlock struct {
	name  string
	line  int // where it begins
	known words
}

// unknownWord returns the error for an unknown word in the innermost block. If that block may have
// been meant to end before, it says so: Caddy does not count braces.
func (p *parser) unknownWord(word string) error {
	last := len(p.open) - 1
	block := p.open[last]
	known := slices.Collect(maps.Keys(block.known))
	for _, outer := range slices.Backward(p.open[:last]) {
		if outer.known[word] != nil {
			hint := fmt.Sprintf("it is a word of %s: is a } missing for %s, which begins in line %d? ", outer.name, block.name, block.line)
			return p.unknown(block.name, word, nearest(word, known)+hint, known)
		}
	}
	hint := nearest(word, known)
	if hint == "" && last == 0 { // what follows the whole directive is a word of nothing here
		hint = fmt.Sprintf("if it does not belong in %s, which begins in line %d, a } is missing before it; ", block.name, block.line)
	}
	return p.unknown(block.name, word, hint, known)
}

// unknown returns the error for an unknown word, with a hint and the known ones.
func (p *parser) unknown(block, word, hint string, known []string) error {
	return p.Errf("%s: unknown word %q: %sknown are %s", block, word, hint, strings.Join(slices.Sorted(slices.Values(known)), ", "))
}

// nearest returns a hint if a known word is spelled like this one.
func nearest(word string, known []string) string {
	if near := config.Nearest(word, slices.Sorted(slices.Values(known))); near != "" {
		return "did you mean " + near + "? "
	}
	return ""
}

// closesHere reports whether the rest of the line has a brace that was meant to close a block. Caddy
// takes it for a value.
func (p *parser) closesHere() bool {
	rest := *p.Dispenser
	for rest.NextArg() {
		if rest.Val() == "}" && !rest.Token().Quoted() {
			return true
		}
	}
	return false
}
