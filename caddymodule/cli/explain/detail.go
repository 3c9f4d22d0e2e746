package explain

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"authsidecar/caddymodule/internal/reltime"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// detail returns what a check compared: what the token says, and what is expected.
func (s *Site) detail(check bearer.Check, made *bearer.Explanation) string {
	issuer := s.issuerOf(made)
	switch check {
	case bearer.CheckForm:
		return formDetail(s.token)
	case bearer.CheckHeader:
		if made.Header.Algorithm == "" {
			return headerDetail(s.token)
		}
		return keyName(made.Header)
	case bearer.CheckIssuer:
		return s.issuerDetail(made.Claims)
	case bearer.CheckKey:
		return s.keysFrom[issuer.Name]
	case bearer.CheckType:
		return fmt.Sprintf("typ %s", quotedOrNone(made.Header.Type))
	case bearer.CheckAudience:
		return fmt.Sprintf("aud %s; we are %s", claimText(made.Claims["aud"]), strings.Join(issuer.Audiences, ", "))
	case bearer.CheckTimes:
		return timesDetail(made.Claims, time.Now())
	case bearer.CheckSubject:
		name := userClaim(issuer)
		value, _ := made.Claims.Find(name)
		return fmt.Sprintf("%s %s, client %s", name, claimText(value), claimText(firstOf(made.Claims, "client_id", "azp")))
	case bearer.CheckOnly:
		return strings.Join(s.unmet(made), "; ")
	default:
		return ""
	}
}

// issuerOf returns the issuer that the token names; empty if there is none.
func (s *Site) issuerOf(made *bearer.Explanation) bearer.Issuer {
	name, _ := made.Claims["iss"].(string)
	at := slices.IndexFunc(s.issuers, func(i bearer.Issuer) bool { return isOf(name, i) })
	if at < 0 {
		return bearer.Issuer{}
	}
	return s.issuers[at]
}

// isOf reports whether a token with this iss belongs to that issuer.
func isOf(name string, i bearer.Issuer) bool {
	_, ok := i.TrustedAs(name)
	return ok
}

// trusted returns the trust of the token's issuer; empty for our own.
func (s *Site) trusted(made *bearer.Explanation) Trusted {
	name, _ := made.Claims["iss"].(string)
	at := slices.IndexFunc(s.Trusted, func(t Trusted) bool { return isOf(name, t.Issuer) })
	if at < 0 {
		return Trusted{}
	}
	return s.Trusted[at]
}

// unmet returns the conditions that the token does not satisfy, each with what it has instead.
func (s *Site) unmet(made *bearer.Explanation) []string {
	names := s.trusted(made).OnlyNames
	said := make([]string, 0, len(made.Unmet))
	for _, at := range made.Unmet {
		name := names[at]
		switch fields := strings.Fields(name); fields[0] {
		case "claim":
			value, _ := made.Claims.Find(fields[1])
			name += fmt.Sprintf(", and its %s is %s", fields[1], claimText(value))
		case "scope":
			name += fmt.Sprintf(", and its scopes are %s", claimText(made.Claims.Scopes()))
		}
		said = append(said, "only "+name)
	}
	return said
}

func userClaim(i bearer.Issuer) string { return cmp.Or(i.UserClaim, "sub") }

// formDetail describes the form of a token.
func formDetail(token string) string {
	if parts := strings.Count(token, ".") + 1; parts != 3 || len(token) > jose.MaxTokenSize {
		return fmt.Sprintf("%d bytes, parts between dots: %d", len(token), parts)
	}
	return ""
}

// headerDetail returns what is wrong with an invalid header.
func headerDetail(token string) string {
	_, err := jose.Parse(token)
	members := headerMembers(token)
	if members == nil {
		return "it is not a JSON object"
	}
	for member, cause := range map[string]error{"crit": jose.ErrCritical, "b64": jose.ErrHeaderMember, "alg": jose.ErrAlgorithm, "cty": jose.ErrNested} {
		if errors.Is(err, cause) {
			return member + " " + claimText(members[member])
		}
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// headerMembers returns the members of the token's header; nil if it is not a JSON object.
func headerMembers(token string) (members map[string]any) {
	first, _, _ := strings.Cut(token, ".")
	if data, err := base64.RawURLEncoding.DecodeString(first); err != nil || json.Unmarshal(data, &members) != nil {
		return nil
	}
	return members
}

// isUnsigned reports whether the token is marked as unsigned (RFC 7518 section 3.6).
func isUnsigned(token string) bool {
	alg, _ := headerMembers(token)["alg"].(string)
	return strings.EqualFold(alg, "none")
}

func (s *Site) issuerDetail(claims sessions.Claims) string {
	trusted := make([]string, 0, len(s.issuers))
	for _, i := range s.issuers {
		if name, _ := claims["iss"].(string); isOf(name, i) {
			return claimText(name)
		}
		trusted = append(trusted, i.Name)
	}
	return fmt.Sprintf("it names %s; trusted are %s", claimText(claims["iss"]), strings.Join(trusted, ", "))
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
			near = reltime.Ago(at, now)
		} else if at.After(now) {
			near = reltime.Ahead(at, now)
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

func quotedOrNone(text string) string {
	if text == "" {
		return "none"
	}
	return fmt.Sprintf("%q", text)
}

// claimText formats a claim for people to read, and truncates a long one.
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
