package config

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/cors"
)

// A fault is an error in a configuration.
type fault struct {
	at  string // where, in the form of CheckConfigured
	err error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// wrong returns a fault at that place.
func wrong(at, format string, args ...any) error {
	return &fault{at: at, err: fmt.Errorf(format, args...)}
}

// Check checks a configuration whose defaults are set, as far as possible without reading a file or
// using the network. Its errors are faults.
func (b *Block) Check() error {
	checks := []func() error{
		b.checkIssuer, b.checkPath, b.checkTrusts, b.checkRules, b.checkProtect,
		b.checkAccessToken, b.checkRefreshToken, b.checkSession, b.checkImpersonation, b.checkGuards, b.checkSigningKeys, b.checkClaims, b.checkIdentity, b.checkBrowser, b.checkAudit, b.checkHealth, b.checkCORS, b.checkOAuth, b.checkDiscovery,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (b *Block) checkIssuer() error {
	if b.Issuer == "" {
		return wrong("issuer", "issuer is missing: write the issuer of the tokens that are minted here, as in: issuer https://app.example.com")
	}
	u, err := absoluteURL(b.Issuer)
	if err != nil {
		return wrong("issuer", "issuer: %w", err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return wrong("issuer", "issuer %q has a query: remove it", b.Issuer)
	}
	return nil
}

// absoluteURL parses an http or https URL, which must be in normal form and have no user and no
// fragment. No error repeats a password.
func absoluteURL(s string) (*url.URL, error) {
	shown := strconv.Quote(s)
	if strings.Contains(s, "@") {
		shown = "the URL"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%s is not absolute: write it with https:// and the host", shown)
	case u.User != nil:
		return nil, fmt.Errorf("%s has a user: remove what is before the @", shown)
	case strings.Contains(s, "#"):
		return nil, fmt.Errorf("%s has a fragment: remove the # and what follows", shown)
	case u.String() != s:
		return nil, fmt.Errorf("%s has several spellings: write it as %s", shown, u)
	}
	return u, nil
}

func (b *Block) checkPath() error {
	if why := pathProblem(b.Path); why != "" {
		return wrong("path", "path %q %s: write an absolute path, as in: path /auth/sessions", b.Path, why)
	}
	return nil
}

// pathProblem returns why p cannot be one of our paths; "" if it can.
func pathProblem(p string) string {
	switch {
	case !strings.HasPrefix(p, "/"):
		return "does not start with a slash"
	case p == "/":
		return "is the whole site"
	case strings.Contains(p, "*"):
		return "has a wildcard"
	case strings.ContainsAny(p, `%;?#\`):
		return `has one of % ; ? # \`
	case strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "has a blank or a character outside ASCII"
	case strings.HasSuffix(p, "/") || strings.HasSuffix(p, "."):
		return "ends in a slash or a dot"
	case path.Clean(p) != p:
		return "has empty or dotted segments"
	}
	return ""
}

func (b *Block) checkProtect() error {
	if b.Protect != nil && len(b.Protect) == 0 {
		return wrong("protect", "protect names nobody: name user ids, or remove it")
	}
	for i, pattern := range b.Protect {
		if sessions.CheckUserID(pattern) != nil {
			return wrong("protect", "protect: %q cannot be a user id: correct it or remove it", pattern)
		}
		if slices.Contains(b.Protect[:i], pattern) {
			return wrong("protect", "protect names %q twice: remove one", pattern)
		}
	}
	return nil
}

func (b *Block) checkCORS() error {
	if err := checkList("cors", "cors", b.CORS); err != nil {
		return err
	}
	for _, origin := range b.CORS {
		if err := cors.Check(origin); err != nil {
			return wrong("cors", "cors %s: %w", origin, err)
		}
	}
	return nil
}

// checkList refuses a list that is empty, or has empty or repeated values. A nil list is fine.
func checkList(at, what string, list []string) error {
	if list != nil && len(list) == 0 {
		return wrong(at, "%s names nothing: name at least one", what)
	}
	for i, value := range list {
		if value == "" {
			return wrong(at, "%s has an empty value: write one, or remove it", what)
		}
		if slices.Contains(list[:i], value) {
			return wrong(at, "%s names %q twice: remove one", what, value)
		}
	}
	return nil
}

// Nearest returns the known word that was probably meant, or "".
func Nearest(word string, known []string) string {
	best, least := "", 3
	for _, candidate := range known {
		if d := distance(word, candidate); d < least && d <= len(candidate)/3 {
			best, least = candidate, d
		}
	}
	return best
}

// distance counts the letters to insert, remove or replace between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// names lists names for a message.
func names[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, name := range list {
		words[i] = string(name)
	}
	return strings.Join(words, ", ")
}
