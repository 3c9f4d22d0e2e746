package redisstore

import (
	"context"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"authsidecar/sessions/internal/calls"
)

// warn logs settings that make acknowledged writes less durable than they should be. Nothing is
// logged if the server does not reveal its settings.
func (s *Store) warn(ctx context.Context) error {
	ctx, cancel := calls.Bounded(ctx, s.opts.Timeout)
	defer cancel()
	for addr, node := range s.client.Nodes() {
		settings := readSettings(ctx, node)
		for _, warning := range settings.warnings() {
			s.opts.Log.Warn(warning, "addr", addr)
		}
	}
	return ctx.Err()
}

// settings are the relevant settings of a server; "" if unknown.
type settings map[string]string

func readSettings(ctx context.Context, node rueidis.Client) settings {
	asked := []string{"appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy"}
	found, err := node.Do(ctx, node.B().ConfigGet().Parameter(asked...).Build()).AsStrMap()
	if err == nil {
		return found
	}
	// Not every user may use CONFIG. INFO contains most of it.
	found = make(settings)
	info, err := node.Do(ctx, node.B().Info().Section("persistence", "memory").Build()).ToString()
	if err != nil {
		return found
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "aof_enabled":
			found["appendonly"] = map[string]string{"0": "no", "1": "yes"}[value]
		case "maxmemory":
			found["maxmemory"] = value
		case "maxmemory_policy":
			found["maxmemory-policy"] = value
		}
	}
	return found
}

func (c settings) warnings() (all []string) {
	save, known := c["save"]
	switch {
	case c["appendonly"] == "no" && known && save == "":
		all = append(all, "the server persists nothing: all sessions, and who was revoked, are lost when it restarts; set appendonly yes")
	case c["appendonly"] == "no":
		all = append(all, "the server persists now and then only: what is acknowledged may be lost when it crashes, revocations too; set appendonly yes")
	case c["appendfsync"] == "no":
		all = append(all, "appendfsync is no: what is acknowledged may be lost when the machine crashes, revocations too")
	}
	limit, _ := strconv.ParseInt(c["maxmemory"], 10, 64)
	if policy := c["maxmemory-policy"]; limit > 0 && policy != "" && policy != "noeviction" {
		all = append(all, "the server may evict sessions, and who was revoked, when its memory is full: set maxmemory-policy noeviction")
	}
	return all
}
