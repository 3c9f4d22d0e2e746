package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"

	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
	"authsidecar/sessions/browser"
)

// confirmTimeout bounds how long it may take to note that a token arrived.
const confirmTimeout = 10 * time.Second

// newAuthenticator makes what authenticates by cookies; nil without browser.
func (inst *instance) newAuthenticator(h *Handler) *browser.Authenticator {
	jar := h.Jar()
	if jar == nil {
		return nil
	}
	return &browser.Authenticator{
		Jar: jar, Verifier: inst.verifier, Manager: inst.manager, ClientIP: observe.ClientIP, Confirm: inst.confirm,
	}
}

// confirm notes that a token in a cookie arrived, while its request goes on.
func (inst *instance) confirm(c *sessions.Caller) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
		defer cancel()
		if err := inst.manager.Confirm(ctx, c); err != nil { // a later request tries again
			inst.logger.Warn("could not note that a session's new cookies arrived", zap.String("issuer", inst.issuer), zap.Error(err))
		}
	}()
}

// addBrowser adds the endpoints for browsers, where they are configured.
func (inst *instance) addBrowser(h *Handler) {
	if inst.cookies == nil {
		return
	}
	inst.own = append(inst.own, browser.New(browser.Config{
		Path: h.Path, Authenticator: inst.cookies, Observer: observer{inst},
	}))
}
