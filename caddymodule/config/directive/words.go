package directive

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/internal/placeholder"
)

// words are the words of a block, each with the parser of what follows it.
type words map[string]func() error

// block parses the block that follows, if there is one. It refuses unknown words, duplicate words
// unless they are repeatable, and surplus arguments. at is the name of the block in faults.
func (p *parser) block(at string, known words, repeatable ...string) error {
	name, _, _ := strings.Cut(at, ".")
	if name == "" {
		name = Word
	}
	defer func(outer string) { p.name = outer }(p.name)
	p.name = name
	p.open = append(p.open, openBlock{name: name, line: p.Line(), known: known})
	defer func() { p.open = p.open[:len(p.open)-1] }()
	if p.NextArg() {
		return p.Errf("%s has too many words before its brace: remove the extra ones", name)
	}
	before := make(map[string]string) // where each word is, and what to do about a duplicate
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		word, line := p.Val(), p.Line()
		read, ok := known[word]
		if !ok {
			return p.unknownWord(word)
		}
		if p.closesHere() {
			return p.Errf("%s: the } after %s must be in a line of its own", name, word)
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

// OpensBlock reports whether the next token on this line is an opening brace.
func OpensBlock(d *caddyfile.Dispenser) bool {
	next := *d
	for next.NextArg() {
	}
	return !next.NextLine() && next.Next()
}

// next returns the value of a word; example is one for the error.
func (p *parser) next(example string) (string, error) {
	word := p.Val()
	if !p.NextArg() || p.Val() == "" {
		return "", p.Errf("%s: %s needs a value, as in: %s %s", p.name, word, word, example)
	}
	return p.Val(), nil
}

// literal is next for a value that may not be a placeholder.
func (p *parser) literal(example string) (string, error) {
	word := p.Val()
	value, err := p.next(example)
	if err == nil && placeholder.In(value) {
		err = p.Errf("%s: %s: %w", p.name, word, placeholder.ErrRefused)
	}
	return value, err
}

// fields adds the words for fields of a struct: those with the tag example, by their JSON names. If
// the example is a placeholder, the value is a secret.
func (p *parser) fields(into any, more words) words {
	v := reflect.ValueOf(into).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		example, ok := tag.Lookup("example")
		if !ok {
			continue
		}
		word, _, _ := strings.Cut(tag.Get("json"), ",")
		more[word] = func() error {
			if placeholder.Alone(example) {
				return p.secret(v.Field(i).Addr().Interface().(*string), example)
			}
			return p.value(v.Field(i).Addr().Interface(), example)
		}
	}
	return more
}

// value parses what follows a word into a field of its type. A pointer is set if the word is
// present.
func (p *parser) value(into any, example string) (err error) {
	switch into := into.(type) {
	case *bool:
		*into = true
	case *string:
		*into, err = p.next(example)
	case *[]string:
		var first string
		first, err = p.next(example)
		*into, p.mend = append([]string{first}, p.RemainingArgs()...), "write all its values on one line"
	case *int:
		err = p.number(into, 1, "whole number above 0", example)
	case **int:
		*into = new(int)
		err = p.number(*into, 0, "whole number", example)
	case **caddy.Duration:
		*into = new(caddy.Duration)
		err = p.duration(*into, example)
	case *caddy.Duration:
		word := p.Val()
		if err = p.duration(into, example); err == nil && *into == 0 {
			return p.Errf("%s: %s is zero: write it as in: %s %s", p.name, word, word, example)
		}
	default: // an optional block
		block := reflect.New(reflect.TypeOf(into).Elem().Elem())
		reflect.ValueOf(into).Elem().Set(block)
		return p.block(p.Val(), p.fields(block.Interface(), words{}))
	}
	return err
}

// parse parses a value of a kind that may not be a placeholder.
func (p *parser) parse(example, kind string, parse func(string) error) error {
	word := p.Val()
	value, err := p.literal(example)
	if err == nil && parse(value) != nil {
		return p.Errf("%s: %s %q is not a %s: write it as in: %s %s", p.name, word, value, kind, word, example)
	}
	return err
}

// number parses a whole number, least or more.
func (p *parser) number(into *int, least uint64, kind, example string) error {
	return p.parse(example, kind, func(value string) error {
		n, err := strconv.ParseUint(value, 10, 63)
		if *into = int(n); n < least {
			return strconv.ErrRange
		}
		return err
	})
}

// duration parses a duration, which may be zero.
func (p *parser) duration(into *caddy.Duration, example string) error {
	word := p.Val()
	err := p.parse(example, "duration", func(value string) error {
		d, err := caddy.ParseDuration(value)
		*into = caddy.Duration(d)
		return err
	})
	if err == nil && *into < 0 {
		return p.Errf("%s: %s %q is negative: write it as in: %s %s", p.name, word, p.Val(), word, example)
	}
	return err
}

// secret parses where a secret is stored. The secret itself is refused, since a Caddyfile and its
// JSON are stored and shown in many places. No message repeats it.
func (p *parser) secret(into *string, example string) error {
	word := p.Val()
	value, err := p.next(example)
	if err == nil && !placeholder.Alone(value) {
		return p.Errf("%s: %w", p.name, SecretItself(word))
	}
	*into = value
	return err
}

// SecretItself returns the error for a secret that stands in a Caddyfile, in place of where it is.
func SecretItself(word string) error {
	return fmt.Errorf("this is the %s itself: keep it out of the Caddyfile and write where it is, {env.NAME} or {file./path} ({$NAME} would copy it in)", word)
}
