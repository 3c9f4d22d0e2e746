package bearer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/jose"
)

// Limits and defaults of the configuration.
const (
	MaxLeeway          = 5 * time.Minute
	DefaultMaxLifetime = 24 * time.Hour
	MaxMaxLifetime     = 10 * 366 * 24 * time.Hour
	MaxIDTokens        = 24 * time.Hour
	DefaultCacheBytes  = 56 << 20
)

// NoType in Issuer.Types stands for tokens without a "typ" header.
const NoType = "none"

// A KeySource provides the keys of one issuer. It is safe for concurrent use.
type KeySource interface {
	// Key returns the key for a token header. jose.ErrUnknownKey and jose.ErrAlgorithm mean that
	// the token is not valid, ErrKeysUnavailable that it is unknown for now.
	Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error)
	// Version changes when the keys change or must no longer be used. Tokens that were verified
	// with another version are verified again.
	Version() uint64
}

// An Issuer is the configuration of one trusted issuer.
type Issuer struct {
	// Name is the "iss" of its tokens, byte for byte. Required.
	Name string
	// Issuers are further names that use the same keys: spellings of Name, all of which rules call
	// Name, or patterns with one path segment "*" for a tenant. Rules know each tenant by its own
	// name only, so that rules for one tenant never match callers of another.
	Issuers []string
	// Tenants are the tenants whose subjects are user ids of this app, within Users.
	Tenants []string
	// Keys are the issuer's keys, shared with no other issuer. Required.
	Keys KeySource
	// Secret is a set of HMAC keys used beside Keys while an issuer migrates from one to the other.
	// Only they verify tokens with HMAC algorithms, and they verify no others.
	Secret *Static
	// Header is another header that carries the issuer's tokens, beside Authorization; "" for none.
	// See Find.
	Header string
	// Audiences are our names: one of them must be in the "aud" of a token. Required. "*" is not
	// allowed: a token for everybody is not for us.
	Audiences []string
	// AudienceClaims are the claims, by name or JSON pointer (RFC 6901), that stand in for "aud" if
	// it is absent or empty: the first one that the token has decides. By default, tokens without
	// "aud" are refused.
	AudienceClaims []string
	// UserClaim is the claim that identifies the caller, by name or JSON pointer. Its value is a
	// string or a whole number, which counts as its decimal digits. The default is "sub", which
	// must be a string.
	UserClaim string
	// Unverified accepts an email address in UserClaim that the issuer does not mark as verified.
	// Anyone who can enter another person's address at the issuer can then call as that person.
	Unverified bool
	// IDTokens accepts ID tokens too, if they were issued at most this long ago, from 0 to
	// MaxIDTokens. By default, tokens that are marked as ID tokens are refused.
	IDTokens time.Duration
	// Types are the accepted "typ" headers, in any case, with or without "application/" (RFC 7515
	// section 4.1.9); NoType for tokens without one. The default is at+jwt, JWT and none, or at+jwt
	// alone if Own is set. Types of tokens for other purposes, such as rt+jwt, are not allowed.
	Types []string
	// Leeway is how much clocks may differ, from 0 to MaxLeeway.
	Leeway time.Duration
	// MaxLifetime is how far in the future "exp" may be, up to MaxMaxLifetime. The default is
	// DefaultMaxLifetime.
	MaxLifetime time.Duration
	// Users means that the issuer's subjects are user ids of this app. UsersWhen restricts that to
	// callers for whom it holds; nil means all.
	Users     bool
	UsersWhen sessions.Condition
	// Only are conditions that every caller must satisfy. They depend on the caller alone.
	Only []sessions.Condition
	// Own means that the tokens are our own access tokens, which must name their session ("sid").
	Own bool
	// Now is the clock that the tokens are checked with. The default is that of the Config. Our own
	// tokens carry the store's times: use Store.Now.
	Now func() time.Time
}

// A Config is the configuration of a Verifier.
type Config struct {
	// Issuers are the trusted issuers. Names must not repeat. Required.
	Issuers []Issuer
	// CacheBytes is the memory for verified tokens. A seventh of it holds frequent tokens whole,
	// about 4 KiB each; the rest holds marks of all valid tokens with a few packed bytes, 310 bytes
	// each. The default is DefaultCacheBytes; a negative value disables the cache.
	CacheBytes int
	// Now is the clock that tokens are checked with. The default is time.Now.
	Now func() time.Time
	// Observer is called for each verified token. Nil means sessions.Silent.
	Observer sessions.Observer
}

// New validates the configuration and returns a verifier.
func New(c Config) (*Verifier, error) {
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	v := &Verifier{
		issuers: make(map[string]*issuer, len(c.Issuers)), cache: newCache(max(0, c.CacheBytes), clock(c.Now)), observer: c.Observer,
		turns: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	if v.observer == nil {
		v.observer = sessions.Silent{}
	}
	for i := range c.Issuers {
		checked, err := checkIssuer(c.Issuers[i])
		if err != nil {
			return nil, fmt.Errorf("issuer %q: %w", c.Issuers[i].Name, err)
		}
		if checked.Now == nil {
			checked.Now = clock(c.Now)
		}
		if err := v.add(checked); err != nil {
			return nil, fmt.Errorf("issuer %q: %w", checked.Name, err)
		}
	}
	switch {
	case len(v.all) == 0:
		return nil, errors.New("no trusted issuer")
	case len(v.all) > math.MaxUint16:
		return nil, errors.New("too many trusted issuers")
	}
	return v, nil
}

// clock returns now, or the machine's clock.
func clock(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now //nolint:forbidigo // the default of a field Now
	}
	return now
}

// An issuer is a validated Issuer.
type issuer struct {
	Issuer
	types map[string]bool // as mediaType returns them
	trust sessions.Trust  // conditions on callers, under Name
	at    uint16          // index in Verifier.all
}

func checkIssuer(i Issuer) (*issuer, error) {
	switch {
	case i.Name == "":
		return nil, errors.New("no name")
	case i.Keys == nil:
		return nil, errors.New("no keys")
	case i.Secret != nil && !i.Secret.Symmetric():
		return nil, errors.New("the secret has no HMAC key")
	case len(i.Audiences) == 0 || slices.Contains(i.Audiences, "") || slices.Contains(i.Audiences, "*"):
		return nil, errors.New(`no audience, or an empty one, or "*"`)
	case slices.Contains(i.AudienceClaims, ""):
		return nil, errors.New("an audience claim without a name")
	case i.IDTokens < 0 || i.IDTokens > MaxIDTokens:
		return nil, fmt.Errorf("age of ID tokens is not 0 to %s", MaxIDTokens)
	case i.Leeway < 0 || i.Leeway > MaxLeeway:
		return nil, fmt.Errorf("leeway is not 0 to %s", MaxLeeway)
	case i.MaxLifetime < 0 || i.MaxLifetime > MaxMaxLifetime:
		return nil, fmt.Errorf("maximum lifetime is not 0 to %s", MaxMaxLifetime)
	}
	if err := i.checkTenants(); err != nil {
		return nil, err
	}
	if i.MaxLifetime == 0 {
		i.MaxLifetime = DefaultMaxLifetime
	}
	i.Audiences, i.AudienceClaims = slices.Clone(i.Audiences), slices.Clone(i.AudienceClaims)
	types, err := checkTypes(i.Types, i.Own)
	i.Header = http.CanonicalHeaderKey(i.Header)
	trust := sessions.Trust{Name: i.Name, Users: i.Users, UsersWhen: i.UsersWhen, Only: i.Only}
	return &issuer{Issuer: i, types: types, trust: trust}, err
}

func (i *Issuer) checkTenants() error {
	switch {
	case slices.Contains(i.Issuers, ""):
		return errors.New("a further name that is empty")
	case slices.ContainsFunc(i.Tenants, func(tenant string) bool { return !isTenant(tenant) }):
		return errors.New("a tenant that no name can have")
	case len(i.Tenants) > 0 && !slices.ContainsFunc(i.Issuers, func(name string) bool { return strings.Contains(name, "*") }):
		return errors.New("tenants, but no name with a * for them")
	default:
		return nil
	}
}

// neverTypes are types of tokens for other purposes (RFC 8725 section 3.11), which no configuration
// can accept: refresh tokens, logout tokens, DPoP proofs, security events.
var neverTypes = map[string]bool{"rt+jwt": true, "logout+jwt": true, "dpop+jwt": true, "secevent+jwt": true}

// IsNeverCallers reports whether tokens with this "typ" are never accepted from callers: no Issuer
// may have it in Types.
func IsNeverCallers(typ string) bool { return neverTypes[mediaType(typ)] }

func checkTypes(names []string, own bool) (map[string]bool, error) {
	switch {
	case len(names) > 0:
	case own:
		names = []string{"at+jwt"}
	default:
		names = []string{"at+jwt", "JWT", NoType}
	}
	types := make(map[string]bool, len(names))
	for _, name := range names {
		typ := mediaType(name)
		switch {
		case typ == "":
			return nil, errors.New("empty type")
		case neverTypes[typ]:
			return nil, fmt.Errorf("type %s is of tokens that are for something else", typ)
		case typ == NoType:
			typ = ""
		}
		types[typ] = true
	}
	return types, nil
}

// mediaType returns a "typ" in lower case and without the optional "application/".
func mediaType(typ string) string {
	typ = strings.ToLower(typ)
	if short, ok := strings.CutPrefix(typ, "application/"); ok && !strings.Contains(short, "/") {
		return short
	}
	return typ
}
