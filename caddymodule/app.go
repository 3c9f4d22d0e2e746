package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule/observe"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App connects the parts of authsidecar: the handlers, the admin API and the commands. It does not
// appear in a configuration; the first auth_sessions handler loads it. It starts and stops what
// handlers need beyond a request: stores, signing keys, and the trusted issuers' keys.
type App struct {
	layoutOnce sync.Once
	layout     *layout // of the HTTP app; nil if there is none

	mu        sync.Mutex
	instances map[string]*instance // by issuer
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "auth_sessions",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision sets up the app.
func (a *App) Provision(ctx caddy.Context) error {
	a.instances = make(map[string]*instance)
	return observe.Register(ctx.GetMetricsRegistry(), a.reporters)
}

// instanceOf returns the instance of the handler's issuer. Equal handlers (of a site with two
// listeners) share an instance; different handlers with the same issuer are an error.
func (a *App) instanceOf(h *Handler) (*instance, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.instances[h.Issuer]; ok {
		if !bytes.Equal(known.asJSON, h.asJSON) {
			return nil, fmt.Errorf("issuer %q is configured twice, differently: give each auth_sessions block its own issuer, or make them the same", h.Issuer)
		}
		return known, nil
	}
	made, err := newInstance(h)
	if err != nil {
		return nil, err
	}
	a.instances[h.Issuer] = made
	return made, nil
}

// findLayout finds out where the handlers are, when the first of them is validated.
func (a *App) findLayout(ctx caddy.Context) (err error) {
	for _, module := range ctx.Modules() {
		if app, ok := module.(*caddyhttp.App); ok {
			a.layoutOnce.Do(func() {
				if a.layout, err = findLayout(app); err == nil {
					for _, text := range a.layout.warnings {
						ctx.Logger().Warn(text)
					}
				}
			})
		}
	}
	return err
}

// reporters returns the reporters of all instances.
func (a *App) reporters() []*observe.Reporter {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]*observe.Reporter, 0, len(a.instances))
	for _, inst := range a.instances {
		all = append(all, inst.Reporter)
	}
	return all
}

// Start opens every instance and keeps its keys fresh.
func (a *App) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	if err := a.open(ctx, activeApp()); err != nil {
		cancel()
		return err
	}
	for _, inst := range a.instances {
		for _, run := range inst.background() {
			a.running.Go(func() { run(ctx) })
		}
	}
	return nil
}

// activeApp returns the app of the running configuration while a new one starts; nil if there is
// none.
func activeApp() *App {
	app, err := caddy.ActiveContext().AppIfConfigured("auth_sessions")
	if err != nil {
		return nil
	}
	return app.(*App)
}

// open opens all instances concurrently. A failure that the operator has to fix rejects the
// configuration. One that may be temporary does not, since other sites are unaffected: the instance
// is opened as soon as possible. But a reload that switches to another store is rejected while that
// store is down.
func (a *App) open(ctx context.Context, before *App) error {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	for _, inst := range a.instances {
		inst.opening.begin(inst)
	}
	for _, inst := range a.instances {
		if err := inst.open(ctx); err != nil && (!isTemporary(err) || inst.changesStore(before.instance(inst.issuer))) {
			return fmt.Errorf("auth_sessions %s: %w", inst.issuer, err)
		}
	}
	return nil
}

// instance returns the instance of an issuer, or nil.
func (a *App) instance(issuer string) *instance {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.instances[issuer]
}

// Stop stops the background work. Requests in flight continue.
func (a *App) Stop() error {
	if a.cancel != nil {
		a.cancel()
	}
	a.running.Wait()
	return nil
}

// Cleanup releases the stores.
func (a *App) Cleanup() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	errs := make([]error, 0, len(a.instances))
	for _, inst := range a.instances {
		errs = append(errs, inst.close())
	}
	return errors.Join(errs...)
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
