package redis

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/caddymodule/internal/storemodule"
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
	syntax := storemodule.Syntax{
		Name: name, Store: s, Address: s.address, TooMuch: "store redis [<url>]",
		Words: map[string]func([]string) error{
			"password":          storemodule.Secret("password", &s.Password),
			"sentinel_user":     storemodule.Text("sentinel_user", &s.SentinelUser),
			"sentinel_password": storemodule.Secret("sentinel_password", &s.SentinelPassword),
			"ca":                storemodule.Text("ca", &s.CA),
			"prefix":            storemodule.Text("prefix", &s.Prefix),
			"wait":              s.wait,
			"max_calls":         storemodule.Count("max_calls", mostCalls, &s.MaxCalls),
			"timeout":           storemodule.Duration("timeout", &s.Timeout),
		},
	}
	return syntax.Unmarshal(d)
}

// address parses a URL, which must not contain a password.
func (s *Store) address(url string) error {
	if url == "" {
		return errors.New(" has an empty URL: leave it away for redis://127.0.0.1:6379")
	}
	if found := inURL.FindStringSubmatch(url); found != nil && !placeholder.Alone(found[1]) {
		return storemodule.ErrLiteralPassword
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
	if err != nil || n < 1 || n > mostReplicas {
		return fmt.Errorf("wait is for 1 to %d replicas, not %q", mostReplicas, values[0])
	}
	timeout, err := caddy.ParseDuration(values[1])
	if err != nil || timeout <= 0 {
		return fmt.Errorf("wait ends after a duration such as 500ms, not %q", values[1])
	}
	s.WaitReplicas, s.WaitTimeout = n, caddy.Duration(timeout)
	return nil
}
