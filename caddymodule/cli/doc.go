// Package cli implements the command caddy auth-sessions: one file per subcommand, the client of
// the admin API that most of them use, and printing.
//
// Commands that inspect a running server depend only on package adminapi. The others work on files,
// stores, and configurations: the module interprets a block of a configuration (see [ReadBlock]),
// and package explain explains why a token is refused.
package cli
