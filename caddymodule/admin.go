package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"authsidecar/sessions"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI serves /auth_sessions/ on Caddy's admin endpoint: what on-call people
// ask and do. Who may reach that endpoint may do everything here, as with the rest
// of it.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.auth_sessions",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

const adminBase = "/auth_sessions/"

// Routes returns the admin routes.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminBase, Handler: caddy.AdminHandlerFunc(a.serve)}}
}

// An adminRequest is a request to the admin API whose path and method are known.
type adminRequest struct {
	*http.Request
	app   *App
	query url.Values
	id    string // what follows sessions/ in the path
}

// An adminRoute answers a path below adminBase. What it returns is sent as JSON,
// unless it wrote an answer itself and returns nil.
type adminRoute struct {
	serve  func(http.ResponseWriter, *adminRequest) (any, error)
	params []string // of the query
}

// adminRoutes are the routes, by path and method.
var adminRoutes = map[string]map[string]adminRoute{
	"status": {http.MethodGet: {adminStatus, []string{"issuer", "keys"}}},
	"sessions": {
		http.MethodGet:    {adminList, append([]string{"cursor", "limit"}, filterParams...)},
		http.MethodDelete: {adminRevokeAll, append([]string{"dry_run", "cursor"}, filterParams...)},
	},
	"sessions/":    {http.MethodDelete: {adminRevoke, []string{"issuer"}}},
	"keys/refresh": {http.MethodPost: {adminRefreshKeys, []string{"issuer"}}},
	"keys/rotate":  {http.MethodPost: {adminRotateKeys, []string{"issuer"}}},
	"backup":       {http.MethodGet: {adminBackup, []string{"issuer"}}},
}

// serve finds the route of a request.
func (a *adminAPI) serve(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, adminBase)
	id, ofSession := strings.CutPrefix(path, "sessions/")
	if ofSession && id != "" && !strings.Contains(id, "/") {
		path = "sessions/"
	}
	methods, ok := adminRoutes[path]
	if !ok || path == "sessions/" && id == "" {
		return adminError(http.StatusNotFound, "resource not found: %s", r.URL.Path)
	}
	route, ok := methods[r.Method]
	if !ok {
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
		return adminError(http.StatusMethodNotAllowed, "method not allowed: %s", r.Method)
	}
	query, err := adminQuery(r, route.params)
	if err != nil {
		return err
	}
	// The context of this module is that of the configuration that brought it in,
	// which may have failed since, or not be in force yet.
	active := caddy.ActiveContext()
	if active.Context == nil {
		return adminError(http.StatusServiceUnavailable, "Caddy is starting: try again")
	}
	app, err := active.AppIfConfigured("auth_sessions")
	if err != nil {
		return adminError(http.StatusNotFound, "no auth_sessions block is in the running configuration")
	}
	answer, err := route.serve(w, &adminRequest{Request: r, app: app.(*App), query: query, id: id})
	if err != nil || answer == nil {
		return adminFault(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(answer)
}

// adminQuery reads the parameters, each of them known and at most once.
func adminQuery(r *http.Request, params []string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, adminError(http.StatusBadRequest, "the query cannot be read")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(params, name):
			return nil, adminError(http.StatusBadRequest, "parameter %q is not known here: there are %s", name, strings.Join(params, ", "))
		case len(values) != 1 || values[0] == "":
			return nil, adminError(http.StatusBadRequest, "parameter %s is empty, or given twice", name)
		}
	}
	return query, nil
}

// flag reads a parameter that is true or absent.
func (r *adminRequest) flag(name string) (bool, error) {
	switch r.query.Get(name) {
	case "":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, adminError(http.StatusBadRequest, "parameter %s is true or not there", name)
	}
}

// instances returns those that the request names: the one of its issuer, or all, in
// the order of their issuers.
func (r *adminRequest) instances() ([]*instance, error) {
	all := r.app.all()
	name := r.query.Get("issuer")
	if name == "" {
		return all, nil
	}
	for _, inst := range all {
		if inst.issuer == name {
			return []*instance{inst}, nil
		}
	}
	return nil, adminError(http.StatusNotFound, "no auth_sessions block has the issuer %q: there are %s", name, issuers(all))
}

// instance returns the one that the request is for, open.
func (r *adminRequest) instance() (*instance, error) {
	found, err := r.instances()
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, sessions.ErrClosed
	case len(found) > 1:
		return nil, adminError(http.StatusBadRequest, "there are several issuers: name one of %s", issuers(found))
	case !found[0].ready.Load():
		return nil, sessions.ErrClosed
	}
	return found[0], nil
}

// all returns the instances in the order of their issuers.
func (a *App) all() []*instance {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.Collect(maps.Values(a.instances))
	slices.SortFunc(all, func(a, b *instance) int { return strings.Compare(a.issuer, b.issuer) })
	return all
}

func issuers(all []*instance) string {
	named := make([]string, len(all))
	for i, inst := range all {
		named[i] = inst.issuer
	}
	return strings.Join(named, ", ")
}

func adminError(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// adminFault gives an error its status.
func adminFault(err error) error {
	var known caddy.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, sessions.ErrNotFound):
		return adminError(http.StatusNotFound, "no such session, or it is over")
	case errors.Is(err, sessions.ErrBadCursor):
		return adminError(http.StatusBadRequest, "the cursor is none of ours")
	case errors.Is(err, sessions.ErrUnavailable):
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	default:
		return caddy.APIError{HTTPStatus: http.StatusInternalServerError, Err: err}
	}
}

// Interface guards
var _ caddy.AdminRouter = (*adminAPI)(nil)
