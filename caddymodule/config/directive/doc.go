// Package directive reads the auth_sessions directive of a Caddyfile into a config.Block.
//
//	Read         the block; errors name the line and the mend
//	OpensBlock   whether a brace follows
//
// The reader of a word belongs here, in the file of the block where it stands, and its example
// in its error; its field, default and check are in package config.
package directive
