package placeholder

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

var (
	// known are the placeholders that have a value when a configuration is provisioned.
	known = regexp.MustCompile(`\{(?:env|file)\.[^{}]+\}`)
	// parts are what a text with braces is made of.
	parts = regexp.MustCompile(`\\[{}]|` + known.String() + `|[{}]`)
	// likely is what looks like a placeholder of Caddy's, and like nothing else.
	likely = regexp.MustCompile(`\{[a-z_]+\.[^{}:"']+\}|\{\$[^{}]+\}`)
)

// ErrRefused means that a text takes no placeholders.
var ErrRefused = errors.New("placeholders are not known here: write the value, or {$NAME}, which is read when the Caddyfile is")

// Errors of texts that take some. None repeats the text, which may hold a secret.
var (
	errUnknown = errors.New(`braces are for placeholders that have a value when Caddy starts: write {env.NAME} or {file./path}, or \{ and \} for the braces themselves`)
	errNested  = errors.New("a placeholder gives another one: write that one, or the value")
	errSeveral = errors.New("a placeholder gives several words in the middle of one: let it give one, or make it a word of its own")
	errCommas  = errors.New("a placeholder gives words with commas: put blanks or line ends between them")
)

// In reports whether the text has a brace, and so what somebody could take for a
// placeholder.
func In(text string) bool { return strings.ContainsAny(text, "{}") }

// Pending reports whether the text has a placeholder that Resolve replaces.
func Pending(text string) bool { return known.MatchString(text) }

// Alone reports whether the text is one such placeholder and nothing else.
func Alone(text string) bool {
	at := known.FindStringIndex(text)
	return at != nil && at[0] == 0 && at[1] == len(text)
}

// check says what is wrong with a text that is resolved later.
func check(text string) error {
	for _, part := range parts.FindAllString(text, -1) {
		if part == "{" || part == "}" {
			return errUnknown
		}
	}
	return nil
}

// Resolve replaces the placeholders of the text: those of the environment, and of files,
// without the line end that closes them. One that gives nothing, or blanks, is an error.
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

// resolveList replaces the placeholders of each text. One that is a text of its own gives
// as many as it has words.
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
