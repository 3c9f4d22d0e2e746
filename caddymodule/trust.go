package caddymodule

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"authsidecar/caddymodule/config"
	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/jose"
)

// A trusted is a trusted issuer with its key source.
type trusted struct {
	issuer bearer.Issuer
	load   func(context.Context) // loads saved keys, without the network; may be nil
	run    func(context.Context) // keeps the keys fresh until the context ends; may be nil
}

// newTrusted creates the key source of an issuer. It reads files and secrets, so that problems with
// them are found when a configuration is validated; the network is not used before run.
func newTrusted(ctx caddy.Context, logger *zap.Logger, t *config.Trust) (*trusted, error) {
	issuer, err := t.BearerIssuer()
	if err != nil {
		return nil, err
	}
	made := &trusted{issuer: issuer}
	policy, hmac, err := t.KeyPolicy()
	if err != nil {
		return nil, err
	}
	var secret *bearer.Static
	if t.Secret != "" {
		if secret, err = newSecret(t, hmac); err != nil {
			return nil, err
		}
	}
	switch file := t.KeyFile(); {
	case file != "":
		err = made.fromFile(ctx, logger, file, policy)
	case t.IsRemote():
		err = made.fromRemote(ctx, logger, t, policy)
	default:
		made.issuer.Keys = secret
		return made, nil
	}
	made.issuer.Secret = secret
	return made, err
}

func newSecret(t *config.Trust, algorithms []jose.Algorithm) (*bearer.Static, error) {
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

func (made *trusted) fromFile(ctx context.Context, logger *zap.Logger, path string, policy jose.KeyPolicy) error {
	file, err := bearer.NewFile(bearer.FileConfig{Path: path, Keys: policy, Log: slogOf(logger)})
	if err != nil {
		return err
	}
	if err := file.Load(ctx); err != nil {
		return fmt.Errorf("key file %s: %w", path, err)
	}
	made.issuer.Keys, made.run = file, file.Run
	return nil
}

func (made *trusted) fromRemote(ctx caddy.Context, logger *zap.Logger, t *config.Trust, policy jose.KeyPolicy) error {
	remoteConfig := bearer.RemoteConfig{
		Issuer: t.Issuer, URL: t.JWKS, Keys: policy, InsecureHTTP: t.InsecureHTTP,
		Memory: newIssuerMemory(ctx.Storage(), t.Issuer, t.JWKS), Log: slogOf(logger),
	}
	var err error
	if remoteConfig.RootCAs, err = issuerRoots(t); err != nil {
		return err
	}
	if t.JWKSToken != "" {
		remoteConfig.Token = func() (string, error) { return placeholder.Resolve(t.JWKSToken) }
	}
	remote, err := bearer.NewRemote(remoteConfig)
	if err != nil {
		return err
	}
	made.issuer.Keys, made.run = remote, remote.Run
	made.load = func(ctx context.Context) {
		if err := remote.Load(ctx); err != nil {
			logger.Warn("remembered keys of a trusted issuer could not be read; they are asked for again",
				zap.String("trusted_issuer", t.Issuer), zap.Error(err))
		}
	}
	return nil
}

// issuerRoots returns the CAs that are trusted for an issuer's servers; nil means those of the
// system.
func issuerRoots(t *config.Trust) (*x509.CertPool, error) {
	if t.CA == "" {
		return nil, nil
	}
	roots, err := readCAs(t.CA)
	if err != nil {
		return nil, fmt.Errorf("ca %s: %w", t.CA, err)
	}
	return roots, nil
}

// readCAs reads CA certificates from a PEM file.
func readCAs(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.Unwrap(err) // the message already contains the path
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, errors.New("it contains no readable certificate: it must be PEM")
	}
	return pool, nil
}

// slogOf returns the logger for packages that use log/slog.
func slogOf(logger *zap.Logger) *slog.Logger {
	return slog.New(zapslog.NewHandler(logger.Core(), zapslog.AddStacktraceAt(slog.LevelError+1)))
}

// ownLeeway is how much two nodes' estimates of the store's clock may differ.
const ownLeeway = 2 * time.Second

// addVerifier creates the verifier of callers' tokens. It also verifies our own access tokens, to
// recognize their callers.
func (inst *instance) addVerifier(h *Handler) (err error) {
	config := bearer.Config{Observer: observer{inst}, Issuers: []bearer.Issuer{inst.ownIssuer(h.AccessToken.Audience)}}
	for _, t := range h.Trust {
		made, err := newTrusted(h.ctx, h.logger, t)
		if err != nil {
			return fmt.Errorf("trust %s: %w", t.Issuer, err)
		}
		inst.trust = append(inst.trust, made)
		config.Issuers = append(config.Issuers, made.issuer)
	}
	inst.verifier, err = bearer.New(config)
	return err
}

// ownIssuer returns the configuration for verifying our own access tokens for that audience.
func (inst *instance) ownIssuer(audience []string) bearer.Issuer {
	return bearer.Issuer{Name: inst.issuer, Keys: inst.keyring.Access, Audiences: audience, Own: true, Leeway: ownLeeway, Now: inst.now}
}
