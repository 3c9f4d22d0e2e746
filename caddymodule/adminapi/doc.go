// Package adminapi serves /auth_sessions/ on Caddy's admin endpoint: what operators ask of a
// running server and do there. It holds the routes, the JSON types of requests and answers,
// which package cli reads too, and the format of a backup.
//
// It knows the running configuration as a list of [Instance], which the app gives it at each
// request (see [Source]); it imports nothing else of the module.
package adminapi
