// Package adminapi serves /auth_sessions/ on Caddy's admin endpoint, with which operators inspect
// and manage a running server. It contains the routes and the JSON types of requests and responses,
// which package cli uses too. Package backup defines the format of backups.
//
// It sees the running configuration as a list of [Instance], which the app provides at each request
// (see [Source]). Of the module, it imports only packages backup and observe.
package adminapi
