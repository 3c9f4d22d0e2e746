package adminapi

import (
	"context"
	"slices"
	"strings"

	"go.uber.org/zap"

	"authsidecar/caddymodule/observe"
	"authsidecar/sessions"
)

// A Source provides the auth_sessions blocks of the running configuration. The auth_sessions app
// implements it.
type Source interface {
	// AdminInstances returns the blocks, ordered by issuer.
	AdminInstances() []*Instance
}

// An Instance is an auth_sessions block as the API sees it. Before it is ready, the manager's Store
// must not be used.
type Instance struct {
	*observe.Block
	Reports *observe.Reporter

	Issuer  string // our issuer
	Path    string // where its sessions are created
	Manager *sessions.Manager
	// RotateKeys generates new signing keys now. Nil if all of them are the operator's files.
	RotateKeys func(context.Context) error

	Engine   string // name of the store module
	Location string // where the store is, for people to read; "" if unknown
	// CopyDir returns the directory for copies of the store while they are sent.
	CopyDir func() (string, error)

	Logger *zap.Logger
}

// instances returns the instances that the request selects: the one of its issuer, or all, ordered
// by issuer.
func (r *request) instances() ([]*Instance, error) {
	name := r.query.Get("issuer")
	if name == "" {
		return r.all, nil
	}
	at := slices.IndexFunc(r.all, func(inst *Instance) bool { return inst.Issuer == name })
	if at < 0 {
		return nil, notFound("no auth_sessions block has the issuer %q: there are %s", name, issuers(r.all))
	}
	return r.all[at : at+1], nil
}

// instance returns the only instance that the request selects, opened.
func (r *request) instance() (*Instance, error) {
	found, err := r.instances()
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, sessions.ErrClosed
	case len(found) > 1:
		return nil, badRequest("there are several issuers: name one of %s", issuers(found))
	case !found[0].Ready():
		return nil, sessions.ErrClosed
	}
	return found[0], nil
}

// instanceOfOneStore returns an instance if all selected ones share a store.
func (r *request) instanceOfOneStore() (*Instance, error) {
	found, err := r.instances()
	if err != nil {
		return nil, err
	}
	for _, inst := range found {
		if !inst.Ready() {
			return nil, sessions.ErrClosed
		}
		if inst.Watch() != found[0].Watch() { // each open store has its own
			return nil, badRequest("there are several stores: name one of the issuers %s", issuers(found))
		}
	}
	if len(found) == 0 {
		return nil, sessions.ErrClosed
	}
	return found[0], nil
}

func issuers(all []*Instance) string {
	named := make([]string, len(all))
	for i, inst := range all {
		named[i] = inst.Issuer
	}
	return strings.Join(named, ", ")
}
