package config

import (
	"fmt"
	"net/url"

	"authsidecar/sessions/cors"
)

func (b *Block) checkCORS() error {
	if b.CORS == nil {
		return nil
	}
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

func (b *Block) warnCORS() (found []string) {
	for _, origin := range b.CORS {
		if u, err := url.Parse(origin); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
			found = append(found, fmt.Sprintf("cors %s: plain http: whoever is on the way to that page can make its scripts theirs, and they read tokens; serve it by https", origin))
		}
	}
	return found
}
