package placeholder

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

var (
	// known matches placeholders that have a value when a configuration is provisioned.
	known = regexp.MustCompile(`\{(?:env|file)\.[^{}]+\}`)
	// parts matches the relevant parts of a string with braces.
	parts = regexp.MustCompile(`\\[{}]|` + known.String() + `|[{}]`)
	// likelyPlaceholder matches what is most likely a Caddy placeholder.
	likelyPlaceholder = regexp.MustCompile(`\{[a-z_]+\.[^{}:"']+\}|\{\$[^{}]+\}`)
)

// ErrRefused means that a string does not accept placeholders.
var ErrRefused = errors.New("placeholders are not known here: write the value, or {$NAME}, which is read when the Caddyfile is")

// Errors of strings that accept placeholders. None repeats the string, which may contain a secret.
var (
	errUnknown = errors.New(`braces are for placeholders that have a value when Caddy starts: write {env.NAME} or {file./path}, or \{ and \} for the braces themselves`)
	errNested  = errors.New("a placeholder gives another one: write that one, or the value")
	errSeveral = errors.New("a placeholder gives several words in the middle of one: let it give one, or make it a word of its own")
	errCommas  = errors.New("a placeholder gives words with commas: put blanks or line ends between them")
)

// In reports whether the string contains a brace, and so perhaps a placeholder.
func In(text string) bool { return strings.ContainsAny(text, "{}") }

// Pending reports whether the string contains a placeholder that Resolve replaces.
func Pending(text string) bool { return known.MatchString(text) }

// Alone reports whether the string is a single such placeholder.
func Alone(text string) bool {
	at := known.FindStringIndex(text)
	return at != nil && at[0] == 0 && at[1] == len(text)
}

// check returns what is wrong with a string that is resolved later.
func check(text string) error {
	for _, part := range parts.FindAllString(text, -1) {
		if part == "{" || part == "}" {
			return errUnknown
		}
	}
	return nil
}

// Resolve replaces the placeholders in the string with the values of environment variables, and the
// contents of files without the final line break. An empty value is an error.
func Resolve(text string) (string, error) {
	if err := check(text); err != nil || !In(text) {
		return text, err
	}
	values := caddy.NewReplacer()
	var empty string
	resolved := parts.ReplaceAllStringFunc(text, func(part string) string {
		if part[0] == '\\' {
			return part[1:]
		}
		value, _ := values.GetString(part[1 : len(part)-1])
		if strings.TrimSpace(value) == "" {
			empty = part
		}
		return strings.TrimRight(value, "\r\n")
	})
	switch {
	case empty != "":
		return "", fmt.Errorf("%s gives nothing: set it before Caddy starts", empty)
	case Pending(resolved):
		return "", errNested
	}
	return resolved, nil
}

// resolveList resolves each string. A placeholder that is an item of its own gives an item for each
// word of its value.
func resolveList(texts []string) ([]string, error) {
	resolved := make([]string, 0, len(texts))
	for _, text := range texts {
		value, err := Resolve(text)
		switch words := strings.Fields(value); {
		case err != nil:
			return nil, err
		case !Pending(text):
			resolved = append(resolved, value)
		case strings.Contains(value, ","):
			return nil, errCommas
		case len(words) > 1 && !Alone(text):
			return nil, errSeveral
		default:
			resolved = append(resolved, words...)
		}
	}
	return resolved, nil
}
