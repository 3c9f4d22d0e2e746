package caddymodule

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"authsidecar/caddymodule/internal/placeholder"
	"authsidecar/sessions/bearer"
	"authsidecar/sessions/browser"
	"authsidecar/sessions/browser/signin"
)

// newSignIn makes what signs people in. The provider is asked when the first one comes.
func (inst *instance) newSignIn(h *Handler) (*signin.Client, error) {
	s, trust := h.Browser.SignIn, h.SignInTrust()
	site, err := url.Parse(h.Issuer)
	if err != nil {
		return nil, err
	}
	c := signin.Config{
		Issuer: s.Issuer, ClientID: s.ClientID, Scopes: s.Scopes, InsecureHTTP: trust.InsecureHTTP,
		Origins: []string{site.Scheme + "://" + site.Host}, Path: h.Path + browser.SignInPath,
		Key: func() []byte { return inst.manager.IDSecret },
	}
	c.Cookie, c.Secure = inst.cookies.Jar.Flows()
	if s.ClientSecret != "" {
		if c.ClientSecret, err = placeholder.Resolve(s.ClientSecret); err != nil {
			return nil, fmt.Errorf("client_secret: %w", err)
		}
		if c.ClientSecret == "" {
			return nil, errors.New("client_secret is empty: give the variable or the file its value, or remove client_secret for a public client")
		}
	}
	roots, err := issuerRoots(trust)
	if err != nil {
		return nil, err
	}
	c.HTTP = bearer.NewClient(roots)
	at := slices.IndexFunc(inst.trust, func(t *trusted) bool { return t.issuer.Name == s.Issuer })
	issuers := []bearer.Issuer{signin.Issuer(inst.trust[at].issuer, s.ClientID)}
	if c.Verifier, err = bearer.New(bearer.Config{Issuers: issuers, CacheBytes: -1}); err != nil { // each ID token comes once
		return nil, err
	}
	return signin.New(c)
}
