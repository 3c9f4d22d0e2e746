package adminapi

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
	caddy.RegisterModule(API{})
}

// API serves /auth_sessions/ on Caddy's admin endpoint, for operators. Whoever can reach that
// endpoint may do everything here, as in the rest of Caddy's admin API.
type API struct{}

// CaddyModule returns the Caddy module information.
func (API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.auth_sessions",
		New: func() caddy.Module { return new(API) },
	}
}

// Base is the prefix of the paths of all routes.
const Base = "/auth_sessions/"

// Routes returns the admin routes.
func (a *API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: Base, Handler: caddy.AdminHandlerFunc(a.serve)}}
}

// A request is a request to the admin API with a known path and method.
type request struct {
	*http.Request
	all   []*Instance // instances of the running configuration
	query url.Values
	id    string // what follows sessions/ in the path
}

// A route answers a path below Base. Its result is sent as JSON, unless it has written a response
// itself and returns nil.
type route struct {
	serve  func(http.ResponseWriter, *request) (any, error)
	params []string // parameters of the query
}

// routes are the routes, by path and method.
var routes = map[string]map[string]route{
	"status": {http.MethodGet: {status, []string{"issuer", "keys"}}},
	"sessions": {
		http.MethodGet:    {list, append([]string{"cursor", "limit"}, filterParams...)},
		http.MethodDelete: {revokeAll, append([]string{"dry_run", "cursor"}, filterParams...)},
	},
	"sessions/":    {http.MethodDelete: {revoke, []string{"dry_run", "issuer"}}},
	"keys/refresh": {http.MethodPost: {refreshKeys, []string{"issuer"}}},
	"keys/rotate":  {http.MethodPost: {rotateKeys, []string{"issuer"}}},
	"backup":       {http.MethodGet: {sendBackup, []string{"issuer"}}},
}

// serve routes a request.
func (a *API) serve(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, Base)
	id, ofSession := strings.CutPrefix(path, "sessions/")
	if ofSession && id != "" && !strings.Contains(id, "/") {
		path = "sessions/"
	}
	methods, ok := routes[path]
	if !ok || path == "sessions/" && id == "" {
		return notFound("resource not found: %s", r.URL.Path)
	}
	route, ok := methods[r.Method]
	if !ok {
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
		return refuse(http.StatusMethodNotAllowed, "method not allowed: %s", r.Method)
	}
	query, err := parseQuery(r, route.params)
	if err != nil {
		return err
	}
	// The context of this module is that of the configuration that loaded it, which may have failed
	// since, or may not be in force yet.
	active := caddy.ActiveContext()
	if active.Context == nil {
		return refuse(http.StatusServiceUnavailable, "Caddy is starting: try again")
	}
	app, err := active.AppIfConfigured("auth_sessions")
	if err != nil {
		return notFound("no auth_sessions block is in the running configuration")
	}
	answer, err := route.serve(w, &request{Request: r, all: app.(Source).AdminInstances(), query: query, id: id})
	if err != nil || answer == nil {
		return statusError(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(answer)
}

// parseQuery reads the parameters: known ones only, each at most once.
func parseQuery(r *http.Request, params []string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query cannot be read")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(params, name):
			return nil, badRequest("parameter %q is not known here: there are %s", name, strings.Join(params, ", "))
		case len(values) != 1 || values[0] == "":
			return nil, badRequest("parameter %s is empty, or given twice", name)
		}
	}
	return query, nil
}

// flag reads a parameter that is true or absent.
func (r *request) flag(name string) (bool, error) {
	switch r.query.Get(name) {
	case "":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, badRequest("parameter %s is true or not there", name)
	}
}

func badRequest(format string, args ...any) error {
	return refuse(http.StatusBadRequest, format, args...)
}

func notFound(format string, args ...any) error {
	return refuse(http.StatusNotFound, format, args...)
}

func refuse(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// statusError returns an error with its status.
func statusError(err error) error {
	var known caddy.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, sessions.ErrNotFound):
		return notFound("no such session, or it is over")
	case errors.Is(err, sessions.ErrBadCursor):
		return badRequest("the cursor is not one of this API")
	case errors.Is(err, sessions.ErrUnavailable):
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	default:
		return caddy.APIError{HTTPStatus: http.StatusInternalServerError, Err: err}
	}
}

// Interface guards
var _ caddy.AdminRouter = (*API)(nil)
