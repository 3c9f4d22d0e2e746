package redis

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/internal/placeholder"
)

// words are those of the block.
var words = []string{"ca", "max_calls", "password", "prefix", "sentinel_password", "sentinel_user", "timeout", "wait"}

// A password stands elsewhere: in the environment, or in a file.
var (
	inURL = regexp.MustCompile(`^[A-Za-z]+://[^/@:]*:([^@]+)@`)
)

const literalPassword = "store redis: the password stands here itself: keep it out of the Caddyfile and write where it is, {env.NAME} or {file./path}"

// UnmarshalCaddyfile sets up the store from Caddyfile tokens:
//
//	redis [<url>] {
//		password          <password>
//		sentinel_user     <user>
//		sentinel_password <password>
//		ca                <file>
//		prefix            <text>
//		wait              <replicas> <timeout>
//		max_calls         <count>
//		timeout           <duration>
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the name
	if d.NextArg() {
		if s.URL = d.Val(); s.URL == "" {
			return d.Err("store redis has an empty URL: leave it away for redis://127.0.0.1:6379")
		}
		if found := inURL.FindStringSubmatch(s.URL); found != nil && !placeholder.Alone(found[1]) {
			return d.Err(literalPassword)
		}
		if err := placeholder.Check(s); err != nil {
			return d.Errf("store redis: %v", err)
		}
	}
	if d.NextArg() {
		return d.Err("store redis is followed by too much: write store redis [<url>]")
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		word := d.Val()
		if !slices.Contains(words, word) {
			return d.Errf("store redis: unknown word %q: known are %s", word, strings.Join(words, ", "))
		}
		if seen[word] {
			return d.Errf("store redis: %s is there twice: remove one", word)
		}
		seen[word] = true
		if err := s.line(d, word); err != nil {
			return err
		}
		if err := placeholder.Check(s); err != nil {
			return d.Errf("store redis: %v", err)
		}
	}
	return nil
}

// line reads one line of the block.
func (s *Store) line(d *caddyfile.Dispenser, word string) error {
	values := d.RemainingArgs()
	if word == "wait" {
		return s.wait(d, values)
	}
	if len(values) == 0 || values[0] == "" {
		return d.Errf("store redis: %s needs a value", word)
	}
	if len(values) > 1 {
		return d.Errf("store redis: %s takes one value: put it in quotes if it has blanks", word)
	}
	return s.word(d, word, values[0])
}

func (s *Store) word(d *caddyfile.Dispenser, word, value string) (err error) {
	switch word {
	case "password", "sentinel_password":
		if !placeholder.Alone(value) {
			return d.Err(literalPassword)
		}
		if word == "password" {
			s.Password = value
		} else {
			s.SentinelPassword = value
		}
	case "sentinel_user":
		s.SentinelUser = value
	case "ca":
		s.CA = value
	case "prefix":
		s.Prefix = value
	case "max_calls":
		if s.MaxCalls, err = strconv.Atoi(value); err != nil || s.MaxCalls < 1 || s.MaxCalls > mostCalls {
			return d.Errf("store redis: max_calls is a number of 1 to %d, not %q", mostCalls, value)
		}
	case "timeout":
		timeout, err := caddy.ParseDuration(value)
		if err != nil || timeout <= 0 {
			return d.Errf("store redis: timeout is a duration such as 5s, not %q", value)
		}
		s.Timeout = caddy.Duration(timeout)
	}
	return nil
}

// wait reads how many replicas, and for how long.
func (s *Store) wait(d *caddyfile.Dispenser, values []string) error {
	if len(values) != 2 {
		return d.Err("store redis: wait needs how many replicas, and how long: wait 1 500ms")
	}
	n, err := strconv.Atoi(values[0])
	if err != nil || n < 1 || n > mostReplicas {
		return d.Errf("store redis: wait is for 1 to %d replicas, not %q", mostReplicas, values[0])
	}
	timeout, err := caddy.ParseDuration(values[1])
	if err != nil || timeout <= 0 {
		return d.Errf("store redis: wait ends after a duration such as 500ms, not %q", values[1])
	}
	s.WaitReplicas, s.WaitTimeout = n, caddy.Duration(timeout)
	return nil
}
