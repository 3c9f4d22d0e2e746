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

// Limits and defaults of configurations.
const (
	MaxLeeway          = 5 * time.Minute
	DefaultMaxLifetime = 24 * time.Hour
	MaxMaxLifetime     = 10 * 366 * 24 * time.Hour
	MaxIDTokens        = 24 * time.Hour
	DefaultCacheBytes  = 56 << 20
)

// NoType stands in Issuer.Types for tokens without a "typ" header.
const NoType = "none"

// A KeySource knows the keys of one issuer. It is safe for concurrent use.
type KeySource interface {
	// Key finds the one key for a token header. jose.ErrUnknownKey and
	// jose.ErrAlgorithm: the token is bad. ErrKeysUnavailable: it is unknown now.
	Key(ctx context.Context, kid string, alg jose.Algorithm) (*jose.Key, error)
	// Version changes after the keys did, and when they are no longer to be used:
	// tokens that were verified under another version are verified again.
	Version() uint64
}

// An Issuer is somebody whose tokens are accepted.
type Issuer struct {
	// Name is the "iss" of its tokens, byte for byte. Required.
	Name string
	// Issuers are further names, under the same keys: spellings of Name, for which rules
	// call it Name, or patterns with one path segment "*", which stands for a tenant. Of
	// each tenant rules know its own name alone, so that nobody is somebody by the rules
	// for others.
	Issuers []string
	// Tenants are those whose subjects are this app's user ids, as far as Users says.
	Tenants []string
	// Keys are its keys, and no other issuer's. Required.
	Keys KeySource
	// Secret is HMAC keys beside Keys, while an issuer replaces the one by the other.
	// Tokens of HMAC algorithms are verified by them alone, and no others are.
	Secret *Static
	// Header is where its tokens are, beside Authorization; "" for nowhere. See Find.
	Header string
	// Audiences are our names: one must be in the "aud" of a token. Required. "*" is
	// none: a token that is for anybody is not for us.
	Audiences []string
	// AudienceClaims are where the audience is looked for in tokens that have no "aud",
	// or an empty one: the first of them that a token has decides. Names, or JSON
	// pointers (RFC 6901). Default: nowhere, and such tokens are refused.
	AudienceClaims []string
	// UserClaim names who is calling, by its name or by a JSON pointer: text, or a whole
	// number, which counts as its decimal digits. Default: "sub", which is text.
	UserClaim string
	// Unverified lets UserClaim be an email address that the issuer does not say to have
	// verified. Whoever can write any address there can call as anybody.
	Unverified bool
	// IDTokens accepts ID tokens too, if they were issued no longer ago, 0 to MaxIDTokens.
	// Default: those that say that they are ID tokens are refused.
	IDTokens time.Duration
	// Types are the "typ" headers that its tokens may have, in any case, with or
	// without "application/" (RFC 7515 section 4.1.9); NoType for tokens without.
	// Default: at+jwt, JWT and none; at+jwt alone if Own. Types of tokens that are
	// for something else, as rt+jwt, are refused in a configuration too.
	Types []string
	// Leeway is how far clocks may differ, 0 to MaxLeeway. 0 means 0.
	Leeway time.Duration
	// MaxLifetime is how far from now "exp" may be, up to MaxMaxLifetime. Default:
	// DefaultMaxLifetime.
	MaxLifetime time.Duration
	// Users means that its subjects are this app's user ids, and UsersWhen of which
	// callers alone; nil: of all.
	Users     bool
	UsersWhen sessions.Condition
	// Only are what every token has to satisfy. They see the caller alone.
	Only []sessions.Condition
	// Own means that these are our own access tokens: they must name their
	// session ("sid").
	Own bool
	// Now is the clock that its tokens are checked by. Default: that of the Config.
	// Our own tokens have the store's times: Store.Now.
	Now func() time.Time
}

// A Config is what a Verifier is made of.
type Config struct {
	// Issuers are the trusted ones, each name once. Required.
	Issuers []Issuer
	// CacheBytes is how much memory is for verified tokens. A seventh of it is for all that is
	// made of those that are presented often, some 4 KiB each; the rest for what it takes to
	// know that a token is good, and a little of what it says: up to 340 bytes. Default:
	// DefaultCacheBytes. Negative: none.
	CacheBytes int
	// Now is the clock that tokens are checked by. Default: time.Now.
	Now func() time.Time
	// Observer hears of each token that is verified. Nil is sessions.Silent.
	Observer sessions.Observer
}

// New checks the configuration and returns a verifier for it.
func New(c Config) (*Verifier, error) {
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	v := &Verifier{
		issuers: make(map[string]*issuer, len(c.Issuers)), cache: newCache(max(0, c.CacheBytes), clock(c.Now)), observer: c.Observer,
		turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
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

// An issuer is one whose configuration was checked.
type issuer struct {
	Issuer
	types map[string]bool // as mediaType returns them
	trust sessions.Trust  // what is asked of callers, by Name
	at    uint16          // its place in Verifier.all
}

func checkIssuer(i Issuer) (*issuer, error) {
	switch {
	case i.Name == "":
		return nil, errors.New("no name")
	case i.Keys == nil:
		return nil, errors.New("no keys")
	case i.Secret != nil && !i.Secret.Symmetric():
		return nil, errors.New("a secret that is none")
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

// neverTypes are of tokens that are for something else than calling (RFC 8725
// section 3.11), whatever a configuration says: refresh tokens, logout tokens,
// DPoP proofs, security events.
var neverTypes = map[string]bool{"rt+jwt": true, "logout+jwt": true, "dpop+jwt": true, "secevent+jwt": true}

// IsNeverCallers reports whether a "typ" is of tokens that are for something else than calling:
// no Issuer may have it in its Types.
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

// mediaType returns a "typ" as one word: without case and without the
// "application/" that may be omitted.
func mediaType(typ string) string {
	typ = strings.ToLower(typ)
	if short, ok := strings.CutPrefix(typ, "application/"); ok && !strings.Contains(short, "/") {
		return short
	}
	return typ
}
