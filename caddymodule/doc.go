// Package caddymodule is authsidecar as a Caddy module: the handler auth_sessions, the app that
// opens what it needs, the matcher impersonated, the embedded store, and the commands. It combines
// the packages below it, and is the only one that imports all of them.
//
//	Handler    a block in a route: Provision, Validate, ServeHTTP
//	App        opens the instances when Caddy starts, and closes them
//	instance   what the handlers of one issuer share: keys, verifier, manager, endpoints, identity
//	openStore  what the instances of one store share: revocations, streams, sweeping
//
// Handler.ServeHTTP passes a request to the first of these that it is for:
//
//	the health path         observe
//	a path of ours          sessions/httpapi, sessions/oauthapi
//	the app                 identity, and then the next handler
//
// Code that needs to know Caddy's life cycle belongs here. The configuration is in config, requests
// to the app are handled in identity, reports are in observe, operators' requests in adminapi and
// cli, and the other stores in redis and postgres.
package caddymodule
