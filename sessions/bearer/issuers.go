package bearer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// A source is the issuer that a token names: the trusted issuer, its name in the token, and its
// name in rules.
type source struct {
	*issuer
	name   string
	trust  *sessions.Trust
	tenant string // if the name matches a pattern
}

// A pattern is an issuer name in which one path segment, the tenant, is open.
type pattern struct {
	before, after string
	issuer        *issuer
}

// ErrPattern means that an issuer name has a "*" in the wrong place.
var ErrPattern = errors.New("* stands for one whole segment of the path, once")

// parsePattern parses a name with one "*" that is a whole segment of its path.
func parsePattern(name string, i *issuer) (pattern, error) {
	before, after, _ := strings.Cut(name, "*")
	_, path, rooted := strings.Cut(before, "://")
	host, _, segmented := strings.Cut(path, "/")
	switch {
	case !rooted || !segmented || host == "" || !strings.HasSuffix(before, "/"), after != "" && after[0] != '/', strings.Contains(after, "*"):
		return pattern{}, fmt.Errorf("%q: %w", name, ErrPattern)
	}
	return pattern{before: before, after: after, issuer: i}, nil
}

// tenant returns the segment of a name where the pattern is open.
func (p *pattern) tenant(name string) (tenant string, ok bool) {
	rest, ok := strings.CutPrefix(name, p.before)
	if !ok {
		return "", false
	}
	tenant, ok = strings.CutSuffix(rest, p.after)
	return tenant, ok && isTenant(tenant)
}

// maxTenant is the maximum length of a tenant's name, in bytes.
const maxTenant = 128

const unreserved = letters + "-._~"

// isTenant reports whether a segment can be a tenant's name: it contains only unreserved URL
// characters (RFC 3986 section 2.3).
func isTenant(segment string) bool {
	return segment != "" && len(segment) <= maxTenant && strings.Trim(segment, ".") != "" && strings.Trim(segment, unreserved) == ""
}

// overlap reports whether some name matches both a and b, which are names or patterns.
func overlap(a, b string) bool {
	first, second := strings.Split(a, "/"), strings.Split(b, "/")
	if len(first) != len(second) {
		return false
	}
	for i, segment := range first {
		other := second[i]
		switch {
		case segment == other, segment == "*" && isTenant(other), other == "*" && isTenant(segment):
		default:
			return false
		}
	}
	return true
}

// CheckNames returns the index of the first issuer with a name that is invalid or belongs to
// another issuer, and the reason; -1 and nil if there is none. It looks only at names.
func CheckNames(issuers []Issuer) (at int, err error) {
	v := &Verifier{issuers: make(map[string]*issuer, len(issuers))}
	for at := range issuers {
		if err := v.add(&issuer{Issuer: issuers[at]}); err != nil {
			return at, err
		}
	}
	return -1, nil
}

// TrustedAs returns the name that rules use for an issuer (see Issuer.Issuers) with this name in
// its tokens; ok is false if the name is not configured.
func (i *Issuer) TrustedAs(name string) (trust string, ok bool) {
	v := &Verifier{issuers: make(map[string]*issuer)}
	if v.add(&issuer{Issuer: *i, trust: sessions.Trust{Name: i.Name}}) != nil {
		return "", false
	}
	from, ok := v.source(name)
	if !ok {
		return "", false
	}
	return from.trust.Name, true
}

// add registers the names of an issuer. No other issuer may have them, since each has its own keys.
func (v *Verifier) add(i *issuer) error {
	for _, name := range append([]string{i.Name}, i.Issuers...) {
		open := name != i.Name && strings.Contains(name, "*")
		if v.taken(name, i, open) {
			return fmt.Errorf("%q is named twice, or is the name of another issuer", name)
		}
		if !open {
			v.issuers[name] = i
			continue
		}
		p, err := parsePattern(name, i)
		if err != nil {
			return err
		}
		v.patterns = append(v.patterns, p)
	}
	if i.Header != "" && !slices.Contains(v.headers, i.Header) {
		v.headers = append(v.headers, i.Header)
	}
	i.at = uint16(len(v.all)) // New limits the number of issuers
	v.all = append(v.all, i)
	return nil
}

// taken reports whether a name, or a pattern if open is set, belongs to another issuer, or would
// make a token match two tenants.
func (v *Verifier) taken(name string, i *issuer, open bool) bool {
	for known, owner := range v.issuers {
		if known == name || owner != i && overlap(known, name) {
			return true
		}
	}
	for _, p := range v.patterns {
		if overlap(p.before+"*"+p.after, name) && (open || p.issuer != i) {
			return true
		}
	}
	return false
}

// sourceOf returns the trusted issuer that the token names. Only its keys are tried.
func (v *Verifier) sourceOf(claims sessions.Claims) (source, error) {
	if claims == nil {
		return source{}, &Refusal{Reason: ReasonClaims, err: jose.ErrClaims}
	}
	iss, has := claims["iss"]
	if !has {
		return source{}, refuse(ReasonUnknownIssuer)
	}
	name, ok := iss.(string)
	if !ok {
		return source{}, refuse(ReasonClaims)
	}
	if from, ok := v.source(name); ok {
		return from, nil
	}
	return source{}, &Refusal{Reason: ReasonUnknownIssuer, Claimed: name}
}

// source returns the source for an "iss"; ok is false if it is not trusted.
func (v *Verifier) source(name string) (from source, ok bool) {
	if i := v.issuers[name]; i != nil {
		return source{i, name, &i.trust, ""}, true
	}
	for i := range v.patterns {
		p := &v.patterns[i]
		if tenant, ok := p.tenant(name); ok {
			trust := p.issuer.trust
			trust.Name, trust.Users = name, trust.Users && slices.Contains(p.issuer.Tenants, tenant)
			return source{p.issuer, name, &trust, tenant}, true
		}
	}
	return source{}, false
}

// anyTenant stands for any tenant in the issuer of a key.
const anyTenant = "{tenantid}"

// has reports whether a key may verify tokens of the source: in a key set that several issuers
// share, a key can name its issuer. It may use any spelling of the issuer, and for a tenant those
// that contain its name.
func (s *source) has(key *jose.Key) bool {
	of := key.Issuer()
	return of == "" || s.matchesIssuer(s.Name, of) || slices.ContainsFunc(s.Issuers, func(name string) bool { return s.matchesIssuer(name, of) })
}

// matchesIssuer reports whether the issuer of a key is the source, given one of the configured
// names.
func (s *source) matchesIssuer(name, of string) bool {
	open := name != s.Name && strings.Contains(name, "*")
	switch {
	case open != (s.tenant != ""):
		return false
	case open:
		return of == strings.Replace(name, "*", s.tenant, 1) || of == strings.Replace(name, "*", anyTenant, 1)
	case of == name || !strings.Contains(of, anyTenant):
		return of == name
	}
	p, err := parsePattern(strings.Replace(of, anyTenant, "*", 1), nil)
	if err != nil {
		return false
	}
	_, ok := p.tenant(name)
	return ok
}

// Trust returns the trust for the callers of an issuer, by its name in their tokens; nil if it is
// not trusted.
func (v *Verifier) Trust(issuer string) *sessions.Trust {
	if from, ok := v.source(issuer); ok && !from.Own {
		return from.trust
	}
	return nil
}
