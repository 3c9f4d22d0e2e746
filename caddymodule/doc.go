// Package caddymodule is authsidecar as a module of Caddy: the handler auth_sessions, the app that
// opens what it needs, the matcher impersonated, the embedded store, and the command. It puts
// the rooms below together, and is the only package that knows all of them.
//
//	Handler    one block in a route: Provision, Validate, ServeHTTP
//	App        opens the instances when Caddy starts, and closes them
//	instance   what the handlers of one issuer share: keys, verifier, manager, endpoints, identity
//	openStore  what the instances of one store share: revocations, streams, sweeping
//
// A request goes from Handler.ServeHTTP to the first that it is for:
//
//	the health path         observe
//	a path of ours          sessions/httpapi, sessions/oauthapi
//	the app                 identity, and then the next handler
//
// What belongs here is what has to know Caddy's life cycle. The configuration is in config, what
// happens to requests of the app in identity, what is said of all of it in observe, what
// operators ask in adminapi and cli, other stores in redis and postgres.
package caddymodule
