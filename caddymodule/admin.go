package caddymodule

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/adminapi"
	"authsidecar/caddymodule/internal/canonical"
	"authsidecar/caddymodule/observe"
	"authsidecar/sessions/revocation"
)

// AdminInstances returns what the admin API knows of the instances, in the order of their
// issuers.
func (a *App) AdminInstances() []*adminapi.Instance {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]*adminapi.Instance, 0, len(a.instances))
	for _, inst := range a.instances {
		all = append(all, inst.forAdmin())
	}
	slices.SortFunc(all, func(a, b *adminapi.Instance) int { return strings.Compare(a.Issuer, b.Issuer) })
	return all
}

func (inst *instance) forAdmin() *adminapi.Instance {
	minter := inst.manager.Minter
	shown := &adminapi.Instance{
		Issuer: inst.issuer, Path: strings.TrimPrefix(minter.RefreshAudience, inst.issuer), Ready: inst.ready.Load(),
		Manager: inst.manager, Trusted: inst.trusted(),
		Rings:  []adminapi.Ring{{Use: "refresh", Keys: minter.Keys.Refresh}, {Use: "access", Keys: minter.Keys.Access}},
		Engine: engineOf(inst.opener), Location: locationOf(inst.opener), CopyDir: inst.copyDir, Logger: inst.logger,
		LastEvent: inst.lastEvent,
		Watch:     func() *revocation.Watcher { return &inst.store.Load().watch },
		Ping:      func(ctx context.Context) error { return ping(ctx, inst.store.Load().store) },
		Live: func() (adminapi.SessionCount, bool) {
			n, ok := inst.store.Load().live.Of(inst.issuer)
			return adminapi.SessionCount{Own: n.Own, Impersonations: n.Impersonated}, ok
		},
		Troubles: func() []adminapi.Trouble {
			known := observe.Troubles(inst.issuer)
			all := make([]adminapi.Trouble, len(known))
			for i, t := range known {
				all[i] = adminapi.Trouble(t)
			}
			return all
		},
	}
	for i := range shown.Rings {
		ring := &shown.Rings[i]
		ring.Generated = slices.ContainsFunc(inst.rings, func(plan ringPlan) bool { return plan.ring == ring.Keys })
	}
	if len(inst.rings) > 0 {
		shown.RotateKeys = inst.rotateKeys
	}
	return shown
}

// copyDir is the directory of the store, where it has one of its own: there, copies cost next
// to no room.
func (inst *instance) copyDir() (string, error) {
	if embedded, ok := inst.opener.(*PebbleStore); ok {
		return canonical.Path(embedded.directory())
	}
	return filepath.Join(caddy.AppDataDir(), "auth_sessions"), nil
}

// Interface guard
var _ adminapi.Source = (*App)(nil)
