// Package cli is the command caddy auth-sessions: a file a command, the client of the admin API
// that most of them are, and what they print with.
//
// Commands that look at a running server see it through package adminapi alone. The others work
// on files, on stores, and on a configuration: what a block of it means is for the module to say
// (see [ReadBlock]), and why a token is refused for package explain.
package cli
