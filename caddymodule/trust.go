package caddymodule

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions"
	"authsidecar/sessions/bearer"
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
		if made.From == "" {
			made.From = h.Trust[0].Issuer // the only one: check saw to it
		}
		rules = append(rules, made)
	}
	return rules, nil
}

func (r *Rule) make() (sessions.Rule, error) {
	rule := sessions.Rule{From: r.From}
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
	made := &trusted{issuer: bearer.Issuer{
		Name:        t.Issuer,
		Audiences:   t.Audience,
		Types:       t.Types,
		Leeway:      time.Duration(*t.Leeway),
		MaxLifetime: time.Duration(t.MaxLifetime),
		Users:       *t.Users,
	}}
	policy, err := t.keyPolicy()
	if err != nil {
		return nil, err
	}
	switch {
	case t.Secret != "":
		err = made.fromSecret(t, policy.Algorithms)
	case t.Key != "":
		err = made.fromFile(ctx, inst, t.Key, policy)
	case t.JWKS != "" && !isURL(t.JWKS):
		err = made.fromFile(ctx, inst, t.JWKS, policy)
	default:
		err = made.fromRemote(ctx, inst, t, policy)
	}
	return made, err
}

func (t *Trust) keyPolicy() (jose.KeyPolicy, error) {
	var policy jose.KeyPolicy
	for _, name := range t.Algorithms {
		algorithm, err := jose.ParseAlgorithm(name)
		if err != nil {
			return policy, fmt.Errorf("algorithms: %w", err)
		}
		policy.Algorithms = append(policy.Algorithms, algorithm)
		policy.Symmetric = algorithm.Symmetric()
	}
	return policy, nil
}

func (made *trusted) fromSecret(t *Trust, algorithms []jose.Algorithm) error {
	text, err := placeholder.Resolve(t.Secret)
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	secret := []byte(text)
	keys := make([]*jose.Key, len(algorithms))
	for i, algorithm := range algorithms {
		if keys[i], err = jose.NewSecret(secret, algorithm); err != nil {
			return fmt.Errorf("secret: it has %d bytes: %w; make one with: openssl rand -hex 64", len(secret), err)
		}
	}
	source, err := bearer.NewStatic(keys...)
	made.issuer.Keys = source
	return err
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
	insecure := strings.HasPrefix(cmp.Or(t.JWKS, t.Issuer), "http://")
	remote, err := bearer.NewRemote(bearer.RemoteConfig{
		Issuer: t.Issuer, URL: t.JWKS, Keys: policy, InsecureHTTP: insecure,
		Memory: newIssuerMemory(ctx.Storage(), t.Issuer, t.JWKS), Log: inst.slog(),
	})
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
