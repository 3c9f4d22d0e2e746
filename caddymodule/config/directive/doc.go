// Package directive parses the auth_sessions directive of a Caddyfile into a config.Block.
//
//	Read         parses the block; errors name the line and what to do
//	ReadStore    parses the words of a store module
//	OpensBlock   reports whether a brace follows
//
// The parser of a word belongs here, in the file of its block, with an example for its error; its
// field, default and check are in package config.
package directive
