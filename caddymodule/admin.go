package caddymodule

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/caddymodule/adminapi"
	"authsidecar/caddymodule/internal/canonical"
)

// AdminInstances returns the admin API's view of the instances, ordered by issuer.
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
	shown := &adminapi.Instance{
		Block: inst.Block(), Reports: inst.Reporter,
		Issuer: inst.issuer, Path: strings.TrimPrefix(inst.manager.Minter.RefreshAudience, inst.issuer), Manager: inst.manager,
		Engine: engineOf(inst.opener), Location: locationOf(inst.opener), CopyDir: inst.copyDir, Logger: inst.logger,
	}
	if len(inst.rings) > 0 {
		shown.RotateKeys = inst.rotateKeys
	}
	return shown
}

// copyDir returns the store's own directory, if it has one: copies take almost no space there.
func (inst *instance) copyDir() (string, error) {
	if embedded, ok := inst.opener.(*PebbleStore); ok {
		return canonical.Path(embedded.directory())
	}
	return filepath.Join(caddy.AppDataDir(), "auth_sessions"), nil
}

// Interface guard
var _ adminapi.Source = (*App)(nil)
