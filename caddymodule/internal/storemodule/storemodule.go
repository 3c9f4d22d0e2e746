// Package storemodule is what the store modules for servers (redis, postgres) have in common.
package storemodule

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions"
)

// A Syntax is the Caddyfile syntax of a store module:
//
//	<name> [<address>] {
//		<word> <values...>
//	}
type Syntax struct {
	Name    string
	Store   any // to be filled; its placeholders are checked
	Address func(address string) error
	TooMuch string // what to write instead of several addresses
	Words   map[string]func(values []string) error
}

// Unmarshal parses the tokens. Its errors name the line.
func (s *Syntax) Unmarshal(d *caddyfile.Dispenser) error {
	fail := func(err error) error { return d.Errf("store %s%v", s.Name, err) }
	d.Next() // consume the name
	if d.NextArg() {
		if err := s.checked(s.Address(d.Val())); err != nil {
			return fail(err)
		}
	}
	if d.NextArg() {
		return fail(fmt.Errorf(" is followed by too much: write %s", s.TooMuch))
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		word := d.Val()
		read, known := s.Words[word]
		switch {
		case !known:
			return fail(fmt.Errorf(": unknown word %q: known are %s", word, strings.Join(slices.Sorted(maps.Keys(s.Words)), ", ")))
		case seen[word]:
			return fail(fmt.Errorf(": %s is there twice: remove one", word))
		}
		seen[word] = true
		if err := s.checked(read(d.RemainingArgs())); err != nil {
			return fail(err)
		}
	}
	return nil
}

// checked returns the error, or that of a placeholder, in the form that follows the name of the
// store.
func (s *Syntax) checked(err error) error {
	if err == nil {
		err = placeholder.Check(s.Store)
	}
	if err != nil && !strings.HasPrefix(err.Error(), " ") {
		err = fmt.Errorf(": %w", err)
	}
	return err
}

// One returns a parser for a word with one value.
func One(word string, set func(value string) error) func(values []string) error {
	return func(values []string) error {
		switch {
		case len(values) == 0 || values[0] == "":
			return fmt.Errorf("%s needs a value", word)
		case len(values) > 1:
			return fmt.Errorf("%s takes one value: put it in quotes if it has blanks", word)
		default:
			return set(values[0])
		}
	}
}

// Text returns a parser for a word whose value is a string.
func Text(word string, into *string) func(values []string) error {
	return One(word, func(value string) error { *into = value; return nil })
}

// Secret returns a parser for a word whose value must be stored elsewhere.
func Secret(word string, into *string) func(values []string) error {
	return One(word, func(value string) error {
		if !placeholder.Alone(value) {
			return ErrLiteralPassword
		}
		*into = value
		return nil
	})
}

// Count returns a parser for a word whose value is a number from 1 to most.
func Count(word string, most int, into *int) func(values []string) error {
	return One(word, func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > most {
			return fmt.Errorf("%s is a number of 1 to %d, not %q", word, most, value)
		}
		*into = n
		return nil
	})
}

// Duration returns a parser for a word whose value is a duration.
func Duration(word string, into *caddy.Duration) func(values []string) error {
	return One(word, func(value string) error {
		d, err := caddy.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("%s is a duration such as 5s, not %q", word, value)
		}
		*into = caddy.Duration(d)
		return nil
	})
}

// ErrLiteralPassword means that the configuration contains a password itself.
var ErrLiteralPassword = fmt.Errorf("this is the password itself: keep it out of the Caddyfile and write where it is, {env.NAME} or {file./path}")

// Resolve resolves the placeholders in the store's configuration.
func Resolve(name string, store any) error { return Wrap(name, placeholder.ResolveAll(store)) }

// Wrap adds the name of the store to the error.
func Wrap(name string, err error) error {
	if err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

// Key returns a hash of everything that a store is opened with.
func Key(name string, options ...any) string {
	var all []byte
	for _, option := range options {
		all = fmt.Appendf(all, "%q ", fmt.Sprint(option))
	}
	return fmt.Sprintf("%s %x", name, sha256.Sum256(all))
}

// Open opens a store, and adds its name to the error.
func Open[S sessions.Store, O any](ctx context.Context, name string, open func(context.Context, O) (S, error), options O) (sessions.Store, error) {
	store, err := open(ctx, options)
	if err != nil {
		return nil, Wrap(name, err)
	}
	return store, nil
}

// Log returns the logger of a store.
func Log(logger *zap.Logger) *slog.Logger {
	return slog.New(zapslog.NewHandler(logger.Named("store").Core()))
}
