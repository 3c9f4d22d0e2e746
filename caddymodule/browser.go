package caddymodule

import (
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions/browser"
)

// addBrowser adds the endpoints for browsers, where they are configured.
func (inst *instance) addBrowser(h *Handler) {
	jar := h.Jar()
	if jar == nil {
		return
	}
	inst.browser = browser.New(browser.Config{
		Path: h.Path, Jar: jar, Manager: inst.manager, ClientIP: observe.ClientIP, Observer: observer{inst},
	})
	inst.own = append(inst.own, inst.browser)
}
