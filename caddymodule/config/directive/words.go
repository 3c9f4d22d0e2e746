package directive

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/internal/placeholder"
)

// words are what a block knows: each reads what follows it.
type words map[string]func() error

// block reads the block that follows, if one does. It refuses words that it does
// not know, that stand there a second time (unless they may be repeated), and
// what a word leaves behind. at is the name that faults give the block.
func (p *parser) block(at string, known words, repeatable ...string) error {
	name, _, _ := strings.Cut(at, ".")
	if name == "" {
		name = Word
	}
	defer func(outer string) { p.name = outer }(p.name)
	p.name = name
	if p.NextArg() {
		return p.Errf("%s has too many words before its brace: remove the extra ones", name)
	}
	before := make(map[string]string) // where a word stands, and what to do about another
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		word, line := p.Val(), p.Line()
		read, ok := known[word]
		if !ok {
			return p.unknown(name, word, slices.Collect(maps.Keys(known)))
		}
		if first, again := before[word]; again && !slices.Contains(repeatable, word) {
			return p.Errf("%s: %s is given twice, first in line %s", name, word, first)
		}
		p.mend = keepOne
		p.mark(strings.TrimPrefix(at+"."+word, "."))
		if err := read(); err != nil {
			return err
		}
		before[word] = strconv.Itoa(line) + ": " + p.mend
		if p.NextArg() {
			return p.Errf("%s: %s is followed by too many words: remove the extra ones, or put values with blanks in quotes", name, word)
		}
		if OpensBlock(p.Dispenser) {
			return p.Errf("%s: %s takes no block: remove the braces", name, word)
		}
	}
	p.mend = keepOne
	return nil
}

const keepOne = "keep one"

// OpensBlock reports whether the next thing on this line is an open brace.
func OpensBlock(d *caddyfile.Dispenser) bool {
	next := *d
	for next.NextArg() {
	}
	return !next.NextLine() && next.Next()
}

// unknown says that a word is not known, and which are.
func (p *parser) unknown(block, word string, known []string) error {
	slices.Sort(known)
	hint := ""
	if near := config.Nearest(word, known); near != "" {
		hint = "did you mean " + near + "? "
	}
	return p.Errf("%s: unknown word %q: %sknown are %s", block, word, hint, strings.Join(known, ", "))
}

// next loads the value of a word; example is one.
func (p *parser) next(example string) (string, error) {
	word := p.Val()
	if !p.NextArg() || p.Val() == "" {
		return "", p.Errf("%s: %s needs a value, as in: %s %s", p.name, word, word, example)
	}
	return p.Val(), nil
}

// text reads one value.
func (p *parser) text(into *string, example string) func() error {
	return func() (err error) {
		*into, err = p.next(example)
		return err
	}
}

// list reads one or more values.
func (p *parser) list(into *[]string, example string) func() error {
	return func() error {
		first, err := p.next(example)
		if err != nil {
			return err
		}
		*into, p.mend = append([]string{first}, p.RemainingArgs()...), "write all its values on one line"
		return nil
	}
}

// flag reads a word that has no value.
func (*parser) flag(into *bool) func() error {
	return func() error {
		*into = true
		return nil
	}
}

// literal is next for a value that has to be known now.
func (p *parser) literal(example string) (string, error) {
	word := p.Val()
	value, err := p.next(example)
	if err == nil && placeholder.In(value) {
		err = p.Errf("%s: %s: %w", p.name, word, placeholder.ErrRefused)
	}
	return value, err
}

// durationOrZero reads a duration that may be zero.
func (p *parser) durationOrZero(into **caddy.Duration, example string) func() error {
	return func() error {
		word := p.Val()
		value, err := p.literal(example)
		if err != nil {
			return err
		}
		d, err := caddy.ParseDuration(value)
		if err != nil {
			return p.Errf("%s: %s %q is not a duration: write it as in: %s %s", p.name, word, value, word, example)
		}
		if d < 0 {
			return p.Errf("%s: %s %q is negative: write it as in: %s %s", p.name, word, value, word, example)
		}
		made := caddy.Duration(d)
		*into = &made
		return nil
	}
}

// duration reads a duration that may not be zero.
func (p *parser) duration(into *caddy.Duration, example string) func() error {
	return func() error {
		word := p.Val()
		var d *caddy.Duration
		if err := p.durationOrZero(&d, example)(); err != nil {
			return err
		}
		if *d == 0 {
			return p.Errf("%s: %s is zero: write it as in: %s %s", p.name, word, word, example)
		}
		*into = *d
		return nil
	}
}

// count reads a whole number.
func (p *parser) count(into **int, example string) func() error {
	return func() error {
		word := p.Val()
		value, err := p.literal(example)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return p.Errf("%s: %s %q is not a whole number: write it as in: %s %s", p.name, word, value, word, example)
		}
		*into = &n
		return nil
	}
}

// secret reads where a secret is to be found. The secret itself is refused: a
// Caddyfile, and the JSON it becomes, are kept and shown in many places. No
// message repeats it.
func (p *parser) secret(into *string) func() error {
	return func() error {
		word := p.Val()
		value, err := p.next("{env.IDP_HMAC}")
		if err != nil {
			return err
		}
		if !placeholder.Alone(value) {
			return p.secretItself(word)
		}
		*into = value
		return nil
	}
}

func (p *parser) secretItself(word string) error {
	return p.Errf("%s: this is the %s itself: keep it out of the Caddyfile and write where it is, {env.NAME} or {file./path} ({$NAME} would copy it in)", p.name, word)
}
