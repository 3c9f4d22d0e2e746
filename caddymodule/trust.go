package caddymodule

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/forward"
	"authsidecar/sessions/jose"
)

// A trusted is a trusted issuer at work.
type trusted struct {
	issuer bearer.Issuer
	load   func(context.Context) // reads what is remembered, without the network; may be nil
	run    func(context.Context) // keeps the keys fresh until the context ends; may be nil
}

// policy makes the rules by which sessions are had.
func (h *Handler) policy() (*sessions.Policy, error) {
	p := &sessions.Policy{Protect: h.Protect, RequireReason: h.Impersonation.RequireReason}
	var err error
	p.Allow, err = h.rules(h.Allow)
	for _, rule := range h.Allow {
		p.AllowSelf = p.AllowSelf || rule.Self
	}
	return p, err
}

// trial makes the policy on trial; nil where no rule is.
func (h *Handler) trial() (*sessions.Policy, error) {
	if len(h.Shadow) == 0 {
		return nil, nil
	}
	shadow := *h
	shadow.Allow = h.Shadow
	return shadow.policy()
}

// rules makes rules of the configured ones, but for self.
func (h *Handler) rules(configured []*Rule) ([]sessions.Rule, error) {
	var rules []sessions.Rule
	for _, rule := range configured {
		if rule.Self {
			continue
		}
		made, err := rule.make()
		if err != nil {
			return nil, err
		}
		made.From, _ = h.trustedAs(cmp.Or(rule.From, h.Trust[0].Issuer)) // the only one: check saw to it
		rules = append(rules, made)
	}
	return rules, nil
}

func (r *Rule) make() (sessions.Rule, error) {
	var rule sessions.Rule
	switch {
	case r.Scope != "":
		rule.Name, rule.When = "scope "+r.Scope, sessions.HasScope(r.Scope)
	case r.Claim != nil:
		rule.Name = "claim " + r.Claim.Name + " " + r.Claim.Value
		rule.When = sessions.HasClaim{Name: r.Claim.Name, Value: r.Claim.Value}
	default:
		compiled, err := compileExpression(r.Expression)
		if err != nil {
			return rule, fmt.Errorf("expression: %w", err)
		}
		rule.Name, rule.When = "expression "+r.Expression, compiled
	}
	return rule, nil
}

func (s *Session) lifetimes() sessions.Lifetimes {
	return sessions.Lifetimes{TTL: time.Duration(s.TTL), MaxTTL: time.Duration(s.MaxTTL), Idle: time.Duration(s.Idle)}
}

func (i *Impersonation) lifetimes() sessions.Lifetimes {
	return sessions.Lifetimes{TTL: time.Duration(i.TTL), MaxTTL: time.Duration(i.MaxTTL), Idle: time.Duration(i.Idle)}
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

// newTrusted makes the source of an issuer's keys. Files and secrets are read
// here, so that what is wrong with them shows when a configuration is validated;
// the network is left alone until run.
func newTrusted(ctx caddy.Context, inst *instance, t *Trust) (*trusted, error) {
	issuer, err := t.issuer()
	if err != nil {
		return nil, err
	}
	made := &trusted{issuer: issuer}
	policy, hmac, err := t.algorithms()
	if err != nil {
		return nil, err
	}
	var secret *bearer.Static
	if t.Secret != "" {
		if secret, err = newSecret(t, hmac); err != nil {
			return nil, err
		}
	}
	switch {
	case t.Secret != "" && !t.beside():
		made.issuer.Keys = secret
		return made, nil
	case t.Key != "":
		err = made.fromFile(ctx, inst, t.Key, policy)
	case t.JWKS != "" && !isURL(t.JWKS):
		err = made.fromFile(ctx, inst, t.JWKS, policy)
	default:
		err = made.fromRemote(ctx, inst, t, policy)
	}
	made.issuer.Secret = secret
	return made, err
}

// issuer returns all of the trust but its keys.
func (t *Trust) issuer() (bearer.Issuer, error) {
	issuer := bearer.Issuer{
		Name:           t.Issuer,
		Issuers:        t.Issuers,
		Tenants:        t.Tenants,
		Audiences:      t.Audience,
		AudienceClaims: t.AudienceClaim,
		UserClaim:      t.UserClaim,
		Unverified:     t.Unverified,
		IDTokens:       time.Duration(t.IDTokens),
		Header:         t.TokenHeader,
		Types:          t.Types,
		Leeway:         time.Duration(*t.Leeway),
		MaxLifetime:    time.Duration(t.MaxLifetime),
		Users:          *t.Users,
	}
	for _, r := range t.Only {
		made, err := r.make()
		if err != nil {
			return issuer, fmt.Errorf("only: %w", err)
		}
		issuer.Only = append(issuer.Only, made.When)
	}
	if t.UsersIf != nil {
		made, err := t.UsersIf.make()
		if err != nil {
			return issuer, fmt.Errorf("users: %w", err)
		}
		issuer.UsersWhen = made.When
	}
	return issuer, nil
}

// algorithms returns which keys are used, and the algorithms of the secret where there is
// one beside them or alone: HS256 unless others are named.
func (t *Trust) algorithms() (keys jose.KeyPolicy, secret []jose.Algorithm, err error) {
	for _, name := range t.Algorithms {
		algorithm, err := jose.ParseAlgorithm(name)
		switch {
		case err != nil:
			return keys, nil, fmt.Errorf("algorithms: %w", err)
		case algorithm.Symmetric() && t.Secret != "":
			secret = append(secret, algorithm)
		default:
			keys.Algorithms = append(keys.Algorithms, algorithm)
			keys.Symmetric = algorithm.Symmetric()
		}
	}
	if secret == nil && t.Secret != "" {
		secret = []jose.Algorithm{jose.HS256}
	}
	return keys, secret, nil
}

func newSecret(t *Trust, algorithms []jose.Algorithm) (*bearer.Static, error) {
	text, err := placeholder.Resolve(t.Secret)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	secret := []byte(text)
	keys := make([]*jose.Key, len(algorithms))
	for i, algorithm := range algorithms {
		if keys[i], err = jose.NewSecret(secret, algorithm); err != nil {
			return nil, fmt.Errorf("secret: it has %d bytes: %w; make one with: openssl rand -hex 64", len(secret), err)
		}
	}
	return bearer.NewStatic(keys...)
}

func (made *trusted) fromFile(ctx context.Context, inst *instance, path string, policy jose.KeyPolicy) error {
	file, err := bearer.NewFile(bearer.FileConfig{Path: path, Keys: policy, Log: inst.slog()})
	if err != nil {
		return err
	}
	if err := file.Load(ctx); err != nil {
		return fmt.Errorf("key file %s: %w", path, err)
	}
	made.issuer.Keys, made.run = file, file.Run
	return nil
}

func (made *trusted) fromRemote(ctx caddy.Context, inst *instance, t *Trust, policy jose.KeyPolicy) error {
	config := bearer.RemoteConfig{
		Issuer: t.Issuer, URL: t.JWKS, Keys: policy, InsecureHTTP: t.InsecureHTTP,
		Memory: newIssuerMemory(ctx.Storage(), t.Issuer, t.JWKS), Log: inst.slog(),
	}
	var err error
	if t.CA != "" {
		if config.RootCAs, err = readCAs(t.CA); err != nil {
			return fmt.Errorf("ca %s: %w", t.CA, err)
		}
	}
	if t.JWKSToken != "" {
		config.Token = func() (string, error) { return placeholder.Resolve(t.JWKSToken) }
	}
	remote, err := bearer.NewRemote(config)
	if err != nil {
		return err
	}
	made.issuer.Keys, made.run = remote, remote.Run
	made.load = func(ctx context.Context) {
		if err := remote.Load(ctx); err != nil {
			inst.logger.Warn("remembered keys of a trusted issuer could not be read; they are asked for again",
				zap.String("trusted_issuer", t.Issuer), zap.Error(err))
		}
	}
	return nil
}

// tokenHeaders are the headers where the tokens of trusted issuers are; nil for none.
func (h *Handler) tokenHeaders() *forward.Names {
	var names []string
	for _, t := range h.Trust {
		if t.TokenHeader != "" {
			names = append(names, t.TokenHeader)
		}
	}
	if names == nil {
		return nil
	}
	return forward.NewNames(names)
}

// dropTokenHeaders takes the tokens of trusted issuers out of a request, where they are not
// in Authorization: they are for us.
func (inst *instance) dropTokenHeaders(r *http.Request) {
	if inst.tokenHeaders != nil {
		inst.tokenHeaders.Delete(r.Header)
	}
}

// readCAs reads the certificates of whom to believe.
func readCAs(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.Unwrap(err) // the path is in the message already
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, errors.New("there is no certificate in it that can be read: it has to be PEM")
	}
	return pool, nil
}
