package caddymodule_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"authsidecar/caddymodule/internal/routes"
)

// An answering handler ends a request.
type answering struct{}

func (answering) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error { return nil }

// An unsure matcher cannot tell.
type unsure struct{}

func (unsure) MatchWithError(*http.Request) (bool, error) { return false, errors.New("unsure") }

// route is a route with a handler: an answering one unless another is given.
func route(handlers ...caddyhttp.MiddlewareHandler) caddyhttp.Route {
	if len(handlers) == 0 {
		handlers = []caddyhttp.MiddlewareHandler{answering{}}
	}
	return caddyhttp.Route{Handlers: handlers}
}

func routeWith(matcher any) caddyhttp.Route {
	r := route()
	r.MatcherSets = caddyhttp.MatcherSets{{matcher}}
	return r
}

func subroute(routes ...caddyhttp.Route) *caddyhttp.Subroute {
	return &caddyhttp.Subroute{Routes: routes}
}

func TestRefusals_AreLeftToErrorRoutesThatTakeThem(t *testing.T) {
	catching := &caddyhttp.Subroute{Errors: &caddyhttp.HTTPErrorConfig{}}
	ending := route(subroute())
	ending.Terminal = true
	posts := routeWith(caddyhttp.MatchMethod{http.MethodPost})
	named := route(catching)
	for _, c := range []struct {
		name   string
		routes caddyhttp.RouteList
		named  map[string]*caddyhttp.Route
		errors caddyhttp.RouteList
		caught bool
	}{
		{name: "there are none"},
		{name: "one for every error", errors: caddyhttp.RouteList{route()}, caught: true},
		{name: "one for the path that was asked for", errors: caddyhttp.RouteList{routeWith(caddyhttp.MatchPath{"/asked"})}, caught: true},
		{name: "one for the path that it was rewritten to", errors: caddyhttp.RouteList{routeWith(caddyhttp.MatchPath{"/rewritten"})}},
		{name: "one for another method", errors: caddyhttp.RouteList{posts}},
		{name: "one for another method, and one for every error", errors: caddyhttp.RouteList{posts, route()}, caught: true},
		{name: "one that cannot tell", errors: caddyhttp.RouteList{routeWith(unsure{})}, caught: true},
		{name: "one without a handler", errors: caddyhttp.RouteList{{}}},
		{name: "one inside another", errors: caddyhttp.RouteList{route(subroute(route()))}, caught: true},
		{name: "one inside another, for another method", errors: caddyhttp.RouteList{route(subroute(posts))}},
		{name: "an empty one before one for every error", errors: caddyhttp.RouteList{route(subroute()), route()}, caught: true},
		{name: "an empty one that is the last for its requests", errors: caddyhttp.RouteList{ending, route()}},
		{name: "a route around us catches errors", routes: caddyhttp.RouteList{route(), route(catching)}, caught: true},
		{name: "a route around that one does", routes: caddyhttp.RouteList{route(subroute(route(catching)))}, caught: true},
		{name: "a route around us catches none", routes: caddyhttp.RouteList{route(subroute(route()))}},
		{name: "a named route catches errors", named: map[string]*caddyhttp.Route{"a": &named}, caught: true},
	} {
		server := &caddyhttp.Server{Routes: c.routes, NamedRoutes: c.named}
		if c.errors != nil {
			server.Errors = &caddyhttp.HTTPErrorConfig{Routes: c.errors}
		}
		original := httptest.NewRequest(http.MethodGet, "/asked", nil)
		r := httptest.NewRequest(http.MethodGet, "/rewritten", nil)
		for key, value := range map[caddy.CtxKey]any{caddy.ReplacerCtxKey: caddy.NewReplacer(), caddyhttp.ServerCtxKey: server, caddyhttp.OriginalRequestCtxKey: *original} {
			r = r.WithContext(context.WithValue(r.Context(), key, value))
		}
		var known routes.ErrorRoutes
		for range 2 { // the second time from memory
			if got := known.Handle(r, errors.New("refused")); got != c.caught {
				t.Errorf("%s: caught %t", c.name, got)
			}
		}
	}
}

// Where nobody can tell what the server does with errors, it decides.
func TestRefusals_AreLeftToAServerThatIsUnknown(t *testing.T) {
	if !new(routes.ErrorRoutes).Handle(httptest.NewRequest(http.MethodGet, "/", nil), errors.New("refused")) {
		t.Error("the answer is ours")
	}
}
