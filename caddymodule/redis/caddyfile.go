package redis

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/config/directive"
	"authsidecar/caddymodule/internal/placeholder"
)

// inURL matches a password, which must be in the environment or in a file instead.
var inURL = regexp.MustCompile(`^[A-Za-z]+://[^/@:]*:([^@]+)@`)

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
	return directive.ReadStore(d, "redis [<url>]", s, s.address, map[string]func([]string) error{"wait": s.wait})
}

// address parses a URL, which must not contain a password.
func (s *Store) address(url string) error {
	if url == "" {
		return errors.New("the URL is empty: leave it away for redis://127.0.0.1:6379")
	}
	if found := inURL.FindStringSubmatch(url); found != nil && !placeholder.Alone(found[1]) {
		return directive.SecretItself("password")
	}
	s.URL = url
	return nil
}

// wait parses the number of replicas and the timeout.
func (s *Store) wait(values []string) error {
	if len(values) != 2 {
		return errors.New("wait needs how many replicas, and how long: wait 1 500ms")
	}
	n, err := strconv.Atoi(values[0])
	if err != nil || n < 1 || n > maxReplicas {
		return fmt.Errorf("wait is for 1 to %d replicas, not %q", maxReplicas, values[0])
	}
	timeout, err := caddy.ParseDuration(values[1])
	if err != nil || timeout <= 0 {
		return fmt.Errorf("wait ends after a duration such as 500ms, not %q", values[1])
	}
	s.WaitReplicas, s.WaitTimeout = n, caddy.Duration(timeout)
	return nil
}
