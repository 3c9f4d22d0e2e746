package caddymodule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
)

// detail tells what a check looked at: what the token says, and what is wanted.
func (s *site) detail(check bearer.Check, made *bearer.Explanation) string {
	issuer := s.issuerOf(made)
	switch check {
	case bearer.CheckHeader:
		if made.Header.Algorithm == "" {
			return "" // it could not be read
		}
		return keyName(made.Header)
	case bearer.CheckIssuer:
		return s.issuerDetail(made.Claims)
	case bearer.CheckKey:
		return s.keysFrom[issuer.Name]
	case bearer.CheckType:
		return fmt.Sprintf("typ %s", said(made.Header.Type))
	case bearer.CheckAudience:
		return fmt.Sprintf("it is for %s; we are %s", claimText(made.Claims["aud"]), strings.Join(issuer.Audiences, ", "))
	case bearer.CheckTimes:
		return timesDetail(made.Claims, time.Now())
	case bearer.CheckSubject:
		return fmt.Sprintf("sub %s, client %s", claimText(made.Claims["sub"]), claimText(firstOf(made.Claims, "client_id", "azp")))
	default:
		return ""
	}
}

// issuerOf is the one that the token claims to be from; none is empty.
func (s *site) issuerOf(made *bearer.Explanation) bearer.Issuer {
	at := slices.IndexFunc(s.issuers, func(i bearer.Issuer) bool { return made.Claims["iss"] == any(i.Name) })
	if at < 0 {
		return bearer.Issuer{}
	}
	return s.issuers[at]
}

func (s *site) issuerDetail(claims sessions.Claims) string {
	if claims == nil {
		trusted := make([]string, 0, len(s.issuers))
		for _, i := range s.issuers {
			trusted = append(trusted, i.Name)
		}
		return "trusted are " + strings.Join(trusted, ", ")
	}
	return claimText(claims["iss"])
}

func timesDetail(claims sessions.Claims, now time.Time) string {
	var parts []string
	for _, name := range []string{"iat", "nbf", "exp"} {
		value, has := claims[name]
		if !has {
			continue
		}
		seconds, ok := value.(int64)
		if !ok {
			parts = append(parts, name+" "+claimText(value))
			continue
		}
		at := time.Unix(seconds, 0).UTC()
		near := "now"
		if at.Before(now) {
			near = ago(at, now)
		} else if at.After(now) {
			near = ahead(at, now)
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s)", name, at.Format(time.RFC3339), near))
	}
	return strings.Join(parts, ", ")
}

func firstOf(claims sessions.Claims, names ...string) any {
	for _, name := range names {
		if value, has := claims[name]; has {
			return value
		}
	}
	return nil
}

func said(text string) string {
	if text == "" {
		return "none"
	}
	return fmt.Sprintf("%q", text)
}

// claimText writes a claim for people, and not all of a long one.
func claimText(value any) string {
	if value == nil {
		return "nothing"
	}
	data, err := json.Marshal(value)
	if err != nil {
		return "something"
	}
	if len(data) > 300 {
		return string(data[:300]) + "…"
	}
	return string(data)
}
