package bearer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// A source is whose a token says that it is: a trusted issuer, by the name that the
// token has for it, and what rules call that.
type source struct {
	*issuer
	name   string
	trust  *sessions.Trust
	tenant string // of a name that a pattern stands for
}

// A pattern is a name of issuers with one path segment left open: the tenant.
type pattern struct {
	before, after string
	issuer        *issuer
}

// ErrPattern means that a name of issuers has a "*" where none may be.
var ErrPattern = errors.New("* stands for one whole segment of the path, once")

// parsePattern reads a name with one "*", which is a whole segment of its path.
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

// tenant returns what a name has where the pattern is open.
func (p *pattern) tenant(name string) (tenant string, ok bool) {
	rest, ok := strings.CutPrefix(name, p.before)
	if !ok {
		return "", false
	}
	tenant, ok = strings.CutSuffix(rest, p.after)
	return tenant, ok && isTenant(tenant)
}

// maxTenant is how many bytes a tenant's name may have.
const maxTenant = 128

// isTenant reports whether a segment can be the name of a tenant: it is written in
// characters that mean nothing else in a URL (RFC 3986 section 2.3).
func isTenant(segment string) bool {
	if segment == "" || len(segment) > maxTenant || strings.Trim(segment, ".") == "" {
		return false
	}
	for i := range len(segment) {
		if c := segment[i]; !base64url(c) && c != '.' && c != '~' {
			return false
		}
	}
	return true
}

func base64url(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// overlap reports whether a name could be of both patterns, or names.
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

// CheckNames returns the place of the first issuer one of whose names is another's, or
// can be none, and why; -1 and nil where there is none. Only names are looked at.
func CheckNames(issuers []Issuer) (at int, err error) {
	v := &Verifier{issuers: make(map[string]*issuer, len(issuers))}
	for at := range issuers {
		if err := v.add(&issuer{Issuer: issuers[at]}); err != nil {
			return at, err
		}
	}
	return -1, nil
}

// TrustedAs returns what rules call an issuer (see Issuer.Issuers) of which the
// configuration has this name; ok is false where it has not.
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

// add makes the verifier know an issuer by its names, which no other one has: each
// issuer has keys of its own.
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
	i.at = uint16(len(v.all)) // New refuses more than fit
	v.all = append(v.all, i)
	return nil
}

// taken reports whether the issuer may not have a name, or an open pattern of them: it
// is another's, or a token would be of two tenants.
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

// sourceOf finds the trusted issuer that the token claims to be from, to try
// its keys and no others.
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

// source returns whose a token is that has this "iss"; ok is false for one that is not
// trusted.
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

// anyTenant stands for one in the issuer of a key.
const anyTenant = "{tenantid}"

// has reports whether the source signs with a key, as far as the key says whose it is:
// issuers that publish one set have keys of their own in it. All spellings are one
// issuer; of a tenant, those with its name in them.
func (s *source) has(key *jose.Key) bool {
	of := key.Issuer()
	return of == "" || s.calls(s.Name, of) || slices.ContainsFunc(s.Issuers, func(name string) bool { return s.calls(name, of) })
}

// calls reports whether a key of this issuer is the source's by a name of the
// configuration.
func (s *source) calls(name, of string) bool {
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

// Trust returns what is configured of the callers of an issuer, by the name that their
// tokens have for it; nil for one that is not trusted.
func (v *Verifier) Trust(issuer string) *sessions.Trust {
	if from, ok := v.source(issuer); ok && !from.Own {
		return from.trust
	}
	return nil
}
