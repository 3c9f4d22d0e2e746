// Package adminapi serves /auth_sessions/ on Caddy's admin endpoint: what operators ask of a
// running server and do there. It holds the routes, and the JSON types of requests and answers,
// which package cli reads too. Backups are written as package backup says.
//
// It knows the running configuration as a list of [Instance], which the app gives it at each
// request (see [Source]); it imports nothing of the module but package backup.
package adminapi
